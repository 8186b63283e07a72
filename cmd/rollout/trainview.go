package main

import (
	"encoding/json"
	"fmt"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// takenView is what a train was made from, and what it left.
type takenView struct {
	From rings.RingName `json:"from"`
	At   *time.Time     `json:"at"` // when From ran what is taken; null: now
	Left []leftView     `json:"left"`
}

// leftView is a service that a train did not take.
type leftView struct {
	Service rings.ServiceName      `json:"service"`
	Version rings.Version          `json:"version"` // that could have been taken; "" when none is recorded
	Cause   orchestrator.LeftCause `json:"cause"`   // unrecorded, unverified, current, unfinished, newer, held, locked, changed, dependency
	Reason  string                 `json:"reason"`
}

// viewTaken is nil for what is no train.
func viewTaken(t *orchestrator.Taken) *takenView {
	if t == nil {
		return nil
	}
	v := &takenView{From: t.Ring, At: instant(t.At), Left: []leftView{}}
	for _, l := range t.Left {
		v.Left = append(v.Left, leftView{l.Service, l.Version, l.Cause, l.Words})
	}
	return v
}

// trainView is what `train` did for a ring. Either takes something, and rollout
// or, with --dry-run, preview is what `create` prints; or reason says why not.
type trainView struct {
	App     rings.AppName                       `json:"app"`
	Ring    rings.RingName                      `json:"ring"`
	Takes   map[rings.ServiceName]rings.Version `json:"takes"`
	Train   *takenView                          `json:"train"` // null when nothing was looked at
	Reason  string                              `json:"reason"`
	Rollout json.RawMessage                     `json:"rollout"`
	Preview json.RawMessage                     `json:"preview"`
}

// lines say from where a train takes, and what it leaves.
func (t *takenView) lines() []string {
	if t == nil {
		return nil
	}
	from := "from " + string(t.From)
	if t.At != nil {
		from += " as of " + stamp(*t.At)
	}
	out, current := []string{from}, 0
	for _, l := range t.Left {
		if l.Cause == orchestrator.LeftCurrent {
			current++
			continue
		}
		out = append(out, fmt.Sprintf("left: %s: %s", l.Service, l.Reason))
	}
	if current > 0 {
		out = append(out, fmt.Sprintf("there already: %s", serviceCount(current)))
	}
	return out
}

func serviceCount(n int) string {
	if n == 1 {
		return "1 service"
	}
	return fmt.Sprintf("%d services", n)
}
