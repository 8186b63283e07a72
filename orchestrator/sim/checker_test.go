package sim_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// decide is an engine.
type decide = func(*orchestrator.State, orchestrator.Input, string) orchestrator.Decision

// believing is the engine with something else than what it was told or knows.
func believing(change func(*orchestrator.State, *orchestrator.Input)) decide {
	return func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision {
		in.Facts = slices.Clone(in.Facts)
		change(s, &in)
		return orchestrator.Step(s, in, driver)
	}
}

// deployments changes every deployment that is delivered.
func deployments(change func(*orchestrator.Deployment)) decide {
	return believing(func(_ *orchestrator.State, in *orchestrator.Input) {
		for i, f := range in.Facts {
			if f.Deployment != nil {
				d := *f.Deployment
				change(&d)
				in.Facts[i].Deployment = &d
			}
		}
	})
}

// steps changes every step before each decision.
func steps(change func(*orchestrator.StepState)) decide {
	return believing(func(s *orchestrator.State, _ *orchestrator.Input) {
		for _, st := range s.Steps {
			change(st)
		}
	})
}

// allRings changes every ring before each decision.
func allRings(change func(*orchestrator.RingState)) decide {
	return believing(func(s *orchestrator.State, _ *orchestrator.Input) {
		for _, r := range s.Rings {
			change(r)
		}
	})
}

// often makes troubles come again and again, from a minute on.
func often(s *sim.Scenario, kinds ...sim.TroubleKind) {
	for i := range 30 {
		s.Troubles = append(s.Troubles, sim.Trouble{At: time.Duration(10+7*i) * time.Second, Kind: kinds[i%len(kinds)], N: 7919 * i})
	}
	s.Calm = max(s.Calm, 5*time.Minute)
}

// protect makes every branch take no direct pushes.
func protect(s *sim.Scenario) {
	for i := range s.App.Services {
		s.App.Services[i].Publish = rings.PublishBranch
	}
	for i := range s.App.Rings {
		s.App.Rings[i].Policy.Merge = 10 * time.Minute
	}
}

// unlucky has services fail while what others propose is being merged, and taken
// back; fetches are slow, so that much happens meanwhile.
func unlucky(s *sim.Scenario) {
	protect(s)
	s.Delays.Fetch = sim.Delay{Min: time.Second, Max: 10 * time.Second}
	s.Calm, s.Patience, s.Troubles, s.Faults = time.Minute, 20*time.Second, nil, sim.Faults{}
	for i := range s.App.Services {
		s.App.Services[i].DependsOn = nil
	}
	for i := range s.App.Rings {
		p := &s.App.Rings[i].Policy
		p.OnFailure, p.MaxFailed, p.ApproveBefore, p.ApproveAfter = rings.FailureRollback, rings.Amount{}, false, false
	}
	s.Bad = []sim.Bad{{Service: "db", Version: "v2", Behaviour: sim.Behaviour{Kind: sim.InstallFails}}}
}

// forgetful has drivers die and Fleet lose check-ins while a cluster does not
// become ready that could be offline.
func forgetful(s *sim.Scenario) {
	often(s, sim.DriverDies, sim.TroubleKind(sim.PushFile))
	s.Faults = sim.Faults{CheckInLost: 0.5}
	s.Bad = []sim.Bad{{Service: "db", Cluster: "ring-1-a", Version: "v2", Behaviour: sim.Behaviour{Kind: sim.NeverReady}}}
	for i := range s.App.Rings {
		p := &s.App.Rings[i].Policy
		p.MaxFailed, p.OnOffline, p.MaxOffline = rings.Amount{}, rings.OfflineSkip, rings.Amount{N: 1}
	}
}

// merged are the surveys as if what is proposed was on the branch.
func merged(s *orchestrator.State, o orchestrator.Outcome) []orchestrator.Survey {
	out := slices.Clone(o.Surveys)
	for i := range out {
		for _, st := range s.Steps {
			if st.Target.Service == out[i].Service && st.Phase == orchestrator.StepPublishing {
				out[i].Version, out[i].Nonce, out[i].Commit = st.Attempt.Version, st.Attempt.Nonce, o.Proposal.Commit
			}
		}
	}
	return out
}

// provoke makes scenarios harder where an engine is wrong: few would be else.
var provoke = map[string]func(*sim.Scenario){
	"takes ready for done":                    func(s *sim.Scenario) { often(s, sim.TroubleKind(sim.HandEdit)) },
	"takes a proposal for published":          protect,
	"gives a proposal up without a last look": unlucky,
	"overwrites settings of others": func(s *sim.Scenario) {
		often(s, sim.TroubleKind(sim.PushVersion))
		s.Request.Options.Override = false
	},
	"forgets signs that Fleet loses": forgetful,
	"ignores a halt":                 func(s *sim.Scenario) { often(s, sim.LineHalted) },
	"ignores a pause":                func(s *sim.Scenario) { often(s, sim.PersonPauses) },
	"fails for clusters that left": func(s *sim.Scenario) {
		often(s, sim.TroubleKind(sim.ClusterGoes), sim.TroubleKind(sim.ClusterMoves))
		s.Bad = []sim.Bad{{Service: "db", Version: "v2", Behaviour: sim.Behaviour{Kind: sim.NeverReady}}}
	},
	"soaks through a jump of the clock": func(s *sim.Scenario) {
		often(s, sim.TroubleKind(sim.ClockJumps))
		s.Bad = nil
		for i := range s.App.Rings {
			s.App.Rings[i].Policy.Soak = time.Minute
		}
	},
}

// wrong are engines that are wrong in one way, and what must catch them.
var wrong = []struct {
	name, caught string
	decide       decide
}{
	{"needs nothing", "invariant 1, order", steps(func(st *orchestrator.StepState) { st.Needs = nil })},
	{"takes a proposal for published", "invariant 3, merged", believing(func(s *orchestrator.State, in *orchestrator.Input) {
		in.Outcomes = slices.Clone(in.Outcomes)
		for i, o := range in.Outcomes {
			if o.Proposal != nil {
				in.Outcomes[i].Surveys = merged(s, o)
			}
		}
	})},
	{"gives a proposal up without a last look", "invariant 11, scope", believing(func(s *orchestrator.State, _ *orchestrator.Input) {
		for _, st := range s.Unmerged() {
			if at := st.Proposal.WithdrawnAt; st.SurveyedAt.Before(at) {
				st.SurveyedAt = at
			}
		}
	})},
	{"needs no approval", "invariant 2, gates", allRings(func(r *orchestrator.RingState) { r.Policy.ApproveBefore, r.Policy.ApproveAfter = false, false })},
	{"an approval never expires", "invariant 2, gates", allRings(func(r *orchestrator.RingState) { r.Policy.ApprovalExpires = 0 })},
	{"leaves no ring out", "invariant 4, stopped", allRings(func(r *orchestrator.RingState) { r.Skip = nil })},
	{"takes any nonce for acknowledged", "invariant 3, evidence", deployments(func(d *orchestrator.Deployment) { d.StatusNonce, d.Applied, d.Ready = d.SpecNonce, true, true })},
	{"forgets signs that Fleet loses", "invariant 3, evidence", steps(func(st *orchestrator.StepState) {
		for _, c := range st.Clusters {
			if c.Seen != nil {
				c.Heard = c.Seen.Heard
			}
		}
	})},
	{"takes ready for done", "invariant 3, evidence", deployments(func(d *orchestrator.Deployment) { d.NonModified = true })},
	{"ignores a pause", "invariant 4, stopped", believing(func(s *orchestrator.State, _ *orchestrator.Input) { s.Pause = nil })},
	{"ignores a freeze", "invariant 14, barred", believing(func(s *orchestrator.State, in *orchestrator.Input) {
		if s.Frozen = nil; in.Barriers != nil {
			told := *in.Barriers
			told.Frozen, in.Barriers = nil, &told
		}
	})},
	{"ignores a halt", "invariant 4, stopped", believing(func(s *orchestrator.State, _ *orchestrator.Input) { s.Halt = nil })},
	{"goes on after a failure", "invariant 4, stopped", believing(func(s *orchestrator.State, _ *orchestrator.Input) {
		if s.Rollback == nil {
			s.Failure = nil
		}
	})},
	{"does not soak", "invariant 5, soak", allRings(func(r *orchestrator.RingState) { r.Policy.Soak = 0 })},
	{"soaks by an agent that is silent", "invariant 5, soak", deployments(func(d *orchestrator.Deployment) { d.Heard = d.Heard.Add(time.Hour) })},
	{"soaks through a jump of the clock", "invariant 5, soak", believing(func(_ *orchestrator.State, in *orchestrator.Input) { in.Jumped = false })},
	{"asks no check", "invariant 5, checks", allRings(func(r *orchestrator.RingState) { r.Policy.Checks = nil })},
	{"waits for ever", "invariant 6, deadline", func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision {
		d := orchestrator.Step(s, in, driver)
		d.Wake = time.Time{}
		return d
	}},
	{"takes the claim for granted", "invariant 7, claim", allRings(func(r *orchestrator.RingState) { r.Claimed = true })},
	{"has every attempt at one nonce", "invariant 8, attempts", steps(func(st *orchestrator.StepState) {
		if st.Phase == orchestrator.StepSurveying && st.Attempt.Ours {
			st.Attempt.Nonce, st.Attempt.Number = st.Attempt.Nonce-1, 0
		}
	})},
	{"fails for clusters that left", "invariant 10, members", believing(func(_ *orchestrator.State, in *orchestrator.Input) {
		if !slices.ContainsFunc(in.Facts, func(f orchestrator.Fact) bool { return f.Synced }) {
			in.Facts = slices.DeleteFunc(in.Facts, func(f orchestrator.Fact) bool { return f.Members != nil })
		}
	})},
	{"takes back in any order", "invariant 11, order", steps(func(st *orchestrator.StepState) {
		if st.Undo {
			st.Needs = nil
		}
	})},
	{"takes back less than it changed", "invariant 11, scope", steps(func(st *orchestrator.StepState) { st.Changed = st.Changed && st.Wave > 1 })},
	{"overwrites what others wrote", "invariant 12, foreign", believing(func(s *orchestrator.State, _ *orchestrator.Input) { s.Options.Override = true })},
	{"forgets the settings that it changed", "invariant 11, scope", steps(func(st *orchestrator.StepState) { st.Before = nil })},
	{"leaves the settings out", "invariant 3, evidence", steps(func(st *orchestrator.StepState) { st.Settings = nil })},
	{"overwrites settings of others", "invariant 12, foreign", steps(func(st *orchestrator.StepState) { st.Known.Settings, st.Known.Tried = nil, nil })},
	{"is taken up again and again", "invariant 13, quiet", believing(func(_ *orchestrator.State, in *orchestrator.Input) { in.Taken = true })},
	{"forgets its tags", "tags", believing(func(s *orchestrator.State, _ *orchestrator.Input) { s.Options.Tag = "" })},
	{"does not decide the same twice", "Step is pure", func() decide {
		n := 0
		return func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision {
			n++
			in.Now = in.Now.Add(time.Duration(n))
			return orchestrator.Step(s, in, driver)
		}
	}()},
}

// wrongKeepers are keepers that are wrong in one way, and what must catch them.
var wrongKeepers = []struct {
	name, caught string
	make         func(*sim.PlayOptions)
}{
	{"takes what is not verified", "invariant 15, train", func(o *sim.PlayOptions) {
		o.Train = func(a *rings.Application, t orchestrator.Train) (orchestrator.Created, error) {
			return orchestrator.NewTrain(known(a, func(_ rings.RingName, k *rings.Known) { k.Verified = "x" }), t)
		}
	}},
	{"leaves no locked ring of a group out", "a group without its locked rings", func(o *sim.PlayOptions) {
		o.New = func(a *rings.Application, r orchestrator.Request) (orchestrator.Created, error) {
			r.Locked = nil
			return orchestrator.New(a, r)
		}
	}},
	{"takes again what has failed", "invariant 16, once", func(o *sim.PlayOptions) {
		o.Train = func(a *rings.Application, t orchestrator.Train) (orchestrator.Created, error) {
			return orchestrator.NewTrain(known(a, func(ring rings.RingName, k *rings.Known) {
				if ring == t.Ring {
					*k = rings.Known{}
				}
			}), t)
		}
	}},
	{"starts what others have started", "invariant 16, once", func(o *sim.PlayOptions) {
		o.Handle = func(d orchestrator.Due, a *rings.Application, at time.Time, id orchestrator.ID) error {
			if err := d.Handle(a, at, id, ""); !errors.Is(err, orchestrator.ErrHandled) {
				return err
			}
			return nil
		}
	}},
	{"does not look what is handled", "invariant 16, once", func(o *sim.PlayOptions) {
		o.Keep = func(k orchestrator.Keeping) ([]orchestrator.Kept, time.Time, error) {
			for i := range k.App.Rings {
				k.App.Rings[i].Kept = rings.Kept{}
			}
			return orchestrator.Keep(k)
		}
		o.Handle = func(orchestrator.Due, *rings.Application, time.Time, orchestrator.ID) error { return nil }
	}},
}

// known is the application with something else known of it.
func known(a *rings.Application, change func(rings.RingName, *rings.Known)) *rings.Application {
	out := *a
	out.Services = slices.Clone(a.Services)
	for i, s := range out.Services {
		out.Services[i].Known = map[rings.RingName]rings.Known{}
		for ring, k := range s.Known {
			change(ring, &k)
			out.Services[i].Known[ring] = k
		}
	}
	return &out
}

// TestChecker_catchesKeepers plays keepers that are wrong in one way, in long days.
func TestChecker_catchesKeepers(t *testing.T) {
	for _, w := range wrongKeepers {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(500) {
				s := sim.Draw(seed)
				if s.Days.Last == 0 {
					continue
				}
				s.Days.Rollouts, s.Days.Last = 12, 6*time.Hour
				o := sim.PlayOptions{Share: 1000, Scenario: s, Silent: true}
				w.make(&o)
				r := sim.Play(seed, o)
				if slices.ContainsFunc(r.Broken, func(s string) bool { return strings.HasPrefix(s, w.caught+":") }) {
					return
				}
			}
			t.Errorf("%q does not catch a keeper that %s", w.caught, w.name)
		})
	}
}

// TestChecker_catches plays engines that are wrong in one way: what checks that
// must find it.
func TestChecker_catches(t *testing.T) {
	const tries = 500 // seeds; most wrong engines are caught by one of the first ten
	for _, w := range wrong {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(tries) {
				s := sim.Draw(seed)
				if p := provoke[w.name]; p != nil {
					p(s)
				}
				r := sim.Play(seed, sim.PlayOptions{Decide: w.decide, Share: 5, Scenario: s})
				if slices.ContainsFunc(r.Broken, func(s string) bool { return strings.HasPrefix(s, w.caught+":") }) {
					return
				}
			}
			t.Errorf("%q does not catch an engine that %s, in %d seeds", w.caught, w.name, tries)
		})
	}
}
