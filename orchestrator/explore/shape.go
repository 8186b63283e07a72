package explore

import (
	"fmt"
	"slices"

	"rollout/orchestrator"
	"rollout/rings"
)

// Shape is the size of what is explored, and what may go wrong in it.
type Shape struct {
	Services []Service
	Rings    int // one after the other, one rollout over all of them
	Clusters int // in each ring; at most 9
	// OnFailure is the policy of every ring.
	OnFailure rings.OnFailure
	// Faults are how often each fault happens in one path, at most.
	Faults Faults
}

// Service is one of a Shape's.
type Service struct {
	Name  string // one letter
	Repo  string // one letter; those of one repository share commits
	Needs []string
}

// Faults are numbers of faults.
type Faults struct {
	Crash   int // the driver dies, at any moment, and another one takes over
	Stale   int // one fact is the one before the latest
	Cluster int // a service on a cluster does not become ready for good
	Manual  int // somebody else sets another version for a service on a ring
	Total   int // of all of them; zero means as many as they are
}

// happens takes one of a kind away; when Total have happened, no more do.
func (f *Faults) happens(kind *int) {
	*kind--
	if f.Total > 0 {
		if f.Total--; f.Total == 0 {
			*f = Faults{}
		}
	}
}

// allFour: each fault may happen once.
var allFour = Faults{Crash: 1, Stale: 1, Cluster: 1, Manual: 1}

// Full is the size that is explored by hand: 3 services, of which one needs
// another and shares its repository with the third, on 2 rings of 2 clusters.
func Full() Shape {
	return Shape{
		Services: []Service{{Name: "a", Repo: "p"}, {Name: "b", Repo: "q", Needs: []string{"a"}}, {Name: "c", Repo: "q"}},
		Rings:    2, Clusters: 2, Faults: allFour,
	}
}

// Small is the size that every test run explores: 2 services in a repository, of
// which one needs the other, on a ring of 2 clusters.
func Small() Shape {
	return Shape{
		Services: []Service{{Name: "a", Repo: "p"}, {Name: "b", Repo: "p", Needs: []string{"a"}}},
		Rings:    1, Clusters: 2, Faults: allFour,
	}
}

// Sharing is Small with services that do not need each other: they go together,
// in one commit.
func Sharing() Shape {
	s := Small()
	s.Services[1].Needs = nil
	return s
}

// TakingBack is Small with the policy that a failure takes everything back.
func TakingBack() Shape {
	s := Small()
	s.OnFailure = rings.FailureRollback
	return s
}

func (s Shape) String() string {
	after := string(s.OnFailure)
	if after == "" {
		after = "stop"
	}
	out := fmt.Sprintf("%d services, %d rings, %d clusters each, on failure %s; at most %d crash, %d stale read, %d failed cluster, %d manual change",
		len(s.Services), s.Rings, s.Clusters, after, s.Faults.Crash, s.Faults.Stale, s.Faults.Cluster, s.Faults.Manual)
	if s.Faults.Total > 0 {
		out += fmt.Sprintf(", %d of them in one path", s.Faults.Total)
	}
	return out
}

const (
	maxServices = 3
	maxRings    = 2
	maxClusters = 2 // of a ring
)

// The versions that there are, and the nonce that every file has at first.
const (
	verOld   = iota // what runs at first
	verNew          // what is rolled out
	verOther        // what somebody else sets
)

var versions = [...]rings.Version{"v1", "v2", "v9"}

const firstNonce = 1

func ringName(r int) rings.RingName { return rings.RingName(fmt.Sprintf("ring-%d", r+1)) }

// layout is a shape with its names looked up: services, rings and clusters are
// numbers in the world.
type layout struct {
	Shape
	services []rings.ServiceName
	rings    []rings.RingName
	clusters [][]rings.ClusterName // by ring
	repo     [maxServices]int
	repos    int
	needs    [maxServices][]int
	commits  [][]string // names of commits, by repository
	takeBack bool
}

func newLayout(s Shape) *layout {
	l := &layout{Shape: s, takeBack: s.OnFailure == rings.FailureRollback || s.OnFailure == rings.FailureRollbackRing}
	var repos []string
	for i, svc := range s.Services {
		l.services = append(l.services, rings.ServiceName(svc.Name))
		at := slices.Index(repos, svc.Repo)
		if at < 0 {
			at = len(repos)
			repos = append(repos, svc.Repo)
		}
		l.repo[i] = at
		for _, need := range svc.Needs {
			l.needs[i] = append(l.needs[i], slices.IndexFunc(s.Services, func(o Service) bool { return o.Name == need }))
		}
	}
	l.repos = len(repos)
	for _, repo := range repos {
		var names []string
		for n := range 64 {
			names = append(names, fmt.Sprintf("%s%02d", repo, n))
		}
		l.commits = append(l.commits, names)
	}
	for r := range s.Rings {
		l.rings = append(l.rings, ringName(r))
		var names []rings.ClusterName
		for k := range s.Clusters {
			names = append(names, rings.ClusterName(fmt.Sprintf("r%d-%d", r+1, k+1)))
		}
		l.clusters = append(l.clusters, names)
	}
	return l
}

// created is the rollout's first event.
func (l *layout) created() orchestrator.Created {
	app := &rings.Application{Name: "shop", Workspace: "w", RingLabel: "ring", Plan: rings.Plan{}}
	for r := range l.Rings {
		app.Rings = append(app.Rings, rings.Ring{Name: l.rings[r], Policy: rings.Policy{OnFailure: l.OnFailure}})
	}
	for i, svc := range l.Services {
		s := rings.Service{Name: l.services[i], Repo: svc.Repo, Branch: "main", Path: svc.Name, GitRepo: svc.Name, LastNonce: firstNonce, Known: map[rings.RingName]rings.Known{}}
		for _, need := range svc.Needs {
			s.DependsOn = append(s.DependsOn, rings.ServiceName(need))
		}
		for _, ring := range l.rings {
			s.Known[ring] = rings.Known{Version: versions[verOld]}
		}
		app.Services = append(app.Services, s)
		app.Plan[s.Name] = rings.PlanEntry{Version: versions[verNew]}
	}
	c, err := orchestrator.New(app, orchestrator.Request{Rings: l.rings})
	if err != nil {
		panic(fmt.Sprintf("explore: a shape that cannot begin: %v", err))
	}
	return c
}

func (l *layout) service(name rings.ServiceName) int { return int(name[0] - l.services[0][0]) }

func (l *layout) ring(name rings.RingName) int { return int(name[len(name)-1] - '1') }

// cluster is the number of the cluster in its ring.
func cluster(name rings.ClusterName) int { return int(name[len(name)-1] - '1') }

// commitNumber is the place of a commit in its repository.
func commitNumber(name string) int { return int(name[1]-'0')*10 + int(name[2]-'0') }

func versionNumber(v rings.Version) int { return slices.Index(versions[:], v) }
