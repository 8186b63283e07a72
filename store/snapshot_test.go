package store_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// longTail are events that change nothing, as many as make a snapshot due.
var longTail = slices.Repeat([]orchestrator.Body{orchestrator.Dropped{Action: "none"}}, 1001)

// wantFold reads the rollout back, which must be what the tape says.
func wantFold(t *testing.T, db *store.DB, tape *storetest.Tape) {
	t.Helper()
	got, err := db.Rollout(t.Context(), tape.ID)
	must(t, err)
	if diff := cmp.Diff(tape.State, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("after %d events (-fold +store):\n%s", tape.State.Version, diff)
	}
}

// TestSnapshotIsFold plays rollouts over three rings at random, with a snapshot
// after every few events: whatever they touch must be in it.
func TestSnapshotIsFold(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			db := openUnsynced(t)
			tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1", "ring-2", "ring-3")
			p := &player{Rand: rand.New(rand.NewPCG(seed, 0))}
			appendAll(t, db, tape.Batch(lease, longTail...))
			for range 50 {
				for range 1 + p.IntN(15) {
					appendAll(t, db, tape.Batch(lease, p.move(tape.State)))
				}
				appendAll(t, db, tape.Batch(lease, longTail...))
				wantFold(t, db, tape)
			}
			for _, err := range db.Check(t.Context()) {
				t.Error(err)
			}
		})
	}
}

// TestSnapshotOfEach makes a snapshot after every single event of a journal
// that has every type, so that none can hide behind another.
func TestSnapshotOfEach(t *testing.T) {
	db := openUnsynced(t)
	events := everything()
	id, err := db.CreateRollout(t.Context(), "shop", func(orchestrator.ID, *rings.Application) (orchestrator.Created, error) {
		return events[0].Body.(orchestrator.Created), nil
	}, "ada", storetest.Start)
	must(t, err)
	lease, err := db.Acquire(t.Context(), id, driver, storetest.Start, time.Hour)
	must(t, err)
	tape := storetest.NewTape(id, events[0].Body.(orchestrator.Created), "ada", storetest.Start)
	for _, e := range events[1:] {
		appendAll(t, db, tape.Batch(lease, append([]orchestrator.Body{e.Body}, longTail...)...))
		t.Log(e.Type())
		wantFold(t, db, tape)
	}
	for _, err := range db.Check(t.Context()) {
		t.Error(err)
	}
}

// TestSnapshotAcrossRings passes from ring to ring between two snapshots: what
// was seen before belongs to the one, what comes after to the other.
func TestSnapshotAcrossRings(t *testing.T) {
	db := openUnsynced(t)
	tape, lease := startKind(t, db, orchestrator.KindForward, "ring-1", "ring-2")
	seen := func(n int) orchestrator.Body {
		return orchestrator.Observed{Fact: orchestrator.Fact{Service: "db", Deployment: &orchestrator.Deployment{Cluster: storetest.Cluster(n)}}}
	}
	first, second := orchestrator.Ref{Ring: "ring-1", Service: "db", Undo: true}, orchestrator.Ref{Ring: "ring-2", Service: "db", Undo: true}
	for _, bodies := range [][]orchestrator.Body{
		{orchestrator.RingStarted{Ring: "ring-1"}},
		{seen(1), orchestrator.RingStarted{Ring: "ring-2"}, seen(2)},
		{rollback(second, first), orchestrator.RollbackRing{Ring: "ring-2"}},
		{seen(3), orchestrator.RollbackRing{Ring: "ring-1"}, seen(4)},
	} {
		appendAll(t, db, tape.Batch(lease, append(bodies, longTail...)...))
		wantFold(t, db, tape)
	}
	if n := len(tape.State.Steps[5].Clusters); n != 1 {
		t.Errorf("%d clusters of ring-1 were seen while it is taken back, want 1", n)
	}
}

// player makes events at random, without sense but such that they fold.
type player struct{ *rand.Rand }

func (p *player) move(s *orchestrator.State) orchestrator.Body {
	ref := p.ref(s)
	switch p.IntN(16) {
	case 0, 1, 2:
		return orchestrator.Observed{Fact: p.fact(ref.Service)}
	case 3, 4, 5:
		return p.turned(ref)
	case 6, 7:
		return p.asked(ref)
	case 8, 9:
		return p.answered(s)
	default:
		moves := p.rare(s, ref)
		return moves[p.IntN(len(moves))]
	}
}

// rare are the events of which each is as likely as the other.
func (p *player) rare(s *orchestrator.State, ref orchestrator.Ref) []orchestrator.Body {
	n := 1 + p.IntN(9)
	word := orchestrator.Word{By: "bob", Reason: fmt.Sprint("reason ", n), At: storetest.Start}
	taking := orchestrator.Body(orchestrator.RollbackRing{Ring: ref.Ring})
	if s.Rollback == nil {
		taking = p.rollback(s)
	}
	return []orchestrator.Body{
		taking,
		orchestrator.ClockJumped{},
		orchestrator.Halted{Halt: &rings.Halt{Reason: word.Reason}},
		orchestrator.RingVerified{Ring: ref.Ring},
		orchestrator.RingStarted{Ring: ref.Ring},
		orchestrator.RingCounted{Ring: ref.Ring, Clusters: p.clusters()},
		orchestrator.RingConverged{Ring: ref.Ring},
		orchestrator.SoakRestarted{Ring: ref.Ring, From: storetest.Start.Add(time.Duration(n) * time.Hour)},
		orchestrator.RingSoaked{Ring: ref.Ring},
		orchestrator.RingEnded{Ring: ref.Ring, Phase: pick(p, orchestrator.RingDone, orchestrator.RingFailed, orchestrator.RingSkipped), Failure: broken},
		orchestrator.Approved{Ring: ref.Ring, Gate: pick(p, orchestrator.GateBefore, orchestrator.GateAfter), Approval: orchestrator.Approval{Word: word}},
		orchestrator.ApprovalFell{Ring: ref.Ring, Gate: pick(p, orchestrator.GateBefore, orchestrator.GateAfter)},
		orchestrator.Held{Word: word},
		orchestrator.Resumed{},
		orchestrator.Driven{Engine: n},
		orchestrator.Started{},
		orchestrator.StepStarted{Ref: ref},
		orchestrator.StepHeld{Ref: ref},
		orchestrator.AttemptDecided{Ref: ref, Attempt: orchestrator.Attempt{Number: n, Version: "v2", From: "v1", Nonce: int64(n), Ours: p.coin()}},
		orchestrator.Published{Ref: ref, Commit: storetest.Commit(n)},
		orchestrator.TakenUp{Ref: ref},
		orchestrator.Warned{Words: fmt.Sprint("warning ", n)},
		orchestrator.StepEnded{Ref: ref, Phase: pick(p, orchestrator.StepDone, orchestrator.StepFailed, orchestrator.StepSkipped),
			Reason: "so it is", Failure: broken},
		orchestrator.Commanded{Command: orchestrator.Command{Kind: orchestrator.CommandSkip, By: "bob", Ring: ref.Ring, Service: ref.Service}},
	}
}

// rollback takes one or two of the steps back.
func (p *player) rollback(s *orchestrator.State) orchestrator.Body {
	b := orchestrator.RollbackStarted{Reason: "it broke"}
	for _, i := range p.Perm(len(s.Steps))[:1+p.IntN(2)] {
		b.Steps = append(b.Steps, orchestrator.NewStep{Ring: s.Steps[i].Ring, Target: s.Steps[i].Target, Wave: 1, Undo: true, To: "v1"})
	}
	return b
}

func pick[T any](p *player, from ...T) T { return from[p.IntN(len(from))] }

func (p *player) coin() bool { return p.IntN(2) == 0 }

func (p *player) cluster() rings.ClusterName { return storetest.Cluster(p.IntN(8)) }

func (p *player) clusters() []rings.ClusterName {
	return []rings.ClusterName{p.cluster(), p.cluster(), p.cluster()}
}

// ref names one of the rollout's steps.
func (p *player) ref(s *orchestrator.State) orchestrator.Ref {
	st := pick(p, s.Steps...)
	return orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}
}

func (p *player) fact(svc rings.ServiceName) orchestrator.Fact {
	f := orchestrator.Fact{Service: svc}
	switch p.IntN(8) {
	case 0:
		f.Members = &orchestrator.Members{Clusters: p.clusters()}
	case 1:
		f.Bundle = &orchestrator.Bundle{Name: "db", Commit: storetest.Commit(p.IntN(9)), Error: pick(p, "", "targeting error")}
	case 2:
		f.GitRepo = &orchestrator.GitRepo{Commit: storetest.Commit(p.IntN(9)), JobFailed: p.coin()}
	case 3:
		f.Synced = true
	default:
		f.Deployment = &orchestrator.Deployment{Cluster: p.cluster(), Commit: storetest.Commit(p.IntN(9)), Ready: p.coin()}
	}
	return f
}

func (p *player) turned(ref orchestrator.Ref) orchestrator.Body {
	b := orchestrator.ClusterTurned{Ref: ref, Cluster: p.cluster(), Expected: p.coin(),
		Phase: pick(p, orchestrator.ClusterWaiting, orchestrator.ClusterApplying, orchestrator.ClusterNotReady, orchestrator.ClusterReady, orchestrator.ClusterFailed)}
	if p.coin() {
		b.Suspect = storetest.Start.Add(time.Duration(p.IntN(1e6)) * time.Second)
	}
	return b
}

func (p *player) asked(ref orchestrator.Ref) orchestrator.Body {
	return orchestrator.Asked{Action: orchestrator.Action{ID: fmt.Sprint("action-", p.IntN(9)),
		Kind: pick(p, orchestrator.ActSurvey, orchestrator.ActPublish, orchestrator.ActHint, orchestrator.ActNudge),
		Ring: ref.Ring, Undo: ref.Undo, Items: []orchestrator.Item{{Service: ref.Service}}, Reason: "to see"}}
}

// answered answers an action that is pending, or one that nobody asked for.
func (p *player) answered(s *orchestrator.State) orchestrator.Body {
	o := orchestrator.Outcome{Action: "none", Result: pick(p, orchestrator.OK, orchestrator.Unknown, orchestrator.Unreachable)}
	for _, id := range slices.Sorted(maps.Keys(s.Pending)) {
		if o.Action == "none" || p.coin() {
			o.Action = id
		}
	}
	for _, svc := range []rings.ServiceName{"db", "api"} {
		o.Surveys = append(o.Surveys, orchestrator.Survey{Service: svc, Tip: storetest.Commit(p.IntN(9)), Expected: p.clusters()})
	}
	return orchestrator.Answered{Outcome: o}
}
