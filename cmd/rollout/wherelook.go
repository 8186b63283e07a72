package main

import (
	"context"
	"fmt"
	"strings"

	"rollout/fleet"
	"rollout/orchestrator"
	"rollout/rings"
)

// lookWhere asks the branches and the clusters. With a cluster, only its ring
// is looked at.
func (p *program) lookWhere(ctx context.Context, r *whereRecord, cluster rings.ClusterName) (whereView, error) {
	v := whereView{App: r.app.Name, At: instant(p.now()), Source: sourceClusters, Places: []placeView{}}
	m, err := p.managerOf(ctx, scopeOf(r.app))
	if err != nil {
		return v, recordedInstead(r.app.Name, err)
	}
	clusters, err := m.Clusters(ctx)
	if err != nil {
		return v, recordedInstead(r.app.Name, err)
	}
	if v.Rings, err = ringsWith(r.app, clusters, cluster); err != nil {
		return v, err
	}
	look := previewer{manager: m, pub: p.publisher(m), prospect: &prospect{app: r.app, created: everything(r.app, v.Rings), clusters: clusters}}
	defer look.pub.Close()
	look.all(ctx)
	for _, s := range r.app.Services {
		for _, n := range look.created.Steps {
			if n.Target.Service == s.Name {
				v.Places = append(v.Places, look.place(n, r.place(refOfNew(n))))
			}
		}
	}
	return v, nil
}

// recordedInstead adds that there is something to see all the same.
func recordedInstead(app rings.AppName, err error) error {
	v := classify(err)
	if v.exit == exitInterrupted {
		return err
	}
	hint := fmt.Sprintf("\"rollout where %s --recorded\" shows what was seen last", app)
	if v.hint != "" {
		hint = v.hint + "; " + hint
	}
	return &commandError{exit: v.exit, code: v.code, hint: hint, err: err, what: err.Error()}
}

// ringsWith are all rings, or the one that the cluster is on.
func ringsWith(a *rings.Application, clusters []fleet.Cluster, cluster rings.ClusterName) ([]rings.RingName, error) {
	if cluster == "" {
		return a.RingNames(), nil
	}
	var ours []string
	for _, c := range clusters {
		ring, owned := a.Owns(c.Labels)
		if _, err := a.Ring(ring); !owned || err != nil {
			continue
		}
		if c.Name == cluster {
			return []rings.RingName{ring}, nil
		}
		ours = append(ours, string(c.Name))
	}
	return nil, &rings.UnknownError{Kind: "cluster", Name: string(cluster), Where: fmt.Sprintf("application %q", a.Name), Nearest: rings.Nearest(string(cluster), ours)}
}

// everything is a rollout that only looks at all services on the rings.
func everything(a *rings.Application, on []rings.RingName) orchestrator.Created {
	c := orchestrator.Created{Scope: scopeOf(a)}
	for _, ring := range on {
		c.Rings = append(c.Rings, orchestrator.NewRing{Name: ring})
		for _, s := range a.Services {
			c.Steps = append(c.Steps, orchestrator.NewStep{Ring: ring, Target: orchestrator.TargetOf(s), Observed: true, Known: s.Known[ring]})
		}
	}
	return c
}

// place is what was seen of the step's service on its ring. Since when it is
// there is taken from the record, as far as that agrees.
func (l *prospect) place(n orchestrator.NewStep, recorded placeView) placeView {
	v := placeView{Service: n.Target.Service, Ring: n.Ring, Drift: []string{}, Clusters: []placeClusterView{}}
	l.fill(&v, n, recorded)
	v.judge()
	return v
}

// fill says what was seen, and where something was not, why.
func (l *prospect) fill(v *placeView, n orchestrator.NewStep, recorded placeView) {
	look, survey := l.services[n.Target.Service], l.surveys[refOfNew(n)]
	switch {
	case survey == nil: // a ring without clusters
		return
	case survey.err != nil:
		v.Reason = survey.err.Error()
		v.Clusters = unseen(l.on(n.Ring), "the branch could not be read")
		return
	}
	v.Desired = survey.Version
	if len(survey.Versions) > 1 {
		v.Reason = "the branch gives its clusters several versions: " + join(survey.Versions)
	}
	if v.Desired == recorded.Desired {
		v.Since, v.Rollout = recorded.Since, recorded.Rollout
	}
	v.Settings = survey.Settings
	for _, name := range survey.Settings.Names() {
		if value := survey.Settings[name]; !n.Known.WroteValue(name, value) {
			v.Drift = append(v.Drift, fmt.Sprintf("its fleet.yaml says %s=%s for %s, last recorded here is %s: commit %s by %s", name, value, n.Ring,
				n.Known.Settings[name], short(survey.Commit), cmpHint(survey.Author, "unknown")))
		}
	}
	for _, version := range foreignVersions(n, survey.Survey) {
		v.Drift = append(v.Drift, foreignWords(n, survey.Survey, version))
	}
	if look.err != nil {
		v.Reason = look.err.Error()
		v.Clusters = unseen(survey.Expected, "it could not be looked at")
		return
	}
	st := &stepLook{prospect: l, step: n, look: look, survey: survey.Survey}
	v.Clusters = append(v.Clusters, st.everywhere()...)
	for _, c := range v.Clusters {
		if strings.HasPrefix(c.Reason, wordModified) {
			v.Drift = append(v.Drift, fmt.Sprintf("%s: %s", c.Name, c.Reason))
		}
	}
}

// unseen are clusters of which nothing is known.
func unseen(names []rings.ClusterName, why string) []placeClusterView {
	out := []placeClusterView{}
	for _, name := range names {
		out = append(out, placeClusterView{Name: name, Reason: why})
	}
	return out
}

// everywhere are the clusters that are to have the service, and then those
// that are not and have it.
func (s *stepLook) everywhere() []placeClusterView {
	var out []placeClusterView
	for _, name := range s.survey.Expected {
		c := s.cluster(name)
		out = append(out, placeClusterView{Name: name, Observed: c.Runs, Reason: c.Reason})
	}
	for _, x := range s.survey.Excluded {
		if d, there := s.look.deployed[x.Cluster]; there && !d.Deleting {
			c := s.cluster(x.Cluster)
			out = append(out, placeClusterView{Name: x.Cluster, Observed: c.Runs, Reason: "it is not to have it: " + x.Why})
		}
	}
	return out
}
