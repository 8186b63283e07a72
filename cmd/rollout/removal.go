package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

// Two different things can be done with what is not wanted any more. To forget
// it here leaves everything on the clusters as it is, and asks. To uninstall it
// from clusters takes two steps.

func confirmFlag() cli.Flag {
	return &cli.StringFlag{Name: "confirm", Usage: "`WORD` that the first step gave: do what it showed"}
}

// twoSteps returns nil when exactly what was shown, for which shown stands, was
// agreed to: with --confirm, or by a person on a terminal. --yes agrees to
// nothing, because it is given before anything was shown. again is the command
// without --confirm.
func (p *program) twoSteps(ctx context.Context, confirm, shown, question, again string) error {
	switch {
	case confirm == shown:
		return nil
	case confirm != "":
		return changedSince(again)
	case !p.questions:
		return &usageError{what: "this uninstalls, so it takes two steps; this was the first, and nothing was changed", hint: again + " --confirm " + shown}
	}
	asks := *p
	asks.flags.yes = false
	return asks.confirm(ctx, question)
}

// changedSince refuses what is not any more what was agreed to.
func changedSince(again string) error {
	return &commandError{exit: exitConflict, code: "changed", what: "what would be uninstalled is not what was confirmed: nothing was changed", hint: "see what it is now: " + again}
}

// silent prints nothing: what there is to see was shown before.
func silent(io.Writer) error { return nil }

// note is who does something now, and why.
func (p *program) note(ctx context.Context, reason string) rings.Note {
	return rings.Note{By: p.actor(ctx), At: p.now().UTC(), Reason: reason, Link: p.link()}
}

// remains are what stays on the clusters when something is forgotten here.
type remains struct {
	services []staysView
	labels   []labelsView
}

// staying looks at which of the services are deployed where, and which clusters
// the application's labels are on. When that cannot be seen it says so, and
// nothing stands in the way of forgetting: the manager may be gone for good.
func (p *program) staying(ctx context.Context, a *rings.Application, services []rings.Service) (remains, bool) {
	s, err := p.lookStaying(ctx, a, services)
	if err != nil {
		p.say("warning: what stays on the clusters could not be seen: %v", err)
		return remains{}, false
	}
	return s, true
}

func (p *program) lookStaying(ctx context.Context, a *rings.Application, services []rings.Service) (remains, error) {
	s := remains{services: []staysView{}, labels: []labelsView{}}
	m, err := p.managerOf(ctx, scopeOf(a))
	if err != nil {
		return s, err
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return s, err
	}
	on := map[rings.ClusterName]rings.RingName{}
	for _, c := range clusters {
		if ring, ours := a.Owns(c.Labels); ours {
			on[c.Name] = ring
			s.labels = append(s.labels, labelsView{c.Name, ring})
		}
	}
	for _, service := range services {
		deployed, err := m.Standing(ctx, orchestrator.TargetOf(service))
		if err != nil {
			return s, err
		}
		s.services = append(s.services, byRing(a, service.Name, deployed, on)...)
	}
	return s, nil
}

// byRing groups the clusters of a service by their rings: the application's in
// order, then the others.
func byRing(a *rings.Application, service rings.ServiceName, deployed []rings.ClusterName, on map[rings.ClusterName]rings.RingName) []staysView {
	groups := map[rings.RingName][]rings.ClusterName{}
	for _, c := range deployed {
		ring := on[c]
		if _, err := a.Ring(ring); err != nil {
			ring = ""
		}
		groups[ring] = append(groups[ring], c)
	}
	var out []staysView
	for _, ring := range append(a.RingNames(), "") {
		if len(groups[ring]) > 0 {
			out = append(out, staysView{Service: service, Ring: ring, Clusters: groups[ring]})
		}
	}
	return out
}

// showStays says what forgetting leaves as it is. uninstall is the command that
// would not, "" for that of each service and ring.
func (p *program) showStays(a *rings.Application, s remains, uninstall string) {
	if p.flags.output != "text" {
		return
	}
	p.say("nothing is uninstalled. What stays as it is:")
	for _, v := range s.services {
		where, hint := "clusters on no ring of it", ""
		if v.Ring != "" {
			where = fmt.Sprintf("ring %q", v.Ring)
			hint = fmt.Sprintf("; \"%s\" uninstalls it, as long as it is not forgotten", cmp.Or(uninstall, fmt.Sprintf("rollout service undeploy %s %s %s", a.Name, v.Service, v.Ring)))
		}
		p.say("  service %q is deployed on %s: %s%s", v.Service, where, shortNames(v.Clusters), hint)
	}
	if len(s.services) == 0 {
		p.say("  nothing of it is deployed")
	}
}

// labelled are the clusters whose labels put them on the ring.
func (s remains) labelled(ring rings.RingName) []rings.ClusterName {
	var out []rings.ClusterName
	for _, l := range s.labels {
		if l.Ring == ring {
			out = append(out, l.Cluster)
		}
	}
	slices.Sort(out)
	return out
}

// inUseHint is how to free what is still needed.
func inUseHint(e *rings.InUseError) string {
	switch e.ByKind {
	case "service":
		return fmt.Sprintf("\"rollout service set-deps %s %s ...\" says what it depends on", e.App, e.By[0])
	case "cluster":
		return fmt.Sprintf("move them with \"rollout cluster set-ring CLUSTER RING --app %s\", or forget them with \"rollout cluster remove CLUSTER --app %s\"", e.App, e.App)
	case kindLabel:
		return fmt.Sprintf("\"rollout cluster add CLUSTER --app %s --ring RING\" puts it on another ring; after that \"rollout cluster remove CLUSTER --app %s --uninstall\" takes it off", e.App, e.App)
	case "ring group":
		return fmt.Sprintf("rollout ring group delete %s %s", e.App, e.By[0])
	}
	return ""
}
