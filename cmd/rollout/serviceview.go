package main

import (
	"time"

	"rollout/rings"
)

type serviceView struct {
	App          rings.AppName                `json:"app"`
	Name         rings.ServiceName            `json:"name"`
	Repo         string                       `json:"repo"`
	Branch       string                       `json:"branch"`
	Path         string                       `json:"path"`
	GitRepo      string                       `json:"gitRepo"`
	Bundle       string                       `json:"bundle"`
	Managed      bool                         `json:"managed"`
	ClientSecret string                       `json:"clientSecret"`
	Fields       []string                     `json:"fields"`
	Publish      string                       `json:"publish"` // push, branch
	Settings     []settingView                `json:"settings,omitempty"`
	DependsOn    []rings.ServiceName          `json:"dependsOn"`
	Known        map[rings.RingName]knownView `json:"known"`
}

type knownView struct {
	Version  rings.Version `json:"version"`
	Settings rings.Values  `json:"settings,omitempty"`
	Commit   string        `json:"commit"`
	At       *time.Time    `json:"at"`
}

func viewService(app rings.AppName, s rings.Service) serviceView {
	v := serviceView{App: app, Name: s.Name, Repo: s.Repo, Branch: s.Branch, Path: s.Path, GitRepo: s.GitRepo, Bundle: s.Bundle,
		Managed: s.Managed, ClientSecret: s.Secret, Fields: s.Fields, Settings: viewSettings(s.Settings), Publish: word(s.Publish, wordPush), DependsOn: append([]rings.ServiceName{}, s.DependsOn...),
		Known: map[rings.RingName]knownView{}}
	for ring, k := range s.Known {
		v.Known[ring] = knownView{Version: k.Version, Settings: k.Settings, Commit: k.Commit, At: instant(k.At)}
	}
	return v
}
