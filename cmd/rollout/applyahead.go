package main

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollout/fleet/gitrepo"
	"rollout/rings"
	"rollout/rings/appfile"
)

// foresee makes every check that the changes will meet, and finds out what
// they mean, before anything is changed.
func (ap *applier) foresee(ctx context.Context) error {
	for _, c := range ap.changes {
		if err := ap.foreseeChange(ctx, c.Change); err != nil {
			return err
		}
	}
	moves, err := ap.moves(ctx)
	if err != nil {
		return err
	}
	additions, err := ap.additions(ctx, moves)
	if err != nil || len(moves) == 0 {
		return err
	}
	all, err := ap.lookAtAll(ctx, additions)
	if err != nil {
		return err
	}
	for i, mv := range moves {
		if ap.changes[i].moves, err = mv.effects(all); err != nil {
			return err
		}
	}
	return nil
}

func (ap *applier) foreseeChange(ctx context.Context, c appfile.Change) error {
	switch c.Kind {
	case appfile.SetSettings:
		return ap.foreseeSettings(ctx, c)
	case appfile.RemoveService:
		return notWhileLive(ctx, ap.db, ap.file.Name, "")
	case appfile.RemoveRing:
		return notWhileLive(ctx, ap.db, ap.file.Name, c.Ring.Name)
	}
	return nil
}

// moves are the clusters whose labels change, by the change's place, checked.
func (ap *applier) moves(ctx context.Context) (map[int]*move, error) {
	out := map[int]*move{}
	for i, c := range ap.changes {
		if c.Kind != appfile.AddCluster && c.Kind != appfile.SetRing {
			continue
		}
		mv := ap.moveOf(c.Change)
		if err := mv.check(ctx, ap.db, ap.manager); err != nil {
			return nil, err
		}
		if err := ap.unbarred(ctx, ap.db, mv); err != nil {
			return nil, err
		}
		out[i] = mv
	}
	return out, nil
}

func (ap *applier) moveOf(c appfile.Change) *move {
	return &move{app: ap.wanted, cluster: c.Cluster, to: c.Ring.Name, exclusive: c.Kind == appfile.SetRing}
}

// additions looks at the new services as they will be when the clusters have
// moved, and refuses what stands in the way.
func (ap *applier) additions(ctx context.Context, moves map[int]*move) ([]*addition, error) {
	labels := map[string]map[string]string{}
	for _, mv := range moves {
		labels[string(mv.cluster)] = mv.labels
	}
	var out []*addition
	var pub *gitrepo.Publisher
	for _, c := range ap.changes {
		if c.Kind == appfile.AddService {
			if pub == nil {
				pub = ap.publisher(ap.manager)
				defer pub.Close()
			}
			out = append(out, &addition{manager: ap.manager, publisher: pub, app: ap.wanted, service: c.Service, relabel: labels})
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, d := range out {
		group.Go(func() error {
			without := *ap.wanted
			without.Services = slices.DeleteFunc(slices.Clone(without.Services), func(s rings.Service) bool { return s.Name == d.service.Name })
			if err := checkService(&without, d.service); err != nil {
				return err
			}
			return d.prepare(groupCtx, d.service.GitRepo)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, ap.blocked(ctx, out)
}

// blocked is about everything that stands in the way of any of the services.
func (ap *applier) blocked(ctx context.Context, all []*addition) error {
	var errs []error
	for _, d := range all {
		if len(all) > 1 {
			d.label = string(d.service.Name) + " "
		}
		ap.printFindings(d)
		if err := ap.warnShared(ctx, ap.db, d); err != nil {
			return err
		}
		if err := blockers(d.service, d.file.source.Name, d.findings); err != nil {
			ap.suggest(d)
			errs = append(errs, err)
		}
	}
	if len(errs) < 2 {
		return errors.Join(errs...)
	}
	v := classify(errs[0])
	return &commandError{exit: v.exit, code: v.code, hint: v.hint, what: errors.Join(errs...).Error()}
}

// lookAtAll is what Fleet deploys now of the services that are stored and of
// those that are added.
func (ap *applier) lookAtAll(ctx context.Context, additions []*addition) ([]looked, error) {
	var all []looked
	if ap.state.App != nil {
		var err error
		if all, err = ap.lookAt(ctx, ap.manager, ap.state.App); err != nil {
			return nil, err
		}
	}
	for _, d := range additions {
		all = append(all, looked{d.service, d.file, d.now})
	}
	return all, nil
}
