package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollout/rings"
	"rollout/rings/appfile"
)

// confirm asks when labels change or something is forgotten.
func (ap *applier) confirm(ctx context.Context) error {
	labels, what := 0, []string{}
	for _, c := range ap.changes {
		switch c.Kind {
		case appfile.AddCluster, appfile.SetRing:
			labels++
		case appfile.RemoveService, appfile.RemoveRing, appfile.RemoveGroup, appfile.RemoveLock, appfile.RemoveWindow:
			what = append(what, c.Words...)
		}
	}
	if labels > 0 {
		what = append([]string{"change the labels of " + counted(labels, "cluster")}, what...)
	}
	if len(what) == 0 {
		return nil
	}
	if ap.flags.output == "text" {
		for _, c := range ap.changes {
			for _, l := range c.lines() {
				ap.say("%s", l)
			}
		}
	}
	return ap.program.confirm(ctx, fmt.Sprintf("application %q: %s?", ap.file.Name, strings.Join(what, ", ")))
}

// carryOut makes one change after the other. When one cannot be made, it says
// which were and which were not.
func (ap *applier) carryOut(ctx context.Context) error {
	for i := range ap.changes {
		c := &ap.changes[i]
		if err := ap.carry(ctx, c.Change); err != nil {
			return ap.stopped(i, err)
		}
		c.done = true
		if ap.flags.output == "text" {
			for _, w := range c.Words {
				fmt.Fprintln(ap.stdout, "done: "+w)
			}
		}
	}
	if ap.flags.output == "text" {
		return nil
	}
	return ap.print()
}

// carry makes one change, as its command does.
func (ap *applier) carry(ctx context.Context, c appfile.Change) error {
	switch c.Kind {
	case appfile.CreateApp:
		return ap.createApp(ctx)
	case appfile.CreateRing:
		return ap.updateRing(ctx, c.Ring.Name, func(a *rings.Application) error { return addRing(a, c.Ring, c.After) })
	case appfile.UpdateRing:
		return ap.updateRing(ctx, c.Ring.Name, func(a *rings.Application) error { return setPolicy(a, c.Ring) })
	case appfile.MoveRing:
		return ap.update(ctx, func(a *rings.Application) error { return moveRing(a, c.Ring.Name, c.After) })
	case appfile.AddCluster, appfile.SetRing, appfile.RecordCluster:
		return ap.placeCluster(ctx, c)
	case appfile.AddService:
		return ap.addService(ctx, c.Service)
	case appfile.SetPublish:
		return ap.update(ctx, func(a *rings.Application) error { return setPublish(a, c.Service.Name, c.Service.Publish) })
	case appfile.SetDeps:
		return ap.update(ctx, func(a *rings.Application) error { return setDeps(a, c.Deps) })
	case appfile.SetSettings:
		return ap.setSettings(ctx, c.Service)
	case appfile.SetGroup, appfile.RemoveGroup, appfile.SetLock, appfile.RemoveLock, appfile.SetWindow, appfile.RemoveWindow:
		return ap.carryHold(ctx, c)
	case appfile.RemoveService:
		return ap.removeService(ctx, c.Service.Name)
	case appfile.RemoveRing:
		return ap.removeRing(ctx, c.Ring.Name)
	}
	return fmt.Errorf("there is no change %q", c.Kind)
}

func (ap *applier) update(ctx context.Context, change func(*rings.Application) error) error {
	return ap.db.UpdateApp(ctx, ap.file.Name, change)
}

func (ap *applier) updateRing(ctx context.Context, name rings.RingName, change func(*rings.Application) error) error {
	newest, err := newestRelease(ctx, ap.db, ap.file.Name)
	if err != nil {
		return err
	}
	return ap.update(ctx, startingFrom(name, ap.now(), newest, change))
}

func (ap *applier) createApp(ctx context.Context) error {
	a := *ap.wanted
	a.Rings, a.Groups, a.Services = nil, nil, nil
	return ap.storeApp(ctx, ap.db, &a)
}

func setPolicy(a *rings.Application, ring rings.Ring) error {
	r, err := a.Ring(ring.Name)
	if err == nil {
		r.Policy, r.Starts = ring.Policy, ring.Starts
	}
	return err
}

func setDeps(a *rings.Application, deps map[rings.ServiceName][]rings.ServiceName) error {
	for name, needs := range deps {
		s, err := a.Service(name)
		if err != nil {
			return err
		}
		s.DependsOn = needs
	}
	return nil
}

func (ap *applier) placeCluster(ctx context.Context, c appfile.Change) error {
	if c.Kind != appfile.RecordCluster {
		mv := ap.moveOf(c)
		if err := mv.check(ctx, ap.db, ap.manager); err != nil {
			return err
		}
		if err := ap.label(ctx, ap.db, ap.manager, mv); err != nil {
			return err
		}
	}
	_, err := ap.recordCluster(ctx, ap.db, ap.file.Name, c.Cluster, c.Ring.Name, ap.note(ctx, ""))
	return err
}

// addService looks at everything again: the clusters carry their labels now.
func (ap *applier) addService(ctx context.Context, s rings.Service) error {
	a, err := ap.db.App(ctx, ap.file.Name)
	if err != nil {
		return err
	}
	if err := checkService(a, s); err != nil {
		return err
	}
	d := &addition{manager: ap.manager, publisher: ap.publisher(ap.manager), app: a, service: s}
	defer d.publisher.Close()
	if err := d.prepare(ctx, s.GitRepo); err != nil {
		return err
	}
	if err := blockers(d.service, d.file.source.Name, d.findings); err != nil {
		return err
	}
	return ap.record(ctx, ap.db, d)
}

func (ap *applier) removeService(ctx context.Context, name rings.ServiceName) error {
	_, err := ap.db.RemoveService(ctx, ap.file.Name, name, ap.note(ctx, ""))
	return err
}

func (ap *applier) removeRing(ctx context.Context, name rings.RingName) error {
	_, err := ap.db.RemoveRing(ctx, ap.file.Name, name, ap.note(ctx, ""))
	return err
}

// stopped is the error of the i-th change, with what was done before it and
// what is left.
func (ap *applier) stopped(i int, err error) error {
	v := classify(err)
	var left []string
	for _, c := range ap.changes[i+1:] {
		left = append(left, c.Words...)
	}
	what := fmt.Sprintf("%s: %v\n  %d of %d changes are made", ap.changes[i].Words[0], err, i, len(ap.changes))
	if len(left) > 0 {
		what += "; not made after this one: " + strings.Join(left, "; ")
	}
	hint := fmt.Sprintf("%q goes on from there", ap.options.command())
	if v.hint != "" && !errors.Is(err, rings.ErrExists) { // somebody made it meanwhile
		hint = v.hint + "; then " + hint
	}
	stopped := &commandError{exit: v.exit, code: v.code, what: what, hint: hint, err: err}
	if ap.flags.output == "text" {
		return stopped
	}
	if err := ap.print(); err != nil {
		return err
	}
	return stopped
}
