package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// lockView is a lock. An empty ring, service, cluster and clusterGroup mean all
// of them.
type lockView struct {
	App     rings.AppName     `json:"app"`
	Part    string            `json:"part"` // in words
	Ring    rings.RingName    `json:"ring"`
	Service rings.ServiceName `json:"service"`
	Cluster rings.ClusterName `json:"cluster"`
	Group   string            `json:"clusterGroup"`
	Holder  string            `json:"holder"`
	By      string            `json:"by"`
	Reason  string            `json:"reason"`
	Link    string            `json:"link"`
	At      *time.Time        `json:"at"`
	Until   *time.Time        `json:"until"` // null: until it is released
	Release string            `json:"release"`
}

func viewLocks(locks []rings.Lock) []lockView {
	out := []lockView{}
	for _, l := range locks {
		out = append(out, lockView{App: l.App, Part: l.Part(), Ring: l.Ring, Service: l.Service, Cluster: l.Cluster, Group: l.Group, Holder: l.Holder, By: l.By,
			Reason: l.Reason, Link: l.Link, At: instant(l.At), Until: instant(l.Until), Release: l.Release()})
	}
	return out
}

// windowView is a window. It has cron and duration, or from and to.
type windowView struct {
	App      rings.AppName    `json:"app"`
	Name     rings.WindowName `json:"name"`
	Ring     rings.RingName   `json:"ring"` // "" for all
	Kind     rings.WindowKind `json:"kind"` // allow or deny
	Cron     string           `json:"cron"`
	Duration string           `json:"duration"`
	From     *time.Time       `json:"from"`
	To       *time.Time       `json:"to"`
	Zone     string           `json:"timeZone"`
	By       string           `json:"by"`
	Reason   string           `json:"reason"`
	At       *time.Time       `json:"at"`
	On       bool             `json:"on"`
	Since    *time.Time       `json:"since"` // it is on, or off; null: for as long as is looked
	Until    *time.Time       `json:"until"` // null: for as long as is looked, ten years
}

func viewWindow(w rings.Window, now time.Time) (windowView, error) {
	on, since, until, err := w.On(now, time.LoadLocation)
	v := windowView{App: w.App, Name: w.Name, Ring: w.Ring, Kind: w.Kind, Cron: w.Cron, From: instant(w.From), To: instant(w.To), Zone: w.Zone, By: w.By, Reason: w.Reason,
		At: instant(w.At), On: on, Since: instant(since), Until: instant(until)}
	if w.Cron != "" {
		v.Duration = orchestrator.Duration(w.Lasts)
	}
	return v, err
}

// windowList are windows, and what they make of the rings.
type windowList struct {
	list[windowView]
	Rings []openingView `json:"rings"`
}

// openingView says whether a ring is open.
type openingView struct {
	Ring rings.RingName `json:"ring"`
	Open bool           `json:"open"`
	// Until is when the ring closes, or opens again; null when it does not for
	// as long as is looked.
	Until   *time.Time         `json:"until"`
	Windows []rings.WindowName `json:"windows"` // that close it now
}

func viewWindows(windows []rings.Window, names []rings.RingName, now time.Time) (windowList, error) {
	l := windowList{list: listOf([]windowView{}), Rings: []openingView{}}
	for _, w := range windows {
		v, err := viewWindow(w, now)
		if err != nil {
			return l, err
		}
		l.Items = append(l.Items, v)
	}
	closed, err := rings.Closures(windows, names, now, time.LoadLocation)
	for _, ring := range names {
		l.Rings = append(l.Rings, viewOpening(ring, closed, now))
	}
	return l, err
}

func viewOpening(ring rings.RingName, closed []rings.Closure, now time.Time) openingView {
	v := openingView{Ring: ring, Open: !slices.Contains(closedRings(closed, now), ring), Windows: []rings.WindowName{}}
	var closes time.Time
	for _, c := range closed {
		switch {
		case c.Ring != ring:
		case c.Stands(now):
			v.Windows, v.Until = append(v.Windows, c.Windows...), instant(c.Opens)
		case closes.IsZero() || c.From.Before(closes):
			closes = c.From
		}
	}
	if v.Open {
		v.Until = instant(closes)
	}
	return v
}

func (v openingView) words() string {
	switch {
	case v.Open && v.Until == nil:
		return fmt.Sprintf("%s is open", v.Ring)
	case v.Open:
		return fmt.Sprintf("%s is open until %s", v.Ring, stamp(*v.Until))
	case v.Until == nil:
		return fmt.Sprintf("%s is closed by %s, no opening is in sight", v.Ring, join(v.Windows))
	}
	return fmt.Sprintf("%s is closed by %s, opens at %s", v.Ring, join(v.Windows), stamp(*v.Until))
}

// closureView is a ring that is closed.
type closureView struct {
	App     rings.AppName      `json:"app"`
	Ring    rings.RingName     `json:"ring"`
	Kind    rings.WindowKind   `json:"kind"` // of the windows
	Windows []rings.WindowName `json:"windows"`
	Since   *time.Time         `json:"since"`
	Until   *time.Time         `json:"until"` // these windows open; null: not for as long as is looked
	Opens   *time.Time         `json:"opens"` // all of the ring's windows do
	Words   string             `json:"words"`
}

func viewClosures(app rings.AppName, closed []rings.Closure) []closureView {
	out := []closureView{}
	for _, c := range closed {
		out = append(out, closureView{App: app, Ring: c.Ring, Kind: c.Kind, Windows: c.Windows, Since: instant(c.From), Until: instant(c.Until), Opens: instant(c.Opens), Words: c.Told()})
	}
	return out
}

// aheadView is a service that runs something newer on a ring than on the ring
// before it, and that no lock keeps there.
type aheadView struct {
	App             rings.AppName     `json:"app"`
	Ring            rings.RingName    `json:"ring"`
	Service         rings.ServiceName `json:"service"`
	Version         rings.Version     `json:"version"`
	Since           *time.Time        `json:"since"`
	Upstream        rings.RingName    `json:"upstream"`
	UpstreamVersion rings.Version     `json:"upstreamVersion"`
	Withdrawn       bool              `json:"withdrawn"` // a rollback took the version back on the upstream
}

func viewAhead(all []rings.Ahead) []aheadView {
	out := []aheadView{}
	for _, a := range all {
		out = append(out, aheadView{App: a.App, Ring: a.Ring, Service: a.Service, Version: a.Version, Since: instant(a.At), Upstream: a.Upstream, UpstreamVersion: a.Behind, Withdrawn: a.Withdrawn})
	}
	return out
}

func (v aheadView) words() string {
	words := fmt.Sprintf("%s: %s has %s %s, newer than %s on %s", v.App, v.Ring, v.Service, v.Version, v.UpstreamVersion, v.Upstream)
	if v.Withdrawn {
		words = fmt.Sprintf("%s: %s has %s %s, which was taken back on %s", v.App, v.Ring, v.Service, v.Version, v.Upstream)
	}
	if v.Since != nil {
		words += ", since " + stamp(*v.Since)
	}
	return words
}

// overView is what a person went over when the rollout began.
type overView struct {
	Locks  []lockView    `json:"locks"`
	Closed []closureView `json:"closed"`
	Frozen []freezeView  `json:"frozen"`
}

// freezeView is a ring that a later one freezes.
type freezeView struct {
	App     rings.AppName   `json:"app"`
	Ring    rings.RingName  `json:"ring"`
	By      rings.RingName  `json:"by"` // the later ring
	Rollout orchestrator.ID `json:"rollout"`
	Since   *time.Time      `json:"since"`
	Words   string          `json:"words"`
}

func viewFreezes(app rings.AppName, all []rings.Freeze) []freezeView {
	out := []freezeView{}
	for _, f := range all {
		out = append(out, freezeView{App: app, Ring: f.Ring, By: f.By, Rollout: orchestrator.ID(f.Rollout), Since: instant(f.Since), Words: f.Words()})
	}
	return out
}

func viewOver(s *orchestrator.State) *overView {
	if s.Over == nil {
		return nil
	}
	return &overView{viewLocks(s.Over.Locks), viewClosures(s.Scope.App, s.Over.Closed), viewFreezes(s.Scope.App, s.Over.Frozen)}
}

// linesOf prints a line for each.
func linesOf[T any](all []T, words func(T) string) func(io.Writer) error {
	return func(w io.Writer) error {
		for _, one := range all {
			if _, err := fmt.Fprintln(w, words(one)); err != nil {
				return err
			}
		}
		return nil
	}
}
