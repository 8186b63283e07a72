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
func (p *player) rare(_ *orchestrator.State, ref orchestrator.Ref) []orchestrator.Body {
	n := 1 + p.IntN(9)
	return []orchestrator.Body{
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
