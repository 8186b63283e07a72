package sim_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// survey asks about db on ring-1.
func (p *play) survey(i orchestrator.Item) orchestrator.Survey {
	p.t.Helper()
	i.Service = "db"
	o := p.do(orchestrator.Action{Kind: orchestrator.ActSurvey, Items: []orchestrator.Item{i}})
	if o.Result != orchestrator.OK {
		p.t.Fatalf("survey: %+v", o)
	}
	return o.Surveys[0]
}

// edit pushes a replacement in db's file, as somebody else.
func (p *play) edit(from, to string) {
	p.Push(repo, func(path string, old []byte) []byte {
		if path != "db/fleet.yaml" {
			return old
		}
		return []byte(strings.Replace(string(old), from, to, 1))
	}, "eve <eve@example.com>")
}

func TestSurvey_open(t *testing.T) {
	p := newPlay(t, "web")
	before := p.History(repo)
	v := p.survey(orchestrator.Item{})
	if v.Version != "v1" || v.Nonce != 1 || v.MaxNonce != 2 || v.Tip != p.Tip(repo) || v.Rewritten || v.Superseded != nil {
		t.Errorf("survey %+v", v)
	}
	// The last commit that touched the file is that of db, not web's after it.
	if db := before[1]; v.Commit != db.Hash || v.Author != "ann <ann@example.com>" || !v.At.Equal(db.At) || !slices.Equal(v.Lineage, []string{before[1].Hash, before[2].Hash}) {
		t.Errorf("survey %+v, commits %+v", v, before)
	}
	if !slices.Equal(v.Expected, []rings.ClusterName{"c1", "c2"}) || v.Excluded != nil {
		t.Errorf("survey %+v", v)
	}
}

// Pushed by us: found by its content, from the base, whoever made it.
func TestSurvey_search(t *testing.T) {
	p := newPlay(t)
	base := p.Tip(repo)
	ask := orchestrator.Item{Version: "v2", Nonce: 3, Base: base}
	if v := p.survey(ask); v.Commit != "" || v.Lineage != nil || v.Rewritten {
		t.Errorf("before the push: %+v", v)
	}
	p.Happen(sim.PushElse)
	p.edit("forceSyncGeneration: 1\n  helm:\n    values:\n      image:\n        tag: v1", "forceSyncGeneration: 3\n  helm:\n    values:\n      image:\n        tag: v2")
	ours := p.Tip(repo)
	p.Happen(sim.PushElse)
	v := p.survey(ask)
	if v.Commit != ours || v.Author != "eve <eve@example.com>" || !slices.Equal(v.Lineage, []string{ours, p.Tip(repo)}) || v.Superseded != nil {
		t.Errorf("survey %+v", v)
	}
}

func TestSurvey_superseded(t *testing.T) {
	tests := []struct {
		name string
		what func(*play)
		want string
	}{
		{"another file", func(p *play) { p.Happen(sim.PushElse) }, ""},
		{"a file of the folder", func(p *play) { p.Happen(sim.PushFolder) }, ""},
		{"elsewhere in the file", func(p *play) { p.Happen(sim.PushFile) }, ""},
		{"another ring", func(p *play) { p.edit("tag: v1", "tag: v8") }, ""},
		{"our version", func(p *play) { p.edit("tag: v2", "tag: v66") }, "v66/3"},
		{"our nonce", func(p *play) { p.edit("forceSyncGeneration: 3", "forceSyncGeneration: 66") }, "v2/66"},
		{"a revert", func(p *play) { p.Revert(repo, "eve <eve@example.com>") }, "v1/1"},
		{"broken", func(p *play) { p.PushFile(repo, "db/fleet.yaml", []byte("a: [\n"), "eve <eve@example.com>") }, "refused"},
		{"taken away", func(p *play) { p.PushFile(repo, "db/fleet.yaml", nil, "eve <eve@example.com>") }, "refused"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPlay(t)
			base := p.Tip(repo)
			ours := p.ship("v2", 3).Commit
			test.what(p)
			eves := p.Tip(repo)
			p.Happen(sim.PushElse)
			o := p.do(orchestrator.Action{Kind: orchestrator.ActSurvey, Items: []orchestrator.Item{{Service: "db", Version: "v2", Nonce: 3, Base: base, Commit: ours}}})
			got := ""
			switch {
			case o.Result == orchestrator.Refused:
				got = "refused"
			case o.Surveys[0].Superseded != nil:
				f := o.Surveys[0].Superseded
				got = fmt.Sprintf("%s/%d", f.Version, f.Nonce)
				if f.Commit != eves || f.Author != "eve <eve@example.com>" {
					t.Errorf("by %+v, want commit %s", f, eves)
				}
			}
			if got != test.want {
				t.Errorf("superseded by %q, want %q", got, test.want)
			}
		})
	}
}

func TestSurvey_rewritten(t *testing.T) {
	p := newPlay(t)
	base := p.Tip(repo)
	ours := p.ship("v2", 3).Commit
	p.Rewrite(repo, 1, "eve <eve@example.com>")
	if v := p.survey(orchestrator.Item{Version: "v2", Nonce: 3, Base: base}); v.Rewritten || v.Commit != "" {
		t.Errorf("the base is still there: %+v", v)
	}
	if v := p.survey(orchestrator.Item{Version: "v2", Nonce: 3, Base: base, Commit: ours}); !v.Rewritten || v.Commit != ours {
		t.Errorf("our commit is gone: %+v", v)
	}
	p.Rewrite(repo, 9, "eve <eve@example.com>")
	o := p.do(orchestrator.Action{Kind: orchestrator.ActSurvey, Items: item("v2", 3, base)})
	if o.Result != orchestrator.Refused || o.Code != orchestrator.CodeNotFound {
		t.Errorf("the file is gone: %+v", o)
	}
}

func TestPublish_rewritten(t *testing.T) {
	p := newPlay(t)
	base := p.Tip(repo)
	p.Happen(sim.PushElse)
	p.Push(repo, func(_ string, old []byte) []byte { return old }, "eve <eve@example.com>")
	p.edit("tag: v0", "tag: v00")
	p.Rewrite(repo, 4, "eve <eve@example.com>")
	p.PushFile(repo, "db/fleet.yaml", yaml("ring-1"), "eve <eve@example.com>")
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
	if o.Result != orchestrator.Refused || o.Code != orchestrator.CodeRewritten {
		t.Errorf("publish: %+v", o)
	}
}

func TestSurvey_excluded(t *testing.T) {
	p := newPlay(t)
	p.AddCluster("c4", map[string]string{"app": "shop", "ring": "ring-1", "tier": "none"})
	p.edit("targetCustomizations:\n", "targetCustomizations:\n- name: none\n  clusterSelector:\n    matchLabels:\n      tier: none\n  doNotDeploy: true\n")
	v := p.survey(orchestrator.Item{})
	if !slices.Equal(v.Expected, []rings.ClusterName{"c1", "c2"}) || len(v.Excluded) != 1 || v.Excluded[0].Cluster != "c4" || !strings.Contains(v.Excluded[0].Why, "doNotDeploy") {
		t.Errorf("survey %+v", v)
	}
	p.Relabel("c4", on("ring-1"))
	if v := p.survey(orchestrator.Item{}); len(v.Expected) != 3 || v.Excluded != nil {
		t.Errorf("survey after the relabel %+v", v)
	}
}

// Publishing is idempotent by content: once more makes no commit.
func TestPublish_twice(t *testing.T) {
	p := newPlay(t)
	base := p.Tip(repo)
	p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
	ours := p.Tip(repo)
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
	if o.Result != orchestrator.OK || o.Surveys[0].Commit != ours || p.Tip(repo) != ours {
		t.Errorf("the second: %+v", o)
	}
}

// Two services of a repository share a commit, all or none.
func TestPublish_together(t *testing.T) {
	p := newPlay(t, "web")
	both := append(item("v2", 3, p.Tip(repo)), orchestrator.Item{Service: "web", Version: "v5", Nonce: 3, Base: p.Tip(repo)})
	before := len(p.History(repo))
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: both}); o.Result != orchestrator.OK || len(o.Surveys) != 2 {
		t.Fatalf("publish: %+v", o)
	}
	all := p.History(repo)
	last := all[len(all)-1]
	if len(all) != before+1 || !slices.Equal(last.Services, []rings.ServiceName{"db", "web"}) || !slices.Equal(last.Files, []string{"db/fleet.yaml", "web/fleet.yaml"}) {
		t.Errorf("%d commits more, the last %+v", len(all)-before, last)
	}
	p.edit("forceSyncGeneration: 2", "forceSyncGeneration: 9")
	both[0].Nonce, both[1].Nonce, both[0].Base, both[1].Base = 9, 4, p.Tip(repo), p.Tip(repo)
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: both})
	if o.Code != orchestrator.CodeNonceTaken || !slices.Equal(o.Services, []rings.ServiceName{"db"}) || len(p.History(repo)) != before+2 {
		t.Errorf("publish: %+v", o)
	}
}

// Somebody else's version for the ring, set after the attempt was decided, is
// not overwritten.
func TestPublish_manualChange(t *testing.T) {
	p := newPlay(t)
	base := p.Tip(repo)
	p.edit("tag: v1", "tag: v66")
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
	if o.Code != orchestrator.CodeManual || !strings.Contains(o.Words, "eve") {
		t.Errorf("publish: %+v", o)
	}
}

// A push that meets another one is rejected, and its intent applied again: the
// other commit survives byte for byte.
func TestFaults_pushRaced(t *testing.T) {
	p := newPlay(t)
	o, _ := p.begin(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, p.Tip(repo))})
	p.run(150 * time.Millisecond) // fetched, and on its way
	p.Happen(sim.PushFile)
	eves := p.Tip(repo)
	p.run(time.Second)
	if o.Result != orchestrator.OK || len(o.Surveys[0].Lineage) != 1 {
		t.Fatalf("publish: %+v", o)
	}
	theirs, ours := p.File(repo, eves, "db/fleet.yaml"), p.File(repo, p.Tip(repo), "db/fleet.yaml")
	want := bytes.Replace(bytes.Replace(theirs, []byte("tag: v1"), []byte("tag: v2"), 1), []byte("Generation: 1"), []byte("Generation: 3"), 1)
	if !bytes.Equal(ours, want) {
		t.Errorf("the file is\n%s\nwant\n%s", ours, want)
	}
	p.Faults.PushRaced = 1
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v3", 4, p.Tip(repo))}); o.Code != orchestrator.CodeConflict {
		t.Errorf("publish against a branch that never rests: %+v", o)
	}
}

// An answer that was lost: with the effect, and without.
func TestFaults_pushLost(t *testing.T) {
	for _, test := range []struct {
		faults sim.Faults
		effect bool
	}{{sim.Faults{PushLost: 1}, true}, {sim.Faults{PushDropped: 1}, false}} {
		p := newPlay(t)
		p.Faults = test.faults
		base := p.Tip(repo)
		o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
		if o.Result != orchestrator.Unknown || o.Surveys != nil || (p.Tip(repo) != base) != test.effect {
			t.Errorf("%+v: %+v, tip moved: %t", test.faults, o, p.Tip(repo) != base)
		}
	}
}

// A process that dies before, while and after its push is on its way.
func TestDo_abandon(t *testing.T) {
	for _, test := range []struct {
		after    time.Duration
		outlives float64
		effect   bool
	}{{50 * time.Millisecond, 1, false}, {150 * time.Millisecond, 0, false}, {150 * time.Millisecond, 1, true}, {250 * time.Millisecond, 0, true}} {
		p := newPlay(t)
		p.Faults.Outlives = test.outlives
		base := p.Tip(repo)
		o, abandon := p.begin(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, base)})
		p.run(test.after)
		abandon()
		p.run(settled)
		if (p.Tip(repo) != base) != test.effect {
			t.Errorf("dead after %s, outlives %v: tip moved: %t", test.after, test.outlives, !test.effect)
		}
		if answered := o.Result != ""; answered != (test.after > 200*time.Millisecond) {
			t.Errorf("dead after %s: answered: %t", test.after, answered)
		}
	}
}

// The clock of the host stamps our commits, and nothing of Fleet.
func TestJumpClock(t *testing.T) {
	p := newPlay(t)
	p.JumpClock(time.Hour)
	if d := p.Wall().Sub(p.Now()); d != time.Hour {
		t.Errorf("the clock is ahead by %s", d)
	}
	p.watch()
	v := p.ship("v2", 3)
	if d := v.At.Sub(p.Now()); d < 59*time.Minute {
		t.Errorf("committed at %s, it is %s", v.At, p.Now())
	}
	p.run(settled)
	if at := p.latest["db/c1"].ReadyAt; at.After(p.Now()) {
		t.Errorf("ready at %s, it is %s", at, p.Now())
	}
}

// Values files are read, as Fleet reads them; an overlay is content.
func TestSurvey_valuesFile(t *testing.T) {
	w := sim.NewWorld(1)
	w.AddRepo(repo, "main")
	s := service("db")
	s.Path = ""
	w.PushFile(repo, "ring-1.yaml", []byte("image: {tag: v5}\n"), "ann <ann@example.com>")
	w.AddService(s, []byte("helm: {chart: ./chart, values: {image: {tag: v0}}}\ntargetCustomizations:\n"+
		"- {name: ring-1, clusterSelector: {matchLabels: {ring: ring-1}}, helm: {valuesFiles: [ring-1.yaml]}}\n"))
	w.AddCluster("c1", on("ring-1"))
	p := &play{World: w, t: t}
	if v := p.survey(orchestrator.Item{}); v.Version != "v5" {
		t.Errorf("survey %+v", v)
	}
	w.PushFile(repo, "ring-1.yaml", []byte("image: {tag: v6}\n"), "bob <bob@example.com>")
	if v := p.survey(orchestrator.Item{}); v.Version != "v6" || v.Commit != w.Tip(repo) || v.Author != "bob <bob@example.com>" {
		t.Errorf("survey %+v", v)
	}
}

// A GitRepo's targets leave clusters out.
func TestSetTargets(t *testing.T) {
	p := newPlay(t)
	p.AddCluster("c4", on("ring-1"))
	p.SetTargets("db", []fleetyaml.Target{{ClusterName: "c1"}, {ClusterName: "c2"}})
	v := p.survey(orchestrator.Item{})
	want := []orchestrator.Excluded{{Cluster: "c4", Why: "not targeted by GitRepo db"}}
	if len(v.Expected) != 2 || !slices.Equal(v.Excluded, want) {
		t.Errorf("survey %+v", v)
	}
	p.wantRunning("c4", "", 0, false)
	p.wantRunning("c1", "v1", 1, true)
	p.SetTargets("db", []fleetyaml.Target{{ClusterName: "c4"}})
	p.run(settled)
	p.wantRunning("c4", "v1", 1, true)
	p.wantRunning("c1", "", 0, false)
}

// Clusters of one ring that get different versions, or nonces, have none in common.
func TestSurvey_versionsDiffer(t *testing.T) {
	p := newPlay(t)
	p.edit("targetCustomizations:\n", "targetCustomizations:\n- clusterName: c2\n  helm:\n    values:\n      image:\n        tag: v7\n")
	v := p.survey(orchestrator.Item{})
	if v.Version != "" || v.Nonce != 0 || !slices.Equal(v.Versions, []rings.Version{"v1", "v7"}) {
		t.Errorf("survey %+v", v)
	}
}
