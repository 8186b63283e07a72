package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// previous is what runs where no version is known.
const previous rings.Version = "previous"

// Sample is an application to try things with: web needs api, api needs db, and
// three rings with a soak of an hour, each of which takes everything back when
// it fails. Nothing of it exists.
func Sample() *rings.Application {
	a := &rings.Application{Name: "sample", Workspace: "fleet-default", RingLabel: "ring", Selector: map[string]string{"app": "sample"}}
	for _, name := range []rings.RingName{"ring-1", "ring-2", "ring-3"} {
		a.Rings = append(a.Rings, rings.Ring{Name: name, Policy: rings.Policy{Soak: time.Hour, OnFailure: rings.FailureRollback}})
	}
	for _, s := range []rings.Service{{Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"db"}}, {Name: "web", DependsOn: []rings.ServiceName{"api"}}} {
		s.Repo, s.Branch, s.Path, s.Fields = "https://git.example.com/sample", "main", string(s.Name), []string{rings.DefaultField}
		a.Services = append(a.Services, s)
	}
	return a
}

// ClusterNames are n clusters, shared out among the rings as so many are there:
// in proportion, each ring that has one keeping at least one. When none is
// there, each ring gets twice as many as the one before it.
func ClusterNames(a *rings.Application, there map[rings.RingName]int, n int) map[rings.RingName][]rings.ClusterName {
	weights := weightsOf(a, there)
	out := map[rings.RingName][]rings.ClusterName{}
	for i, count := range share(weights, n) {
		ring := a.Rings[i].Name
		for c := range count {
			out[ring] = append(out[ring], rings.ClusterName(fmt.Sprintf("%s-%04d", ring, c+1)))
		}
	}
	return out
}

func weightsOf(a *rings.Application, there map[rings.RingName]int) []int {
	weights, sum := make([]int, len(a.Rings)), 0
	for i, ring := range a.Rings {
		weights[i] = there[ring.Name]
		sum += weights[i]
	}
	for i := range weights {
		if sum == 0 {
			weights[i] = 1 << min(i, 20)
		}
	}
	return weights
}

// share parts n by weight; what rounding leaves over goes to the last ones. Who
// has a weight gets one at least, as long as there are enough.
func share(weights []int, n int) []int {
	out, left, sum := make([]int, len(weights)), n, 0
	for i, w := range weights {
		if w > 0 && left > 0 {
			out[i], left = 1, left-1
		}
		sum += w
	}
	rest := left
	for i, w := range weights {
		if sum > 0 {
			more := rest * w / sum
			rest, sum = rest-more, sum-w
			out[i] += more
		}
	}
	return out
}

// modelOf is the application as its simulated fleet has it. What the rehearsal
// cannot know without git is as it is by default: where a version stands, and
// what a Bundle is named.
func modelOf(a *rings.Application) *rings.Application {
	m := *a
	m.Services = slices.Clone(a.Services)
	branches := map[string]string{}
	for i := range m.Services {
		s := &m.Services[i]
		if b, met := branches[s.Repo]; met && b != s.Branch {
			s.Repo += "#" + s.Branch
		}
		branches[s.Repo] = s.Branch
		s.Path, s.Bundle, s.Fields, s.AcceptRedeploy = string(s.Name), string(s.Name), []string{rings.DefaultField}, false
		if s.GitRepo == "" {
			s.GitRepo = string(s.Name)
		}
		s.Known = maps.Clone(s.Known)
	}
	return &m
}

// repositories makes the services' files, with what is known to run on every
// ring.
func (r *rehearsing) repositories() {
	made := map[string]bool{}
	for _, s := range r.app.Services {
		if !made[s.Repo] {
			r.world.AddRepo(s.Repo, s.Branch)
			made[s.Repo] = true
		}
		at := map[rings.RingName]entry{}
		for _, ring := range r.app.RingNames() {
			v := previous
			if known := s.Known[ring].Version; known != "" {
				v = known
			}
			at[ring] = entry{version: rings.Version(strconv.Quote(string(v))), nonce: s.LastNonce}
		}
		r.world.AddService(s, []byte(fileOf(r.app, s.Name, at)))
	}
}

// rolled are the clusters of the rollout's rings, sorted within each.
func rolled(o RehearseOptions, c orchestrator.Created) []rings.ClusterName {
	var out []rings.ClusterName
	for _, ring := range c.RingNames() {
		out = append(out, slices.Sorted(slices.Values(o.Clusters[ring]))...)
	}
	return out
}
