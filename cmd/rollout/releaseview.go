package main

import (
	"time"

	"rollout/rings"
)

// releaseView is a release as scripts read it.
type releaseView struct {
	App      rings.AppName                       `json:"app"`
	Number   int                                 `json:"number"`
	Key      string                              `json:"key"`
	Versions map[rings.ServiceName]rings.Version `json:"versions"`
	Settings map[rings.ServiceName]rings.Values  `json:"settings,omitempty"`
	From     string                              `json:"from"` // for people: what the versions were taken from
	Commit   string                              `json:"commit"`
	Author   string                              `json:"author"`
	Message  string                              `json:"message"`
	Link     string                              `json:"link"`
	By       string                              `json:"by"`
	At       *time.Time                          `json:"at"`
}

func viewRelease(r rings.Release) releaseView {
	return releaseView{App: r.App, Number: r.Number, Key: r.Key, Versions: r.Versions, Settings: r.Settings, From: r.From, Commit: r.Commit, Author: r.Author,
		Message: r.Message, Link: r.Link, By: r.By, At: instant(r.At)}
}

// createdReleaseView is what `release create` prints.
type createdReleaseView struct {
	releaseView
	Created bool `json:"created"` // false: the release was there already, with the same content
}
