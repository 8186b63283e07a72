package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// agentWait is how long a new cluster's agent may take until it checks in.
const agentWait = 5 * time.Minute

// enrolment is a cluster that Fleet gets to know, and that then goes on a ring.
// It gets the labels only when its agent is there: from then on it counts on
// the ring, and an agent that never comes would fail every rollout there.
type enrolment struct {
	*program
	db      *store.DB
	manager *fleet.Manager
	move    *move
	access  fleet.Access
	file    string
	timeout time.Duration
}

// again is the command as it was given.
func (e *enrolment) again() string {
	return fmt.Sprintf("rollout cluster add %s --app %s --ring %s --register %s", e.move.cluster, e.move.app.Name, e.move.to, e.file)
}

// labelLater is the command that puts a cluster on the ring that has joined.
func labelLater(mv *move) string {
	return fmt.Sprintf("rollout cluster add %s --app %s --ring %s", mv.cluster, mv.app.Name, mv.to)
}

// runRegister registers a cluster by its kubeconfig, and puts it on the ring.
func (p *program) runRegister(ctx context.Context, db *store.DB, mv *move, o clusterAddOptions) error {
	access, err := fleet.ReadAccess(o.register)
	if err != nil {
		return err
	}
	m, err := p.managerOf(ctx, scopeOf(mv.app))
	if err != nil {
		return err
	}
	there, err := m.Cluster(ctx, mv.cluster)
	begun := !errors.Is(err, rings.ErrUnknown)
	switch {
	case begun && err != nil:
		return err
	case begun && there.Joined():
		p.say("cluster %q is registered with Fleet already; %s is not needed", mv.cluster, o.register)
		return p.relabel(ctx, db, mv)
	case begun:
		if err := there.Registrable(); err != nil {
			return err
		}
	}
	e := &enrolment{program: p, db: db, manager: m, move: mv, access: access, file: o.register, timeout: o.timeout}
	if err := e.allowed(ctx); err != nil {
		return err
	}
	if err := e.sight(ctx, begun); err != nil {
		return err
	}
	return e.run(ctx)
}

// run asks, registers, waits and labels.
func (e *enrolment) run(ctx context.Context) error {
	view, err := e.planned(ctx)
	if err != nil {
		return err
	}
	if err := e.confirm(ctx, fmt.Sprintf("register cluster %q with Fleet, and put it on ring %q of application %q?", e.move.cluster, e.move.to, e.move.app.Name)); err != nil {
		return err
	}
	made, err := e.manager.Register(ctx, e.move.cluster, e.access)
	if err != nil {
		return e.remaining(made, err)
	}
	if err := e.join(ctx, made); err != nil {
		return err
	}
	e.move.new = false
	if err := e.move.check(ctx, e.db, e.manager); err != nil {
		return err
	}
	if err := e.label(ctx, e.db, e.manager, e.move); err != nil {
		return err
	}
	return e.moved(ctx, e.db, e.move, view)
}

// allowed refuses when a permission is missing, before anything is made.
func (e *enrolment) allowed(ctx context.Context) error {
	missing, err := e.manager.MayRegister(ctx)
	if err != nil {
		return err
	}
	return notPermitted(e.manager, missing)
}

// notPermitted is an error that names what is missing, or nil.
func notPermitted(m *fleet.Manager, missing []fleet.Missing) error {
	if len(missing) == 0 {
		return nil
	}
	what := ""
	for _, x := range together(missing) {
		what += fmt.Sprintf("\n  %s (%s)", x, x.For)
	}
	return &commandError{exit: exitUnexpected, code: "forbidden", err: fleet.ErrForbidden, what: fmt.Sprintf("missing permissions on %s: %v:%s", m.Host(), fleet.ErrForbidden, what),
		hint: "ask for them: the README's manifest leaves them out, because they are about secrets"}
}

// sight refuses what can be seen from here to be wrong: the kubeconfig of the
// manager itself, or of a cluster that another agent serves already.
func (e *enrolment) sight(ctx context.Context, begun bool) error {
	seen, err := e.access.Look(ctx)
	if errors.Is(err, fleet.ErrAccess) {
		return &commandError{exit: exitInvalid, code: "access", err: err, what: fmt.Sprintf("kubeconfig %q: %v", e.file, err), hint: "give one whose credentials are good, then " + e.again()}
	}
	if err != nil {
		e.say("warning: from here, the cluster cannot be seen: %v; Fleet's controller must reach it", err)
	} else if e.access.Loopback {
		e.say("warning: %s is an address of this machine; Fleet's controller must reach the cluster by it", e.access.Server)
	}
	id, err := e.manager.ID(ctx)
	switch {
	case err != nil:
		return err
	case seen.ID == id:
		return invalid("name the kubeconfig of the cluster that is to be registered", "kubeconfig %q leads to the Fleet manager itself", e.file)
	case seen.Agent && !begun:
		return conflict(fmt.Sprintf("if it is a Cluster of this manager: rollout cluster add ITS-NAME --app %s --ring %s\nelse take that agent off first: helm --namespace %s uninstall fleet-agent", e.move.app.Name, e.move.to, fleet.SystemNamespace),
			"the cluster at %s has a Fleet agent already: to register it again would take it away from the Cluster that it is now", e.access.Server)
	}
	return nil
}

// planned shows what will be done, and what Fleet will deploy then.
func (e *enrolment) planned(ctx context.Context) (moveView, error) {
	mv := e.move
	view := moveView{clusterView: clusterView{Name: mv.cluster, App: mv.app.Name, Ring: mv.to}}
	mv.before, mv.new = fleet.Cluster{Name: mv.cluster}, true
	if err := mv.plan(ctx, e.db, e.manager); err != nil {
		return view, err
	}
	looked, err := e.lookAt(ctx, e.manager, mv.app)
	if err != nil {
		return view, err
	}
	if view.Services, err = mv.effects(looked); err != nil {
		return view, err
	}
	if e.flags.output == "text" {
		e.say("cluster %q at %s (context %q) is registered with Fleet, which installs its agent there; then:", mv.cluster, e.access.Server, e.access.Context)
	}
	e.showMove(mv, view)
	return view, nil
}

// join waits until the agent has checked in.
func (e *enrolment) join(ctx context.Context, made fleet.Made) error {
	waiting, stop := context.WithTimeout(ctx, e.timeout)
	defer stop()
	said := ""
	last, err := e.manager.AwaitAgent(waiting, e.move.cluster, func(c fleet.Cluster) {
		if words := c.Joining(); words != said && !c.Joined() {
			e.say("waiting: %s", words)
			said = words
		}
	})
	switch {
	case err == nil:
		e.say("the agent of cluster %q has checked in", e.move.cluster)
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		err = &commandError{exit: exitTimeout, code: "timeout", err: err, what: fmt.Sprintf("cluster %q: not joined after %s: %s", e.move.cluster, orchestrator.Duration(e.timeout), last.Joining())}
	case errors.Is(err, context.Canceled):
		err = &commandError{exit: exitInterrupted, code: "interrupted", err: err, what: fmt.Sprintf("interrupted; cluster %q has not joined: %s", e.move.cluster, last.Joining())}
	}
	return e.remaining(made, err)
}

// remaining says what stays of a registration that did not end well, how to go
// on and how to take it back.
func (e *enrolment) remaining(made fleet.Made, err error) error {
	if len(made) == 0 {
		return err
	}
	v := classify(err)
	if failed, is := errors.AsType[*fleet.ImportError](err); is {
		v.code = "import-failed"
		err = fmt.Errorf("%w; Fleet goes on trying", failed)
	}
	return &commandError{exit: v.exit, code: v.code, err: err,
		what: fmt.Sprintf("%v\n  it has no label of application %q yet; what was made stays: %s", err, e.move.app.Name, strings.Join(made, ", ")),
		hint: fmt.Sprintf("%s tries again, with the kubeconfig as it is then\nkubectl --namespace %s delete %s takes it back", e.again(), e.manager.Workspace(), strings.Join(made, " "))}
}
