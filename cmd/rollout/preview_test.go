package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
	"rollout/fleet/gitrepo"
	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
)

// shopClusters are on four rings; the fifth has none.
var shopClusters = map[rings.RingName][]rings.ClusterName{"ring-1": {"eu-1", "eu-2"}, "ring-2": {"eu-3", "eu-4", "us-1"}, "ring-3": {"us-2"}, "ring-9": {"us-9"}, "": {"eu-0"}}

// everywhere is a GitRepo's target that selects every cluster but us-1.
var everywhere = []fleetyaml.Target{{Name: "all", ClusterSelector: &metav1.LabelSelector{
	MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"us-1"}}}}}}

// shopFile gives each ring a version and, unless it is 0, a nonce.
func shopFile(nonce int64, extra string) string {
	var b strings.Builder
	b.WriteString("# by hand\nhelm:\n  values:\n    image: {tag: v0}\n" + extra + "targetCustomizations:\n")
	for _, ring := range []string{"ring-1", "ring-2", "ring-3"} {
		fmt.Fprintf(&b, "- name: %s\n  clusterSelector:\n    matchLabels: {ring: %s}\n  helm:\n    values:\n      image:\n        tag: v1 # of %s\n", ring, ring, ring)
		if nonce > 0 {
			fmt.Fprintf(&b, "  forceSyncGeneration: %d\n", nonce)
			nonce++
		}
	}
	return b.String()
}

// shopApp depends on cache, which is not in its plan.
func shopApp() *rings.Application {
	a := &rings.Application{Name: "shop", Workspace: "fleet-default", Manager: "5f2c", RingLabel: "ring", Selector: map[string]string{"app": "shop"},
		Rings: []rings.Ring{{Name: "ring-1", Policy: rings.Policy{Soak: time.Hour, Checks: []rings.Check{{Name: "smoke"}}}}, {Name: "ring-2", Policy: rings.Policy{
			ApproveBefore: true, ApproveAfter: true, ApprovalExpires: 8 * time.Hour, MaxFailed: rings.Amount{N: 10, Percent: true}, OnFailure: rings.FailureRollback,
			OnOffline: rings.OfflineSkip, MaxOffline: rings.Amount{N: 1}, OnJoin: rings.JoinLater}}, {Name: "ring-3"}, {Name: "ring-4"}},
		Plan:     rings.Plan{"db": {Version: "v2"}, "api": {Version: "v2"}, "web": {Version: "v1"}},
		Services: []rings.Service{{Name: "cache"}, {Name: "db"}, {Name: "api", DependsOn: []rings.ServiceName{"cache", "db"}}, {Name: "web", DependsOn: []rings.ServiceName{"api"}}}}
	for i := range a.Services {
		s := &a.Services[i]
		s.Repo, s.Branch, s.Path, s.GitRepo, s.Bundle = fmt.Sprintf("https://git.example.com/shop/%s.git", s.Name), "main", "deploy", "shop-"+string(s.Name), "shop-"+string(s.Name)
		s.Fields, s.Known = []string{rings.DefaultField}, map[rings.RingName]rings.Known{}
		for _, r := range a.Rings {
			s.Known[r.Name] = rings.Known{Version: "v1"}
		}
	}
	return a
}

// shopProspect is a rollout to the rings, as it would be found where every
// cluster runs v1 and is well.
func shopProspect(t *testing.T, a *rings.Application, request orchestrator.Request) *prospect {
	t.Helper()
	if request.Empty == nil {
		request.Empty = []rings.RingName{"ring-4"}
	}
	created, err := orchestrator.New(a, request)
	if err != nil {
		t.Fatal(err)
	}
	l := &prospect{app: a, created: created, services: map[rings.ServiceName]*serviceLook{}, surveys: map[orchestrator.Ref]*surveyLook{}}
	for ring, names := range shopClusters {
		for _, name := range names {
			l.clusters = append(l.clusters, fleet.Cluster{Name: name, Labels: map[string]string{"app": "shop", "ring": string(ring), "name": string(name), "team": "b"}})
		}
	}
	delete(l.clusters[slices.IndexFunc(l.clusters, func(c fleet.Cluster) bool { return c.Name == "eu-0" })].Labels, "ring")
	slices.SortFunc(l.clusters, func(a, b fleet.Cluster) int { return strings.Compare(string(a.Name), string(b.Name)) })
	for _, s := range a.Services {
		l.services[s.Name] = l.seen(t, s, shopFile(5, ""))
	}
	l.survey(t)
	return l
}

// seen is the service with a file that all clusters have acknowledged.
func (l *prospect) seen(t *testing.T, s rings.Service, text string) *serviceLook {
	t.Helper()
	file, err := fleetyaml.Parse("deploy/fleet.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	look := &serviceLook{service: s, target: orchestrator.TargetOf(s), deployed: map[rings.ClusterName]fleet.Deployment{},
		file: manifest{file, gitrepo.File{Name: "deploy/fleet.yaml", Bytes: []byte(text), Tip: "c0ffee"}}, at: map[string]*fleetyaml.File{"c0ffee": file}}
	look.reach.Targets = everywhere
	for _, c := range l.clusters {
		look.reach.Clusters = append(look.reach.Clusters, fleetyaml.Cluster{Name: string(c.Name), Labels: c.Labels})
	}
	view, err := file.View(everywhere, fieldsOf(s))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range look.reach.Clusters {
		e, err := view.Effect(c)
		if err != nil {
			t.Fatal(err)
		}
		if name := rings.ClusterName(c.Name); e.Deployed {
			look.deployed[name] = fleet.Deployment{Bundle: s.Bundle, Deployment: orchestrator.Deployment{Cluster: name, Commit: "c0ffee", SpecNonce: e.Nonce, StatusNonce: e.Nonce,
				Staged: true, Applied: true, Ready: true, NonModified: true}}
		}
	}
	return look
}

// survey says for all steps what their files do.
func (l *prospect) survey(t *testing.T) {
	t.Helper()
	for _, n := range l.created.Steps {
		look := l.services[n.Target.Service]
		view, err := look.file.View(look.reach.Targets, fieldsOf(look.service))
		if err != nil {
			t.Fatal(err)
		}
		s := orchestrator.Survey{Service: n.Target.Service, Tip: "c0ffee", Commit: "c0ffee", Author: "Eve <eve@example.com>", At: started, Lineage: []string{"c0ffee"}, MaxNonce: look.file.MaxNonce()}
		for _, c := range clustersOn(l.app, n.Ring, look.reach.Clusters) {
			e, err := view.Effect(c)
			if err != nil {
				t.Fatal(err)
			}
			if !e.Deployed {
				s.Excluded = append(s.Excluded, orchestrator.Excluded{Cluster: rings.ClusterName(c.Name), Why: "not targeted by GitRepo " + look.target.GitRepo})
				continue
			}
			s.Expected = append(s.Expected, rings.ClusterName(c.Name))
			s.Version, s.Nonce = rings.Version(e.Version), e.Nonce
		}
		l.surveys[refOfNew(n)] = &surveyLook{Survey: s}
	}
}

// change makes another of the cluster's deployment of the service.
func (l *prospect) change(service rings.ServiceName, cluster rings.ClusterName, fn func(*fleet.Deployment)) {
	d := l.services[service].deployed[cluster]
	fn(&d)
	l.services[service].deployed[cluster] = d
}

// passing is a rollout through an empty ring to one with clusters.
func passing(a *rings.Application) orchestrator.Request {
	a.Rings[2], a.Rings[3] = a.Rings[3], a.Rings[2]
	return orchestrator.Request{Rings: []rings.RingName{"ring-3"}, Through: true}
}

// mixed is a rollout over three rings with a bit of everything that can be seen
// before the start.
func mixed(t *testing.T) *prospect {
	t.Helper()
	a := shopApp()
	l := shopProspect(t, a, passing(a))
	l.services["api"] = l.seen(t, l.services["api"].service, shopFile(0, ""))
	l.services["db"] = l.seen(t, l.services["db"].service, shopFile(5, "rolloutStrategy: {maxUnavailable: 1}\n"))
	l.survey(t)
	old, err := fleetyaml.Parse("deploy/fleet.yaml", []byte(strings.ReplaceAll(shopFile(3, ""), "tag: v1", "tag: v0")))
	if err != nil {
		t.Fatal(err)
	}
	l.services["db"].at["01d"] = old
	l.change("db", "eu-1", func(d *fleet.Deployment) { d.Commit, d.SpecNonce, d.StatusNonce = "01d", 3, 3 })
	l.change("db", "eu-2", func(d *fleet.Deployment) { d.SpecNonce, d.Applied = 9, false })
	l.change("api", "eu-3", func(d *fleet.Deployment) { d.NonModified, d.Words = false, "deployment shop/api: replicas" })
	l.change("api", "eu-4", func(d *fleet.Deployment) { d.Commit = "f0r9077en" })
	l.change("cache", "us-2", func(d *fleet.Deployment) { d.Ready, d.Words = false, "deployment shop/cache 0/1 replicas" })
	l.live = []liveRollout{{store.Summary{ID: "billing-3", App: "billing", Rings: []rings.RingName{"b"}, Phase: orchestrator.Running, StartedBy: "eve@example.com", StartedAt: started,
		Versions: map[rings.ServiceName]rings.Version{"database": "v9", "gateway": "v1"}},
		&rings.Application{Name: "billing", RingLabel: "team", Services: []rings.Service{
			{Name: "database", Repo: "git@git.example.com:shop/db", Branch: "main", Path: "/deploy/", GitRepo: "billing-db"},
			{Name: "gateway", Repo: "https://git.example.com/other.git", Branch: "main", GitRepo: "shop-web"},
			{Name: "unplanned", Repo: "https://git.example.com/shop/api.git", Branch: "main", Path: "deploy", GitRepo: "shop-api"}}}}}
	return l
}

// What people and scripts see of a rollout before it starts.
func TestPreview(t *testing.T) {
	v, err := mixed(t).view()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for file, got := range map[string]string{
		"mixed-long.golden":  strings.Join(v.lines(style{}), "\n"),
		"mixed-short.golden": strings.Join(previewLines(v), "\n"),
		"mixed.json":         string(data),
	} {
		goldenPreview(t, file, got+"\n")
	}
	if strings.Count(string(data), ": null") != 1 { // of what is no train
		t.Error("scripts are to find lists, also empty ones, where lists are")
	}
}

func goldenPreview(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "preview", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// What would fail is refused before the start, all of it at once.
func TestPreview_refused(t *testing.T) {
	both := orchestrator.Request{Rings: []rings.RingName{"ring-1", "ring-2"}}
	tests := []struct {
		name    string
		request orchestrator.Request
		make    func(*testing.T, *rings.Application, *prospect)
		code    string
		exit    int
		want    []string
	}{
		{"a named ring without clusters, and a file that cannot be edited", orchestrator.Request{Rings: []rings.RingName{"ring-1", "ring-2", "ring-3", "ring-4"}},
			func(t *testing.T, a *rings.Application, l *prospect) {
				l.services["db"] = l.seen(t, l.services["db"].service, strings.Replace(shopFile(5, ""), "        tag: v1 # of ring-1\n", "        tag: ${ .ClusterLabels.tag }\n", 1))
				l.services["web"] = l.seen(t, l.services["web"].service, strings.ReplaceAll(shopFile(5, ""), "tag: v1", "tag: v8"))
				l.survey(t)
			}, "fleet-yaml", exitInvalid, []string{`service "db": https://git.example.com/shop/db.git`, "is a template", `service "web": its fleet.yaml says v8 for ring-1`, `ring "ring-4" of application "shop" has no clusters`}},
		{"a version by hand", both, func(t *testing.T, a *rings.Application, l *prospect) {
			l.services["api"] = l.seen(t, l.services["api"].service, strings.Replace(shopFile(5, ""), "tag: v1 # of ring-2", "tag: v7", 1))
			l.survey(t)
		}, "manual-change", exitConflict, []string{`service "api": its fleet.yaml says v7 for ring-2, last recorded here is v1: commit c0ffee by Eve <eve@example.com>`}},
		{"new clusters, which the strategy leaves out", both, func(t *testing.T, a *rings.Application, l *prospect) {
			l.services["db"] = l.seen(t, l.services["db"].service, shopFile(5, "rolloutStrategy: {maxNew: 0}\n"))
			delete(l.services["db"].deployed, "eu-3")
			l.survey(t)
		}, "fleet-yaml", exitInvalid, []string{"ring-2", "maxNew 0: a cluster that is new to the bundle never gets it (clusters eu-3)"}},
		{"a cluster that runs it and would not get the change", both, func(t *testing.T, a *rings.Application, l *prospect) {
			l.services["db"].deployed["us-1"] = fleet.Deployment{Bundle: "shop-db"}
		}, "undeployed-cluster", exitInvalid, []string{`service "db": cluster "us-1" of ring-2 runs it, but would not get the change: not targeted by GitRepo shop-db`}},
		{"a repository that is not there", both, func(t *testing.T, a *rings.Application, l *prospect) {
			for _, ring := range both.Rings {
				l.surveys[orchestrator.Ref{Ring: ring, Service: "db"}].err = fmt.Errorf("service %q: %w", "db", &gitrepo.Error{Result: orchestrator.Refused, Code: orchestrator.CodeNotFound, Words: "gone"})
			}
		}, "not-found", exitNotFound, []string{`service "db": gone`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := shopApp()
			l := shopProspect(t, a, tt.request)
			tt.make(t, a, l)
			_, err := l.view()
			if err == nil {
				t.Fatal("not refused")
			}
			if v := classify(err); v.code != tt.code || v.exit != tt.exit {
				t.Errorf("code %s, exit %d, want %s, %d: %v", v.code, v.exit, tt.code, tt.exit, err)
			}
			for _, want := range tt.want {
				if n := strings.Count(err.Error(), want); n != 1 {
					t.Errorf("%q is there %d times, want once:\n%v", want, n, err)
				}
			}
		})
	}
}

// What is no reason to refuse is shown.
func TestPreview_steps(t *testing.T) {
	one := orchestrator.Request{Rings: []rings.RingName{"ring-1"}}
	redeploy := one
	redeploy.Options.Redeploy = true
	tests := []struct {
		name    string
		request orchestrator.Request
		make    func(*testing.T, *prospect)
		step    rings.ServiceName
		words   string
		nonce   int64
	}{
		{"a change", one, func(*testing.T, *prospect) {}, "db", "on 2 clusters", 8},
		{"live", one, func(*testing.T, *prospect) {}, "web", wordsLive, 0},
		{"live, and deployed again", redeploy, func(*testing.T, *prospect) {}, "web", "deployed again", 8},
		{"in the file, but a cluster is not well", one, func(t *testing.T, l *prospect) {
			l.change("web", "eu-2", func(d *fleet.Deployment) { d.Ready = false })
		}, "web", "the file says so already, but it is not live everywhere: a commit, unless it is on its way", 8},
		{"in the file, but Fleet has another commit", one, func(t *testing.T, l *prospect) {
			l.change("web", "eu-2", func(d *fleet.Deployment) { d.Commit = "f0r9077en" })
		}, "web", "the file says so already, but it is not live everywhere: a commit, unless it is on its way", 8},
		{"in the file, without a nonce", one, func(t *testing.T, l *prospect) {
			l.services["web"] = l.seen(t, l.services["web"].service, shopFile(0, ""))
			l.survey(t)
		}, "web", "the file says so already: a commit for the acknowledgement", 1},
		{"a nonce that only a cluster shows", one, func(t *testing.T, l *prospect) {
			l.change("db", "us-2", func(d *fleet.Deployment) { d.SpecNonce = 40 })
		}, "db", "on 2 clusters", 41},
		{"a nonce that only the store knows", one, func(t *testing.T, l *prospect) {
			for i := range l.created.Steps {
				l.created.Steps[i].Floor = 50
			}
		}, "db", "on 2 clusters", 51},
		{"not on the ring", one, func(t *testing.T, l *prospect) {
			look := l.seen(t, l.services["db"].service, strings.Replace(shopFile(5, ""), "- name: ring-1\n", "- name: ring-1\n  doNotDeploy: true\n", 1))
			l.services["db"] = look
			l.survey(t)
		}, "db", wordsAbsent, 0},
		{"several versions", one, func(t *testing.T, l *prospect) {
			s := l.surveys[orchestrator.Ref{Ring: "ring-1", Service: "db"}]
			s.Version, s.Versions = "", []rings.Version{"v0", "v1"}
			for i := range l.created.Steps {
				l.created.Steps[i].Known.Attempted = "v0"
			}
		}, "db", "on 2 clusters with v0, v1 now", 8},
		{"out of reach", one, func(t *testing.T, l *prospect) {
			l.services["db"].err = &gitrepo.Error{Result: orchestrator.Unreachable, Code: orchestrator.CodeUnreach, Repo: "https://git.example.com/shop/db.git", Words: "no answer"}
		}, "db", "cannot be looked at now: https://git.example.com/shop/db.git: no answer", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := shopProspect(t, shopApp(), tt.request)
			tt.make(t, l)
			v, err := l.view()
			if err != nil {
				t.Fatal(err)
			}
			steps := v.Rings[0].Steps
			s := steps[slices.IndexFunc(steps, func(s previewStepView) bool { return s.Service == tt.step })]
			if s.Words != tt.words || s.Nonce != tt.nonce || (s.Nonce > 0) != (s.Diff != "") {
				t.Errorf("%q, nonce %d, want %q, %d; diff:\n%s", s.Words, s.Nonce, tt.words, tt.nonce, s.Diff)
			}
		})
	}
}

// A new chart in the bundle reaches the clusters of all rings.
func TestPreview_redeployed(t *testing.T) {
	a := shopApp()
	db, err := a.Service("db")
	if err != nil {
		t.Fatal(err)
	}
	db.Fields, db.AcceptRedeploy = []string{"helm.version"}, true
	l := shopProspect(t, a, orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Only: []rings.ServiceName{"db"}})
	text := strings.ReplaceAll(strings.ReplaceAll(shopFile(5, ""), "helm:\n    values:\n      image:\n        tag: v1", "helm:\n    version: v1"), "helm:\n  values", "helm:\n  chart: db\n  repo: https://charts.example.com\n  values")
	l.services["db"] = l.seen(t, *db, text)
	l.survey(t)
	v, err := l.view()
	if err != nil {
		t.Fatal(err)
	}
	s := v.Rings[0].Steps[0]
	if want := []rings.ClusterName{"eu-0", "eu-3", "eu-4", "us-2", "us-9"}; !slices.Equal(s.Redeployed, want) {
		t.Errorf("redeployed %v, want %v", s.Redeployed, want)
	}
	if !strings.Contains(strings.Join(v.lines(style{}), "\n"), "warning: upgraded with the content that they have, too: eu-0, eu-3") {
		t.Errorf("not told:\n%s", strings.Join(v.lines(style{}), "\n"))
	}
}

func TestPreview_gates(t *testing.T) {
	second := orchestrator.Request{Rings: []rings.RingName{"ring-2"}}
	override := second
	override.Options = orchestrator.Options{Override: true, Reason: "an outage"}
	verified := func(a *rings.Application) {
		for i, by := range []string{"", "shop-3", "shop-4", "shop-4"} {
			if s := &a.Services[i]; by != "" {
				s.Known["ring-1"] = rings.Known{Version: a.Plan[s.Name].Version, Verified: by}
			}
		}
	}
	says := func(t *testing.T, l *prospect, version string) {
		for _, name := range []rings.ServiceName{"db", "api"} {
			l.services[name] = l.seen(t, l.services[name].service, strings.Replace(shopFile(5, ""), "tag: v1 # of ring-1", "tag: "+version, 1))
		}
		l.survey(t)
	}
	direct := orchestrator.Request{Rings: second.Rings, Deploy: rings.Plan{"db": {Version: "v2"}, "web": {Version: "v9"}}, Options: orchestrator.Options{Reason: "an outage"}}
	tests := []struct {
		name    string
		request orchestrator.Request
		app     func(*rings.Application)
		make    func(*testing.T, *prospect)
		want    gateView
	}{
		{"verified", second, verified, func(t *testing.T, l *prospect) { says(t, l, "v2") }, gateView{"upstream", whenBefore, "ring-1 verified by shop-3, shop-4", false, false}},
		{"verified, and changed since", second, verified, func(t *testing.T, l *prospect) { says(t, l, "v9") },
			gateView{"upstream", whenBefore, "ring-1 was verified by shop-3, shop-4, but says something else now: v9 for db; v9 for api", true, false}},
		{"overridden", override, func(*rings.Application) {}, func(*testing.T, *prospect) {},
			gateView{"upstream", whenBefore, "ring-1 was not verified at this version of db, api, web: overridden: an outage", false, true}},
		{"deployed directly", direct, verified, func(*testing.T, *prospect) {},
			gateView{"upstream", whenBefore, "ring-1 was not verified at this version of web: deployed directly: an outage", false, true}},
		{"in the rollout", orchestrator.Request{Rings: []rings.RingName{"ring-1", "ring-2"}}, func(*rings.Application) {}, func(*testing.T, *prospect) {},
			gateView{"upstream", whenBefore, "ring-1 done in this rollout", true, false}},
		{"halted", orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, func(*rings.Application) {}, func(t *testing.T, l *prospect) {
			l.barriers.Halt = &rings.Halt{App: "shop", By: "eve@example.com", Reason: "not today", At: started}
		}, gateView{"halt", whenBefore, `halted: application "shop" by eve@example.com since 2026-11-20T12:00:00Z, until it is lifted: not today`, true, false}},
		{"locked", orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, func(*rings.Application) {}, func(t *testing.T, l *prospect) {
			l.barriers.Locks = []rings.Lock{{App: "shop", Service: "db", Holder: "eve", By: "eve", Reason: "not today", At: started}, {App: "shop", Ring: "ring-9"}}
		}, gateView{"lock", whenBefore, "service db is locked by eve since 2026-11-20T12:00:00Z, until it is released: not today", true, false}},
		{"locked, and gone over", orchestrator.Request{Rings: []rings.RingName{"ring-1"}, Options: orchestrator.Options{GoOver: true, Reason: "an outage"}}, func(*rings.Application) {},
			func(t *testing.T, l *prospect) {
				l.barriers.Locks = []rings.Lock{{App: "shop", Holder: "eve", By: "eve", Reason: "not today", At: started}}
			}, gateView{"lock", whenBefore, "application shop is locked by eve since 2026-11-20T12:00:00Z, until it is released: not today: gone over: an outage", false, false}},
		{"closed", orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, func(*rings.Application) {}, func(t *testing.T, l *prospect) {
			l.now = started
			l.barriers.Closed = []rings.Closure{{Ring: "ring-1", Words: "closed by x", Until: started.Add(time.Hour), Opens: started.Add(2 * time.Hour)}}
		}, gateView{"window", whenBefore, "ring-1 is closed by x; opens at 2026-11-20T14:00:00Z", true, false}},
		{"closed later", orchestrator.Request{Rings: []rings.RingName{"ring-1"}}, func(*rings.Application) {}, func(t *testing.T, l *prospect) {
			l.now = started
			l.barriers.Closed = []rings.Closure{{Ring: "ring-1", Words: "closed by x", From: started.Add(time.Hour)}}
		}, gateView{"window", whenBefore, "closes at 2026-11-20T13:00:00Z: ring-1 is closed by x; no opening is in sight", false, false}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := shopApp()
			tt.app(a)
			l := shopProspect(t, a, tt.request)
			tt.make(t, l)
			v, err := l.view()
			if err != nil {
				t.Fatal(err)
			}
			gates := v.Rings[len(v.Rings)-1].Gates
			if !slices.Contains(gates, tt.want) {
				t.Errorf("%+v is not among %+v", tt.want, gates)
			}
		})
	}
}

// A terminal gets the usual colours, and nobody the lines for programs.
func TestStyle_diff(t *testing.T) {
	p := testProgram()
	text, err := gitrepo.Patch("fleet.yaml", []byte("a: 1\nb: 2\n--- x\n"), []byte("a: 1\nb: 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--- a/fleet.yaml", "+++ b/fleet.yaml", "@@ -1,3 +1,2 @@", " a: 1", "-b: 2", "---- x", "+b: 3"}
	if got := p.style(false).diff(text); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	got := strings.Join(p.style(true).diff(text), "\n")
	for _, want := range []string{"\x1b[31m-b: 2\x1b[0m", "\x1b[31m---- x\x1b[0m", "\x1b[32m+b: 3\x1b[0m"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}
