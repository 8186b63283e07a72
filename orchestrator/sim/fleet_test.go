package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
)

// The label is set before the content: the job clones the tip when it runs, so
// what is pushed meanwhile runs under our label and our nonce.
func TestJob_contentBeyondTheLabel(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	ours := p.ship("v2", 3).Commit
	p.run(500 * time.Millisecond) // the job is labelled, and has not cloned
	p.Push(repo, func(path string, old []byte) []byte {
		return []byte(strings.Replace(string(old), "tag: v2", "tag: v66", 1))
	}, "eve <eve@example.com>")
	p.run(settled)
	d := p.latest["db/c1"]
	if got, want := describe(d, ours), "tip N=3/3 ready nonmod"; got != want {
		t.Errorf("under our label: %q, want %q", got, want)
	}
	p.wantRunning("c1", "v66", 3, true)
}

func TestFaults_jobSlow(t *testing.T) {
	p := newPlay(t)
	p.Faults.JobSlow = 1
	p.watch()
	p.run(time.Second)
	ours := p.ship("v2", 3).Commit
	for p.bundle["db"].Commit != ours {
		p.run(time.Second)
	}
	if took := p.Now().Sub(start); took < 5*time.Second || took > 65*time.Second {
		t.Errorf("the Bundle was written after %s", took)
	}
}

// Fleet jumps to the newest commit; ours never shows as a label.
func TestJob_commitSkipped(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, p.Tip(repo))})
	ours := o.Surveys[0].Commit
	p.Happen(sim.PushElse)
	p.hint()
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
	for _, f := range p.facts {
		if f.Deployment != nil && f.Deployment.Commit == ours || f.GitRepo != nil && f.GitRepo.Commit == ours {
			t.Fatalf("our commit shows: %+v", f)
		}
	}
}

// A newer commit while a job runs: its object is deleted, and the next one has
// to wait.
func TestJob_restarted(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(500 * time.Millisecond)
	p.ship("v3", 4)
	p.run(6 * time.Second)
	if b := p.bundle["db"]; b.Commit == p.Tip(repo) {
		t.Error("the second job did not wait for the first one's end")
	}
	p.run(settled)
	p.want("c1", "tip N=4/4 ready nonmod")
}

// A job that failed once is not run again, whatever the poller sees; a nudge or
// a new commit does it.
func TestFaults_jobFails(t *testing.T) {
	p := newPlay(t)
	p.SetPolling("db", 15*time.Second)
	p.watch()
	p.run(time.Second)
	p.Faults.JobFails = 1
	ours := p.ship("v2", 3).Commit
	p.run(settled)
	p.Faults.JobFails = 0
	p.run(time.Hour)
	if g := p.repo["db"]; !g.JobFailed || g.JobError != "Unknown error" || g.Commit != ours || g.Generation != 1 {
		t.Errorf("GitRepo %+v", g)
	}
	p.want("c1", "old N=1/1 ready nonmod")
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActNudge, Items: item("", 0, "")}); o.Result != orchestrator.OK {
		t.Errorf("nudge: %+v", o)
	}
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
	if g := p.repo["db"]; g.JobFailed || g.Generation != 3 {
		t.Errorf("GitRepo %+v", g)
	}
}

func TestJob_failedIsMendedByACommit(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.BreakJobs("db", "no space left on device")
	p.ship("v2", 3)
	p.run(settled)
	if g := p.repo["db"]; g.JobError != "no space left on device" {
		t.Errorf("GitRepo %+v", g)
	}
	p.BreakJobs("db", "")
	p.ship("v2", 4)
	p.run(settled)
	p.want("c1", "tip N=4/4 ready nonmod")
}

// A GitRepo that rollout did not make is not nudged.
func TestNudge_foreignGitRepo(t *testing.T) {
	w := sim.NewWorld(1)
	w.AddRepo(repo, "main")
	s := service("db")
	s.Managed = false
	w.AddService(s, yaml("ring-1"))
	p := &play{World: w, t: t}
	o := p.do(orchestrator.Action{Kind: orchestrator.ActNudge, Items: item("", 0, "")})
	if o.Result != orchestrator.Refused || o.Code != orchestrator.CodeDenied || o.Hint == "" {
		t.Errorf("nudge: %+v", o)
	}
}

// Another service's broken file fails the job of the whole GitRepo; the words
// name it, and nothing of ours is touched.
func TestJob_brokenFileOfAnother(t *testing.T) {
	p := newPlay(t)
	other := service("web")
	other.GitRepo = "db"
	p.AddService(other, yaml("ring-1"))
	p.watch()
	p.run(time.Second)
	p.PushFile(repo, "web/fleet.yaml", []byte("helm: [\n"), "eve <eve@example.com>")
	p.ship("v2", 3)
	p.run(settled)
	g := p.repo["db"]
	if !g.JobFailed || !strings.HasPrefix(g.JobError, "failed to process bundle: reading fleet.yaml: web/fleet.yaml") {
		t.Errorf("GitRepo %+v", g)
	}
	p.want("c1", "old N=1/1 ready nonmod")
}

// Within 30 s after a hint the status does not follow the job of a commit on
// top of the hinted one: a failure shows late.
func TestHint_masksAFailure(t *testing.T) {
	p := newPlay(t)
	p.SetPolling("db", 10*time.Second)
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	hinted := p.Now()
	p.run(4 * time.Second)
	p.PushFile(repo, "db/fleet.yaml", []byte("helm: [\n"), "eve <eve@example.com>")
	p.run(20 * time.Second)
	if g := p.repo["db"]; g.JobFailed || g.Commit != p.Tip(repo) {
		t.Errorf("GitRepo %+v", g)
	}
	for !p.repo["db"].JobFailed {
		p.run(time.Second)
	}
	if late := p.Now().Sub(hinted); late < 30*time.Second || late > 32*time.Second {
		t.Errorf("the failure showed %s after the hint", late)
	}
}

// Without a hint Fleet sees a commit at its next poll.
func TestPoll(t *testing.T) {
	p := newPlay(t)
	p.SetPolling("db", 15*time.Second)
	p.watch()
	p.run(time.Second)
	p.Faults.HintLost = 1
	p.ship("v2", 3)
	p.run(5 * time.Second)
	if g := p.repo["db"]; g.Commit == p.Tip(repo) || g.Polling != 15*time.Second {
		t.Errorf("GitRepo %+v", g)
	}
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

// A git server that is down shows at the poll, and heals at one.
func TestCutOff(t *testing.T) {
	p := newPlay(t)
	p.SetPolling("db", 15*time.Second)
	p.watch()
	p.run(time.Second)
	p.CutOff(repo, time.Minute)
	p.run(20 * time.Second)
	if p.repo["db"].PollError == "" {
		t.Errorf("GitRepo %+v", p.repo["db"])
	}
	o := p.do(orchestrator.Action{Kind: orchestrator.ActSurvey, Items: item("", 0, "")})
	if o.Result != orchestrator.Unreachable || o.Code != orchestrator.CodeUnreach || o.Words == "" {
		t.Errorf("survey: %+v", o)
	}
	p.run(settled)
	if p.repo["db"].PollError != "" {
		t.Errorf("GitRepo %+v", p.repo["db"])
	}
}

func TestPauseGitRepo(t *testing.T) {
	p := newPlay(t)
	p.SetPolling("db", 15*time.Second)
	p.PauseGitRepo("db", true)
	p.watch()
	p.run(time.Second)
	p.ship("v2", 3)
	p.run(settled)
	p.want("c1", "old N=1/1 ready nonmod")
	if !p.repo["db"].Paused {
		t.Errorf("GitRepo %+v", p.repo["db"])
	}
	p.PauseGitRepo("db", false)
	p.run(settled)
	p.want("c1", "tip N=3/3 ready nonmod")
}

func TestRemoveGitRepo(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.RemoveGitRepo("db")
	p.run(time.Second)
	if !p.repo["db"].Gone {
		t.Errorf("GitRepo %+v", p.repo["db"])
	}
	p.want("c1", "tip N=1/1 ready nonmod")
}

// A template that asks for a label which one cluster has not: nobody is
// touched, and the old words stand for 5 s under the label of the commit that
// mends it.
func TestTargetingError_oldWords(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	good := p.File(repo, p.Tip(repo), "db/fleet.yaml")
	p.PushFile(repo, "db/fleet.yaml", []byte(strings.Replace(string(good), "tag: v0", "tag: v0\n    where: ${ .ClusterLabels.nope }", 1)), "eve <eve@example.com>")
	p.hint()
	p.run(10 * time.Second)
	b := p.bundle["db"]
	if b.Commit != p.Tip(repo) || !strings.HasPrefix(b.Error, "targeting error: cluster c1 ") || !strings.Contains(b.Error, `no entry for key "nope"`) {
		t.Errorf("Bundle %+v", b)
	}
	p.want("c1", "old N=1/1 ready nonmod")
	p.PushFile(repo, "db/fleet.yaml", []byte(strings.Replace(string(good), "tag: v1", "tag: v2", 1)), "eve <eve@example.com>")
	p.hint()
	p.run(3 * time.Second)
	if got := p.bundle["db"]; got.Commit != p.Tip(repo) || got.Error != b.Error {
		t.Errorf("Bundle under the fix's label %+v", got)
	}
	p.run(5 * time.Second)
	if got := p.bundle["db"]; got.Error != "" {
		t.Errorf("Bundle %+v", got)
	}
}

func TestBreakTargets(t *testing.T) {
	p := shipped(t, func(p *play) { p.BreakTargets("db", "secret not found") })
	if b := p.bundle["db"]; b.Error != "targeting error: secret not found" {
		t.Errorf("Bundle %+v", b)
	}
	p.want("c1", "old N=1/1 ready nonmod")
}

// A file of the folder is content: all clusters are upgraded, also of rings
// whose entry did not change, and their nonces stay.
func TestPushFolder_redeploysAll(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	p.Happen(sim.PushFolder)
	p.hint()
	p.run(2800 * time.Millisecond)
	p.want("c1", "tip N=1/1 dep!=app ready nonmod")
	p.run(settled)
	p.want("c1", "tip N=1/1 ready nonmod")
}

// MaxNonce is the largest of the file, of every ring, and of what clusters show.
func TestBundle_maxNonce(t *testing.T) {
	p := newPlay(t)
	p.watch()
	p.run(time.Second)
	if n := p.bundle["db"].MaxNonce; n != 2 {
		t.Errorf("MaxNonce %d", n)
	}
	p.ship("v2", 30)
	p.run(3 * time.Second) // what the Bundle asks for counts before any cluster shows it
	if n := p.bundle["db"].MaxNonce; n != 30 || p.latest["db/c1"].SpecNonce != 1 {
		t.Errorf("MaxNonce %d, c1 at %d", n, p.latest["db/c1"].SpecNonce)
	}
	p.run(settled)
	p.Revert(repo, "bob <bob@example.com>")
	p.hint()
	p.run(settled)
	if n := p.bundle["db"].MaxNonce; n != 30 {
		t.Errorf("MaxNonce %d", n)
	}
}

func TestClaim(t *testing.T) {
	p := newPlay(t)
	claim := orchestrator.Action{Kind: orchestrator.ActClaim}
	if o := p.do(claim); o.Result != orchestrator.OK {
		t.Errorf("claim: %+v", o)
	}
	p.TakeClaim(scope, "ring-1", "held by bob@elsewhere")
	if o := p.do(claim); o.Result != orchestrator.Refused || o.Code != orchestrator.CodeClaimed || o.Words != "held by bob@elsewhere" {
		t.Errorf("claim: %+v", o)
	}
	tip := p.Tip(repo)
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActPublish, Items: item("v2", 3, tip)}); o.Code != orchestrator.CodeClaimed || p.Tip(repo) != tip {
		t.Errorf("publish: %+v", o)
	}
	p.TakeClaim(scope, "ring-1", "")
	if o := p.do(claim); o.Result != orchestrator.OK {
		t.Errorf("claim: %+v", o)
	}
}

// Each fault of an action makes its answer what it says.
func TestFaults_answers(t *testing.T) {
	tests := []struct {
		kind   orchestrator.ActionKind
		faults sim.Faults
		want   string
	}{
		{orchestrator.ActSurvey, sim.Faults{}, "ok "},
		{orchestrator.ActVerify, sim.Faults{}, "ok "},
		{orchestrator.ActSurvey, sim.Faults{Unreachable: 1}, "unreachable unreachable"},
		{orchestrator.ActPublish, sim.Faults{Unreachable: 1}, "unreachable unreachable"},
		{orchestrator.ActPublish, sim.Faults{PushRefused: 1}, "refused hook-rejected"},
		{orchestrator.ActPublish, sim.Faults{PushRaced: 1}, "refused conflict"},
		{orchestrator.ActClaim, sim.Faults{ClaimRefused: 1}, "refused claimed"},
		{orchestrator.ActClaim, sim.Faults{ClaimUnreachable: 1}, "unreachable unreachable"},
		{orchestrator.ActHint, sim.Faults{HintRefused: 1}, "refused permission-denied"},
		{orchestrator.ActNudge, sim.Faults{NudgeUnreachable: 1}, "unreachable unreachable"},
		{orchestrator.ActCheck, sim.Faults{}, "ok "},
		{orchestrator.ActCheck, sim.Faults{CheckBad: 1}, "refused check-failed"},
		{orchestrator.ActCheck, sim.Faults{CheckSilent: 1}, "unreachable unreachable"},
		{"dance", sim.Faults{}, "refused unexpected"},
	}
	for i, test := range tests {
		t.Run(fmt.Sprintf("%d-%s", i, test.kind), func(t *testing.T) {
			p := newPlay(t)
			p.Faults = test.faults
			a := orchestrator.Action{Kind: test.kind}
			if test.kind != orchestrator.ActClaim && test.kind != orchestrator.ActCheck {
				a.Items = item("v2", 3, p.Tip(repo))
			}
			o := p.do(a)
			if got := fmt.Sprintf("%s %s", o.Result, o.Code); got != test.want {
				t.Errorf("%s, want %s (%s)", got, test.want, o.Words)
			}
			if o.Result != orchestrator.OK && o.Words == "" {
				t.Error("no words")
			}
		})
	}
}

// A version can be ready in Fleet, and not well to those who ask.
func TestBehaviour_failsChecks(t *testing.T) {
	p := shipped(t, behaves(sim.Behaviour{Kind: sim.FailsChecks}))
	p.want("c1", "tip N=3/3 ready nonmod")
	o := p.do(orchestrator.Action{Kind: orchestrator.ActCheck})
	if o.Result != orchestrator.Refused || o.Code != orchestrator.CodeCheck {
		t.Errorf("check: %+v", o)
	}
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActCheck, Ring: "ring-2"}); o.Result != orchestrator.OK {
		t.Errorf("check of the other ring: %+v", o)
	}
	p.Answer = func(orchestrator.Job) (orchestrator.Outcome, bool) {
		return orchestrator.Outcome{Result: orchestrator.Unknown, Words: "no data"}, true
	}
	if o := p.do(orchestrator.Action{Kind: orchestrator.ActCheck}); o.Result != orchestrator.Unknown || o.Words != "no data" {
		t.Errorf("check: %+v", o)
	}
}
