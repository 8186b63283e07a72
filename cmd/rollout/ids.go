package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// resolve finds the rollout that is meant: by its id, or by APP or APP/RING the
// live one, else with latest the one that ended last.
func resolve(ctx context.Context, db *store.DB, ref string, latest bool) (orchestrator.ID, error) {
	app, ring, sliced := strings.Cut(ref, "/")
	if !sliced {
		summary, err := db.Summary(ctx, orchestrator.ID(ref))
		if err == nil || !errors.Is(err, orchestrator.ErrNotFound) {
			return summary.ID, err
		}
	}
	a, err := db.App(ctx, rings.AppName(app))
	if err == nil && ring != "" {
		_, err = a.Expand([]rings.RingName{rings.RingName(ring)})
	}
	if err != nil {
		return "", unknownRef(ctx, db, ref, err)
	}
	return newest(ctx, db, store.Filter{App: a.Name, Ring: rings.RingName(ring), Live: true}, latest)
}

func newest(ctx context.Context, db *store.DB, f store.Filter, latest bool) (orchestrator.ID, error) {
	page, err := db.Rollouts(ctx, f)
	if err != nil {
		return "", err
	}
	switch len(page.Rollouts) {
	case 1:
		return page.Rollouts[0].ID, nil
	case 0:
	default:
		return "", ambiguous(meant(f), page.Rollouts)
	}
	hint := fmt.Sprintf("\"rollout history %s\" shows those that have ended", f.App)
	if !latest {
		return "", notFound(hint, "%s: no rollout is live", meant(f))
	}
	f.Live, f.Limit = false, 1
	if page, err = db.Rollouts(ctx, f); err != nil {
		return "", err
	}
	if len(page.Rollouts) == 0 {
		return "", notFound(fmt.Sprintf("\"rollout create %s RING\" starts one", f.App), "%s: nothing has been rolled out yet", meant(f))
	}
	return page.Rollouts[0].ID, nil
}

func meant(f store.Filter) string {
	if f.Ring != "" {
		return fmt.Sprintf("ring %q of application %q", f.Ring, f.App)
	}
	return fmt.Sprintf("application %q", f.App)
}

func ambiguous(what string, live []store.Summary) error {
	var ids []string
	for _, r := range live {
		ids = append(ids, fmt.Sprintf("%s (%s)", r.ID, join(r.Rings)))
	}
	return &usageError{what: fmt.Sprintf("%s: several rollouts are live: %s", what, strings.Join(ids, ", ")), hint: "name one of them"}
}

// unknownRef says that the word is neither a rollout nor an application.
func unknownRef(ctx context.Context, db *store.DB, ref string, err error) error {
	var unknown *rings.UnknownError
	if !errors.As(err, &unknown) || unknown.Kind != "application" || strings.Contains(ref, "/") {
		return err
	}
	nearest := unknown.Nearest
	_, err = db.Summary(ctx, orchestrator.ID(ref))
	if errors.As(err, &unknown); nearest == "" {
		nearest = unknown.Nearest
	}
	return &rings.UnknownError{Kind: "rollout or application", Name: ref, Nearest: nearest}
}
