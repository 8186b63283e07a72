package sim_test

import (
	"testing"
	"time"

	"rollout/orchestrator/sim"
	"rollout/rings"
)

// settled is how long everything takes, and then some.
const settled = time.Minute

// shipped is a play in which v2 was published with nonce 3 on ring-1, and
// everything has come to rest; first may change the world.
func shipped(t *testing.T, first func(*play)) *play {
	t.Helper()
	p := newPlay(t)
	if first != nil {
		first(p)
	}
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(settled)
	return p
}

func behaves(b sim.Behaviour) func(*play) {
	return func(p *play) { p.Versions["v2"] = b }
}

// An image that cannot be pulled is no error to Fleet.
func TestBehaviour_neverReady(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.NeverReady, Words: "deployment db/db: 0/1 replicas, ImagePullBackOff"}))
	p.want("c1", "tip N=3/3 nonmod")
	p.run(time.Hour)
	p.want("c1", "tip N=3/3 nonmod")
	p.wantRunning("c1", "v2", 3, false)
	if words := p.latest["db/c1"].Words; words != "deployment db/db: 0/1 replicas, ImagePullBackOff" {
		t.Errorf("words %q", words)
	}
}

func TestBehaviour_neverReady_heals(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.NeverReady, Heals: 10 * time.Minute}))
	p.want("c1", "tip N=3/3 nonmod")
	p.run(10 * time.Minute)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// Installed=False: applied is new, the nonce is not acknowledged, and nothing
// is tried again until the next deploymentID.
func TestBehaviour_installFails(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.InstallFails}))
	p.want("c1", "tip N=3/1 nonmod Installed=False")
	p.wantRunning("c1", "v1", 1, true)
	p.ship("v3", 4)
	p.run(8 * time.Second) // released, and not acted on: the old error under the new nonce
	p.want("c1", "tip N=4/1 dep!=app nonmod Installed=False")
	p.run(settled)
	p.want("c1", "tip N=4/4 ready nonmod")
}

// Deployed=False looks soft: ready and nonModified are of the release before,
// and some objects were changed already.
func TestBehaviour_deployFails(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.DeployFails}))
	p.want("c1", "tip N=3/1 dep!=app ready nonmod Deployed=False")
	p.wantRunning("c1", "v2", 3, false)
	// Old words under a new label and a new nonce, until the agent acts.
	p.ship("v3", 4)
	p.run(8 * time.Second)
	p.want("c1", "tip N=4/1 dep!=app ready nonmod Deployed=False")
	p.run(settled)
	p.want("c1", "tip N=4/4 ready nonmod")
	p.wantRunning("c1", "v3", 4, true)
}

func TestBehaviour_deployFails_heals(t *testing.T) {
	p := newPlay(t)
	p.Versions["v2"] = sim.Behaviour{Kind: sim.DeployFails, Heals: 5 * time.Minute}
	p.watch()
	p.run(time.Hour)
	p.ship("v2", 3)
	p.run(settled)
	p.want("c1", "tip N=3/1 dep!=app ready nonmod Deployed=False")
	p.run(20 * time.Minute) // it is retried with a growing back-off
	p.want("c1", "tip N=3/3 ready nonmod")
}

// The rollback trap: the deploymentID of the old content and nonce is the last
// applied one, so Fleet skips it, and the broken release stays for ever.
func TestAgent_skipsIdenticalDeployment(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.DeployFails}))
	p.Revert(repo, "bob <bob@example.com>")
	p.hint()
	p.run(settled)
	p.want("c1", "tip N=1/1")
	p.run(time.Hour)
	p.want("c1", "tip N=1/1")
	p.wantRunning("c1", "v2", 3, false)
	// The same content with another nonce restores it.
	p.ship("v1", 4)
	p.run(settled)
	p.want("c1", "tip N=4/4 ready nonmod")
	p.wantRunning("c1", "v1", 4, true)
}

// A conflict about a field's owner: the ids differ for ever, Deployed=True, and
// no object says why. Another nonce does not help.
func TestBehaviour_hiddenConflict(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.HiddenConflict}))
	p.want("c1", "tip N=3/1 dep!=app ready nonmod")
	p.ship("v2", 4)
	p.run(time.Hour)
	p.want("c1", "tip N=4/1 dep!=app ready nonmod")
	p.wantRunning("c1", "v1", 1, true)
	if d := p.latest["db/c1"]; d.Words+d.DeployError+d.InstallError != "" {
		t.Errorf("something says why: %+v", d)
	}
}

// A change by hand shows after the agent's debounce, and blocks what comes.
func TestEditByHand(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.EditByHand("db", "c1", false)
	p.run(4 * time.Second)
	p.want("c1", "tip N=1/1 ready nonmod")
	p.run(2 * time.Second)
	p.want("c1", "tip N=1/1 ready")
	p.ship("v2", 3)
	p.run(time.Hour)
	p.want("c1", "tip N=3/1 dep!=app ready")
	p.want("c2", "tip N=3/3 ready nonmod")
	p.EditByHand("db", "c1", true)
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

func TestBehaviour_waitsForOthers(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.WaitsForOthers, Heals: 2 * time.Minute}))
	p.want("c1", "tip N=3/1 dep!=app ready nonmod Deployed=False")
	if e := p.latest["db/c1"].DeployError; e != "dependent bundle(s) are not ready: [base]" {
		t.Errorf("error %q", e)
	}
	p.run(3 * time.Minute)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// Ready means ready when the agent last looked: what breaks shows 5 s late.
func TestBehaviour_readyThenFails(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.ReadyThenFails, After: 10 * time.Minute}))
	p.want("c1", "tip N=3/3 ready nonmod")
	ready := p.latest["db/c1"].ReadyAt
	for _, _, healthy := p.Running("db", "c1"); healthy; _, _, healthy = p.Running("db", "c1") {
		p.run(time.Second)
	}
	p.want("c1", "tip N=3/3 ready nonmod")
	p.run(6 * time.Second)
	p.want("c1", "tip N=3/3 nonmod")
	if at := p.latest["db/c1"].ReadyAt; at.Sub(ready) != 10*time.Minute {
		t.Errorf("the Ready condition changed at %s, then at %s", ready, at)
	}
}

// A behaviour can be one service's on one cluster.
func TestBehave(t *testing.T) {
	p := shipped(t, func(p *play) {
		p.Behave = func(s rings.ServiceName, c rings.ClusterName, v rings.Version) (sim.Behaviour, bool) {
			return sim.Behaviour{Kind: sim.NeverReady}, s == "db" && c == "c2" && v == "v2"
		}
	})
	p.want("c1", "tip N=3/3 ready nonmod")
	p.want("c2", "tip N=3/3 nonmod")
}

// A nonce alone is acknowledged and ready in one write, and the Ready
// condition's time stays.
func TestAgent_nonceOnly(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	before := p.latest["db/c1"].ReadyAt
	p.ship("v1", 3)
	p.run(3100 * time.Millisecond) // no Helm value changed, so there is nothing to wait 5 s for
	p.want("c1", "tip N=3/1 dep!=app ready nonmod")
	p.run(500 * time.Millisecond)
	p.want("c1", "tip N=3/3 ready nonmod")
	if at := p.latest["db/c1"].ReadyAt; !at.Equal(before) {
		t.Errorf("the Ready condition's time moved from %s to %s", before, at)
	}
}

// A dead agent says ready for ever, of a workload that is broken since.
func TestKillAgent_staleReady(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.ReadyThenFails, After: 10 * time.Minute}))
	if !p.Alive("c1") || p.Labels("c1")["ring"] != "ring-1" || p.Labels("c8") != nil {
		t.Errorf("c1 is alive: %t, labels %v", p.Alive("c1"), p.Labels("c1"))
	}
	p.KillAgent("c1")
	if p.Alive("c1") {
		t.Error("c1 is alive")
	}
	heard := p.latest["db/c1"].Heard
	p.run(2 * time.Hour)
	p.want("c1", "tip N=3/3 ready nonmod")
	p.want("c2", "tip N=3/3 nonmod")
	p.wantRunning("c1", "v2", 3, false)
	if h := p.latest["db/c1"].Heard; !h.Equal(heard) {
		t.Errorf("heard at %s, last at %s", h, heard)
	}
	if h := p.latest["db/c2"].Heard; p.Now().Sub(h) > 16*time.Minute {
		t.Errorf("a live agent was heard at %s, it is %s", h, p.Now())
	}
	p.ReviveAgent("c1")
	p.run(settled)
	p.want("c1", "tip N=3/3 nonmod")
	if h := p.latest["db/c1"].Heard; !h.After(heard) {
		t.Errorf("not heard since %s", heard)
	}
}

// What is pushed while an agent is dead is applied when it is back.
func TestKillAgent_offline(t *testing.T) {
	p := shipped(t, func(p *play) { p.KillAgent("c1") })
	p.want("c1", "tip N=3/1 dep!=app ready nonmod")
	p.want("c2", "tip N=3/3 ready nonmod")
	p.ReviveAgent("c1")
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// An agent that dies right after it applied: the cluster runs what Fleet does
// not know of.
func TestFaults_statusLags(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.Faults.StatusLags = 1
	p.ship("v2", 3)
	lag := false
	for range 200 {
		p.run(200 * time.Millisecond)
		v, n, _ := p.Running("db", "c1")
		lag = lag || v == "v2" && n == 3 && p.state("c1") == "tip N=3/1 dep!=app ready nonmod"
	}
	if !lag {
		t.Error("the status never lagged behind the cluster")
	}
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

func TestFaults_softFailures(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.Faults.SoftFailures = 1
	p.ship("v2", 3)
	p.run(9500 * time.Millisecond)
	p.want("c1", "tip N=3/1 dep!=app ready nonmod Deployed=False")
	p.run(5 * time.Minute)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// An agent waits for values that come late.
func TestFaults_awaitsValues(t *testing.T) {
	p := newPlay(t)
	p.Faults.AwaitsValues = 1
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(8500 * time.Millisecond)
	p.want("c1", "tip N=3/1 dep!=app ready nonmod awaits")
	p.run(2 * settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// Paused: the label is new, staged is new, the deploymentID is old.
func TestPauseCluster(t *testing.T) {
	p := shipped(t, func(p *play) { p.PauseCluster("c1", true) })
	p.want("c1", "tip N=1/1 staged!=dep ready nonmod paused")
	p.PauseCluster("c1", false)
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// Off schedule: label and deploymentID are new, and the agent ignores them.
func TestSetSchedule(t *testing.T) {
	p := shipped(t, func(p *play) { p.SetSchedule("c1", true) })
	p.want("c1", "tip N=3/1 dep!=app ready nonmod off")
	p.SetSchedule("c1", false)
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// What runs moves with the label, ungated; until Fleet acts, it looks ready at
// the old ring's content.
func TestRelabel(t *testing.T) {
	p := shipped(t, nil)
	p.Relabel("c1", on("ring-2"))
	p.run(100 * time.Millisecond)
	if len(p.member) != 1 || p.member[0] != "c2" {
		t.Errorf("members %v", p.member)
	}
	p.want("c1", "tip N=3/3 ready nonmod")
	p.run(settled)
	p.want("c1", "tip N=2/2 ready nonmod") // it stays in sight
	p.wantRunning("c1", "v1", 2, true)
}

// Two rings with one nonce: a cluster that comes from the other ring shows our
// label and our nonce, ready, and runs something else.
func TestRelabel_equalNonces(t *testing.T) {
	p := newPlay(t)
	p.PushFile(repo, "db/fleet.yaml", []byte(`helm: {values: {image: {tag: v0}}}
targetCustomizations:
- {name: ring-1, clusterSelector: {matchLabels: {ring: ring-1}}, forceSyncGeneration: 7, helm: {values: {image: {tag: v6}}}}
- {name: ring-2, clusterSelector: {matchLabels: {ring: ring-2}}, forceSyncGeneration: 7, helm: {values: {image: {tag: v1}}}}
`), "ann <ann@example.com>")
	p.watch()
	p.run(time.Second)
	p.Relabel("c3", on("ring-1"))
	p.run(time.Second)
	p.want("c3", "tip N=7/7 ready nonmod")
	p.wantRunning("c3", "v1", 7, true)
	p.run(settled)
	p.wantRunning("c3", "v6", 7, true)
}

func TestAddCluster_joins(t *testing.T) {
	p := shipped(t, nil)
	p.AddCluster("c9", on("ring-1"))
	p.run(100 * time.Millisecond)
	if len(p.member) != 3 {
		t.Errorf("members %v", p.member)
	}
	p.want("c9", "unknown")
	p.run(settled)
	p.want("c9", "tip N=3/3 ready nonmod")
}

// A cluster that leaves all targets is uninstalled.
func TestRelabel_outOfTargets(t *testing.T) {
	p := newPlay(t)
	p.PushFile(repo, "db/fleet.yaml", append([]byte("overrideTargets:\n- clusterSelector: {matchLabels: {app: shop}}\n"), yaml("ring-1", "ring-2")...), "ann <ann@example.com>")
	p.watch()
	p.run(time.Second)
	p.Relabel("c1", map[string]string{"app": "other"})
	p.run(2100 * time.Millisecond)
	p.want("c1", "tip N=1/1 ready nonmod deleting")
	p.run(settled)
	p.want("c1", "gone")
	p.wantRunning("c1", "", 0, false)
	p.Relabel("c1", on("ring-1"))
	p.run(settled)
	p.want("c1", "tip N=1/1 ready nonmod")
	// Back while it is being deleted.
	p.Relabel("c1", map[string]string{"app": "other"})
	p.run(2100 * time.Millisecond)
	p.want("c1", "tip N=1/1 ready nonmod deleting")
	p.Delays.Relabel = sim.Exactly(0)
	p.Relabel("c1", on("ring-1"))
	p.run(settled)
	p.want("c1", "tip N=1/1 ready nonmod")
}

func TestRemoveCluster(t *testing.T) {
	p := shipped(t, nil)
	p.RemoveCluster("c2")
	p.run(settled)
	p.want("c2", "gone")
	if len(p.member) != 1 || len(p.Members(on("ring-1"))) != 1 {
		t.Errorf("members %v, %v", p.member, p.Members(on("ring-1")))
	}
	// Another one of the name.
	p.AddCluster("c2", on("ring-1"))
	p.run(settled)
	p.want("c2", "tip N=3/3 ready nonmod")
}

// With maxUnavailable 1 the second cluster gets the label at once, and its
// options when the first is ready.
func TestSetMaxUnavailable(t *testing.T) {
	p := newPlay(t)
	p.SetMaxUnavailable("db", 1)
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(10 * time.Second)
	p.want("c1", "tip N=3/3 nonmod")
	p.want("c2", "tip N=1/1 staged!=dep ready nonmod")
	p.run(settled)
	p.want("c2", "tip N=3/3 ready nonmod")
}

func TestSetMaxUnavailable_badVersion(t *testing.T) {
	p := shipped(t, func(p *play) {
		p.SetMaxUnavailable("db", 1)
		p.Versions["v2"] = sim.Behaviour{Kind: sim.NeverReady}
	})
	p.run(time.Hour)
	p.want("c2", "tip N=1/1 staged!=dep ready nonmod")
}

// The check-ins of agents reach the watcher, and nothing else about them.
func TestWatch_checkIns(t *testing.T) {
	p := shipped(t, nil)
	before, heard := p.latest["db/c1"], len(p.facts)
	p.run(16 * time.Minute)
	after := p.latest["db/c1"]
	if !after.Heard.After(before.Heard) {
		t.Errorf("heard at %s, then at %s", before.Heard, after.Heard)
	}
	if n := len(p.facts) - heard; n != 2 && n != 3 {
		t.Errorf("%d facts of two clusters in 16 minutes", n)
	}
	after.Heard = before.Heard
	if after != before {
		t.Errorf("was %+v, is %+v", before, after)
	}
}
