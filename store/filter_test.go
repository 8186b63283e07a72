package store_test

import (
	"fmt"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// TestRolloutsFiltered lists what happened on two rings by what is asked for.
func TestRolloutsFiltered(t *testing.T) {
	db := openShop(t)
	put(t, db, "ring-1", "v1", "v2", 1, hours(1), succeeded)
	put(t, db, "ring-2", "v1", "v2", 2, hours(2), orchestrator.Ended{Phase: orchestrator.Failed, Failure: broken})
	must(t, db.UpdateApp(t.Context(), "shop", func(a *rings.Application) error {
		a.Services = append(a.Services, rings.Service{Name: "web", Repo: "https://git.example/web", Fields: []string{rings.DefaultField}})
		a.Plan = rings.Plan{"web": {Version: "v9"}}
		return nil
	}))
	id, err := db.CreateRollout(t.Context(), "shop", func(_ orchestrator.ID, a *rings.Application) (orchestrator.Created, error) {
		first := storetest.Created(a, "ring-2")
		first.Steps, first.Options.Reason = first.Steps[2:], "a hurry"
		return first, nil
	}, "bob", hours(3))
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, hours(3), time.Hour)
	must(t, err)
	s, err := db.Rollout(t.Context(), id)
	must(t, err)
	ref := orchestrator.Ref{Ring: "ring-2", Service: "web"}
	appendAll(t, db, storetest.Resume(s, "bob").Batch(lease, append(storetest.Publishing(ref, "v9", 3, 1), storetest.Turning(ref, "eu-9", 3, true)...)...))

	for name, test := range map[string]struct {
		filter store.Filter
		want   string
	}{
		"all":                 {store.Filter{}, "[shop-3 shop-2 shop-1]"},
		"service":             {store.Filter{Service: "db"}, "[shop-2 shop-1]"},
		"other service":       {store.Filter{App: "shop", Service: "web"}, "[shop-3]"},
		"part of a name":      {store.Filter{Service: "d"}, "[]"},
		"who":                 {store.Filter{By: "bob"}, "[shop-3]"},
		"outcome":             {store.Filter{Phases: []orchestrator.Phase{orchestrator.Failed}}, "[shop-2]"},
		"outcomes":            {store.Filter{Phases: []orchestrator.Phase{orchestrator.Failed, orchestrator.Succeeded}}, "[shop-2 shop-1]"},
		"cluster":             {store.Filter{Cluster: storetest.Cluster(1)}, "[shop-2 shop-1]"},
		"cluster of one live": {store.Filter{Cluster: "eu-9"}, "[shop-3]"},
		"no cluster":          {store.Filter{Cluster: "eu-0"}, "[]"},
		"since":               {store.Filter{Since: hours(2)}, "[shop-3 shop-2]"},
		"until":               {store.Filter{App: "shop", Until: hours(2)}, "[shop-1]"},
		"between":             {store.Filter{Since: hours(2), Until: hours(3)}, "[shop-2]"},
		"until, next page":    {store.Filter{Until: hours(9), Before: "shop-3"}, "[shop-2 shop-1]"},
		"before until":        {store.Filter{Until: hours(2), Before: "shop-3"}, "[shop-1]"},
		"live":                {store.Filter{Live: true, Service: "web"}, "[shop-3]"},
	} {
		page, err := db.Rollouts(t.Context(), test.filter)
		must(t, err)
		ids := []orchestrator.ID{}
		for _, row := range page.Rollouts {
			ids = append(ids, row.ID)
		}
		if fmt.Sprint(ids) != test.want {
			t.Errorf("%s: got %v, want %v", name, ids, test.want)
		}
	}
	page, err := db.Rollouts(t.Context(), store.Filter{Steps: true, Limit: 2})
	must(t, err)
	live, failed := page.Rollouts[0], page.Rollouts[1]
	if live.Why != "a hurry" || len(live.Steps) != 1 || len(live.Steps[0].Clusters) != 1 || live.Steps[0].Clusters[0].Name != "eu-9" {
		t.Errorf("live: %+v", live)
	}
	if len(failed.Steps) != 1 || failed.Steps[0].From != "v1" || len(failed.Steps[0].Clusters) != 2 {
		t.Errorf("failed: %+v", failed)
	}
}
