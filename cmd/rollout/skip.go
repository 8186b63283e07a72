package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

type skipOptions struct {
	ring    rings.RingName
	service rings.ServiceName
	cluster rings.ClusterName
}

func (p *program) skipCommand() *cli.Command {
	return &cli.Command{
		Name: "skip", Category: "Roll out", Usage: "Leave a ring, a service or a cluster out of a rollout", ArgsUsage: "ID",
		Description: "What runs there stays as it is, and a ring that is left out verifies nothing. Approvals of what changes by it fall.\n\n" +
			examples("rollout skip shop-12 --cluster eu-3 --reason \"its disk is broken\"", "rollout skip shop --ring ring-2 --reason \"not today\"",
				"rollout skip shop --service docs --ring ring-2 --reason \"not today\""),
		Flags: []cli.Flag{
			ringFlag(),
			&cli.StringFlag{Name: "service", Usage: "`SERVICE` that is meant, on all rings or with --ring on one"},
			&cli.StringFlag{Name: "cluster", Usage: "`CLUSTER` that is meant"},
			&cli.StringFlag{Name: "reason", Usage: "`WORDS` for the record; needed"},
		},
		Action: func(c *cli.Context) error {
			o := skipOptions{rings.RingName(c.String("ring")), rings.ServiceName(c.String("service")), rings.ClusterName(c.String("cluster"))}
			if err := o.check(c.String("reason")); err != nil {
				return err
			}
			return p.tell(c.Context, c.Args().Get(0), c.String("reason"), func(ctx context.Context, db *store.DB, s standing) (order, error) {
				return o.order(ctx, db, s)
			})
		},
	}
}

func (o skipOptions) check(reason string) error {
	switch {
	case o == skipOptions{}:
		return &usageError{what: "rollout skip: nothing is named", hint: "name --ring, --cluster or --service"}
	case o.cluster != "" && (o.ring != "" || o.service != ""):
		return &usageError{what: "rollout skip: --cluster stands alone", hint: "a cluster is left out of all that remains"}
	case reason == "":
		return &usageError{what: "rollout skip: --reason is missing", hint: "say why it is left out"}
	}
	return nil
}

func (o skipOptions) order(ctx context.Context, db *store.DB, s standing) (order, error) {
	if err := o.fits(ctx, db, s.State); err != nil {
		return order{}, err
	}
	what := fmt.Sprintf("rollout %s: %s", s.ID, o.words())
	skip := order{
		command: orchestrator.Command{Kind: orchestrator.CommandSkip, Ring: o.ring, Service: o.service, Cluster: o.cluster},
		wish:    what + " is to be left out",
		done:    what + " is left out",
		obeyed:  o.skipped,
	}
	if c := s.same(skip.command); c != nil {
		return skip, s.again(skip.wish, c)
	}
	return skip, nil
}

func (o skipOptions) words() string {
	switch {
	case o.cluster != "":
		return fmt.Sprintf("cluster %q", o.cluster)
	case o.service != "" && o.ring != "":
		return fmt.Sprintf("service %q on ring %q", o.service, o.ring)
	case o.service != "":
		return fmt.Sprintf("service %q", o.service)
	}
	return fmt.Sprintf("ring %q", o.ring)
}

// fits refuses what is not of the rollout, or makes no sense any more.
func (o skipOptions) fits(ctx context.Context, db *store.DB, s *orchestrator.State) error {
	if o.ring != "" && !slices.Contains(s.RingNames(), o.ring) {
		return unknownIn(s, "ring", string(o.ring), names(s.RingNames()))
	}
	if o.cluster != "" {
		return o.clusterFits(ctx, db, s)
	}
	steps := o.steps(s)
	if o.service != "" && len(steps) == 0 {
		return unknownIn(s, "service", string(o.service), servicesOf(s))
	}
	show := fmt.Sprintf("\"rollout show %s\" shows how", s.ID)
	switch {
	case s.Rollback != nil:
		return conflict(show, "rollout %s is being rolled back: %s cannot be left out of that", s.ID, o.words())
	case o.service != "" && !slices.ContainsFunc(steps, func(st *orchestrator.StepState) bool {
		return !st.Phase.Ended() || st.Phase == orchestrator.StepFailed
	}):
		return conflict(show, "rollout %s: %s has ended", s.ID, o.words())
	case o.service == "" && ringOf(s, o.ring).Phase.Ended() && ringOf(s, o.ring).Phase != orchestrator.RingFailed:
		return conflict(show, "rollout %s: %s has ended: %s", s.ID, o.words(), ringOf(s, o.ring).Phase)
	}
	return nil
}

// steps are those of the service, on the ring if one is named.
func (o skipOptions) steps(s *orchestrator.State) []*orchestrator.StepState {
	var out []*orchestrator.StepState
	for _, st := range s.Steps {
		if st.Target.Service == o.service && !st.Undo && (o.ring == "" || st.Ring == o.ring) {
			out = append(out, st)
		}
	}
	return out
}

// clusterFits looks among the clusters that the rollout has seen and those that
// are recorded on its rings.
func (o skipOptions) clusterFits(ctx context.Context, db *store.DB, s *orchestrator.State) error {
	if w, ok := s.Skips[o.cluster]; ok {
		return conflict(fmt.Sprintf("\"rollout show %s\" shows it", s.ID), "rollout %s: %s is left out already, by %s", s.ID, o.words(), saidBy(w))
	}
	recorded, err := db.Clusters(ctx, s.Scope.App)
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, c := range recorded {
		if slices.Contains(s.RingNames(), c.Ring) {
			known[string(c.Name)] = true
		}
	}
	for _, st := range s.Steps {
		for _, name := range st.Members {
			known[string(name)] = true
		}
		for name := range st.Clusters {
			known[string(name)] = true
		}
	}
	if !known[string(o.cluster)] {
		return unknownIn(s, "cluster", string(o.cluster), sortedKeys(known))
	}
	return nil
}

// skipped reports whether the rollout has noted it.
func (o skipOptions) skipped(s *orchestrator.State) bool {
	switch {
	case o.cluster != "":
		_, ok := s.Skips[o.cluster]
		return ok
	case o.service != "":
		return slices.ContainsFunc(o.steps(s), func(st *orchestrator.StepState) bool { return st.Skip != nil })
	}
	return ringOf(s, o.ring).Skip != nil
}

func servicesOf(s *orchestrator.State) []string {
	known := map[string]bool{}
	for _, st := range s.Steps {
		known[string(st.Target.Service)] = true
	}
	return sortedKeys(known)
}

func sortedKeys(set map[string]bool) []string {
	return slices.Sorted(maps.Keys(set))
}
