package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"rollout/rings"
	"rollout/store"
)

const (
	// completeWait bounds how long a person who types waits for names.
	completeWait = 500 * time.Millisecond
	// completeRollouts is how many of the latest rollouts are offered.
	completeRollouts = 20
)

// lookUp is what the store has of a kind; nothing when it cannot be read.
func (p *program) lookUp(ctx context.Context, kind, app string) []candidate {
	if _, err := os.Stat(p.storePath()); err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	db, err := p.open(ctx)
	if err != nil {
		return nil
	}
	out, err := stored(ctx, db, kind, rings.AppName(app))
	if err != nil {
		return nil
	}
	var unique []candidate
	for _, c := range out {
		if !slices.ContainsFunc(unique, func(u candidate) bool { return u.value == c.value }) {
			unique = append(unique, c)
		}
	}
	return unique
}

// stored are the names of a kind, of the application or, with "", of all.
func stored(ctx context.Context, db *store.DB, kind string, app rings.AppName) ([]candidate, error) {
	switch kind {
	case "ID":
		page, err := db.Rollouts(ctx, store.Filter{Limit: completeRollouts})
		return offer(page.Rollouts, func(r store.Summary) candidate {
			return candidate{string(r.ID), fmt.Sprintf("%s on %s", r.Phase, join(r.Rings))}
		}), err
	case "CLUSTER":
		all, err := db.Clusters(ctx, app)
		return offer(all, func(c rings.Cluster) candidate {
			return candidate{string(c.Name), fmt.Sprintf("on %s of %s", c.Ring, c.App)}
		}), err
	case "HOLDER":
		all, err := db.Locks(ctx, app, time.Now())
		return offer(all, func(l rings.Lock) candidate { return candidate{l.Holder, l.Part() + " of " + string(l.App)} }), err
	case "WINDOW":
		all, err := db.Windows(ctx, app)
		return offer(all, func(w rings.Window) candidate { return candidate{string(w.Name), string(w.Kind) + " " + w.When()} }), err
	case "NUMBER":
		page, err := db.Releases(ctx, app, 0, completeRollouts)
		return offer(page.Releases, func(r rings.Release) candidate { return candidate{fmt.Sprint(r.Number), versionWords(r.Versions)} }), err
	}
	apps, err := db.Apps(ctx)
	var out []candidate
	for _, a := range apps {
		if kind == "APP" {
			out = append(out, candidate{string(a.Name), counted(len(a.Services), "service") + " on " + counted(len(a.Rings), "ring")})
		} else if app == "" || a.Name == app {
			out = append(out, partsOf(a, kind)...)
		}
	}
	return out, err
}

// offer makes candidates.
func offer[T any](all []T, of func(T) candidate) []candidate {
	var out []candidate
	for _, one := range all {
		out = append(out, of(one))
	}
	return out
}

func partsOf(a *rings.Application, kind string) []candidate {
	var out []candidate
	switch kind {
	case "RING":
		for _, r := range a.RingNames() {
			out = append(out, candidate{string(r), "ring of " + string(a.Name)})
		}
	case "GROUP":
		for _, g := range a.Groups {
			out = append(out, candidate{string(g.Name), "group of rings " + join(g.Rings)})
		}
	case "SERVICE":
		for _, s := range a.ServiceNames() {
			out = append(out, candidate{string(s), "service of " + string(a.Name)})
		}
	case "SETTING":
		for _, s := range a.Services {
			for _, o := range s.Settings {
				out = append(out, candidate{fmt.Sprintf("%s.%s", s.Name, o.Name), "setting of " + string(s.Name)})
			}
		}
	}
	return out
}
