package sim

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// calmDown ends all faults. From now on the rollout must get to its end.
func (s *stage) calmDown() {
	s.calm = true
	s.story.Tell(s.world.Now(), "          . all faults end")
	s.world.Calm()
	s.journal.Unhalt()
	s.journal.Free()
	for _, service := range s.App.Services {
		s.world.PauseGitRepo(service.Name, false)
		s.world.BreakJobs(service.Name, "")
		s.world.BreakTargets(service.Name, "")
	}
	if s.judge != nil {
		s.journal.Command(s.judge.id, orchestrator.Command{Kind: orchestrator.CommandCancel, By: "bob", At: s.world.Wall(), Reason: "it took too long"})
	}
}

// trouble lets a trouble happen.
func (s *stage) trouble(t Trouble) {
	if s.calm || !s.live {
		return
	}
	while := time.Duration(t.N % int(10*time.Minute))
	service := s.App.Services[t.N%len(s.App.Services)].Name
	switch {
	case slices.Contains(Happenings, Happening(t.Kind)):
		if t.Kind == TroubleKind(Rewritten) {
			s.checker.Rewritten()
		}
		s.world.Happen(Happening(t.Kind))
	case s.driverTrouble(t, while):
	case s.fleetTrouble(t, service, while):
	case s.branchTrouble(t):
	case t.Kind == RingJudged:
		s.judgeRing()
	default:
		s.personTrouble(t)
	}
}

// driverTrouble is about drivers and their host.
func (s *stage) driverTrouble(t Trouble, while time.Duration) bool {
	d := s.driving()
	switch {
	case t.Kind == SecondDriver:
		s.start()
	case t.Kind == HostCrashes:
		s.crash()
	case t.Kind != DriverDies && t.Kind != DriverSleeps && t.Kind != DriverLeaves:
		return false
	case d == nil:
	case t.Kind == DriverDies:
		d.Kill()
	case t.Kind == DriverLeaves:
		s.story.Tell(s.world.Now(), "          . %s leaves", d.Self.Name)
		d.Leave()
	case t.Kind == DriverSleeps:
		span := orchestrator.LeaseTTL/2 + while/10
		s.story.Tell(s.world.Now(), "          . %s is suspended for %s, another one starts", d.Self.Name, span)
		d.Suspend(span)
		s.start()
	}
	return true
}

// fleetTrouble is about Fleet, and about other stores.
func (s *stage) fleetTrouble(t Trouble, service rings.ServiceName, while time.Duration) bool {
	scope := orchestrator.Scope{App: s.App.Name, Workspace: s.App.Workspace, Manager: s.App.Manager, RingLabel: s.App.RingLabel, Selector: s.App.Selector}
	ring := s.App.Rings[t.N%len(s.App.Rings)].Name
	var begin, end func()
	switch t.Kind {
	case LineHalted:
		s.halt(while, t.N%2 == 0)
		return true
	case PersonLocks:
		s.lock(t, while)
		return true
	case PersonCloses:
		s.close(t, while)
		return true
	case ClaimTaken:
		begin, end = func() { s.world.TakeClaim(scope, ring, "held by bob@elsewhere") }, func() { s.world.TakeClaim(scope, ring, "") }
	case JobsBroken:
		begin, end = func() { s.world.BreakJobs(service, "could not clone") }, func() { s.world.BreakJobs(service, "") }
	case TargetsBreak:
		begin, end = func() { s.world.BreakTargets(service, "targeting error: no such label") }, func() { s.world.BreakTargets(service, "") }
	case GitRepoHeld:
		begin, end = func() { s.world.PauseGitRepo(service, true) }, func() { s.world.PauseGitRepo(service, false) }
	default:
		return false
	}
	s.story.Tell(s.world.Now(), "          . %s: %s %s, for %s", t.Kind, service, ring, while)
	begin()
	s.world.After(while, end)
	return true
}

// halt stops the line: until a time, or until it is lifted.
func (s *stage) halt(while time.Duration, lifted bool) {
	h := rings.Halt{App: s.App.Name, By: "ann", Reason: "an incident", At: s.world.Wall()}
	if !lifted {
		h.Until = h.At.Add(while)
	}
	s.journal.Halt(h)
	if lifted {
		s.world.After(while, s.journal.Unhalt)
	}
}

// lock locks a part of the application: until a time, or until it is released.
func (s *stage) lock(t Trouble, while time.Duration) {
	l := rings.Lock{App: s.App.Name, Holder: fmt.Sprintf("bob-%d", t.N), By: "bob", Reason: "an incident", At: s.world.Wall()}
	ring, service := s.App.Rings[t.N/7%len(s.App.Rings)].Name, s.App.Services[t.N/7%len(s.App.Services)].Name
	switch t.N % 5 {
	case 0:
		l.Ring = ring
	case 1:
		l.Service = service
	case 2:
		l.Ring, l.Service = ring, service
	case 3:
		l.Cluster = s.Clusters[t.N/7%len(s.Clusters)].Name
	}
	if t.N/11%2 == 0 {
		l.Until = l.At.Add(while)
	} else {
		s.world.After(while, func() { s.journal.Unlock(l) })
	}
	s.story.Tell(s.world.Now(), "          . %s", l.Words())
	s.journal.Lock(l)
}

// close makes a window that denies from now on, for a while, or until it is
// removed before that.
func (s *stage) close(t Trouble, while time.Duration) {
	w := rings.Window{App: s.App.Name, Name: rings.WindowName(fmt.Sprintf("freeze-%d", t.N)), Kind: rings.WindowDeny, From: s.world.Wall(), To: s.world.Wall().Add(while + time.Second), Zone: "UTC",
		By: "bob", At: s.world.Wall()}
	if t.N%3 > 0 {
		w.Ring = s.App.Rings[t.N/7%len(s.App.Rings)].Name
	}
	s.story.Tell(s.world.Now(), "          . a window is made: %s %s", w.Ring, w.When())
	s.journal.AddWindow(w)
	if t.N/11%2 == 0 {
		s.world.After(while/2, func() {
			s.story.Tell(s.world.Now(), "          . the window %s is removed", w.Name)
			s.journal.RemoveWindow(w.Name)
		})
	}
}

// personTrouble is what a person does unasked.
func (s *stage) personTrouble(t Trouble) {
	c := orchestrator.Command{By: "bob", At: s.world.Wall(), Reason: "I say so"}
	switch t.Kind {
	case PersonPauses:
		c.Kind = orchestrator.CommandPause
	case PersonEnds:
		c.Kind = orchestrator.CommandCancel
	case PersonSkips:
		c.Kind = orchestrator.CommandSkip
		switch t.N % 3 {
		case 0:
			c.Cluster = s.Clusters[t.N%len(s.Clusters)].Name
		case 1:
			c.Service = s.App.Services[t.N%len(s.App.Services)].Name
		case 2:
			c.Ring = s.App.Rings[t.N%len(s.App.Rings)].Name
		}
	}
	s.journal.Command(s.id, c)
}

// answerLater has a person look at the rollout again and again.
func (s *stage) answerLater() {
	id := s.id
	s.world.After(s.Patience/2+s.upTo(s.Patience), func() {
		if s.id != id || !s.live {
			return
		}
		if d := s.driving(); d != nil {
			s.answer(d.State())
		}
		s.answerLater()
	})
}

// answer does what waits for a person.
func (s *stage) answer(state *orchestrator.State) {
	c := orchestrator.Command{By: "ann", At: s.world.Wall(), Reason: "as it should be"}
	if state.Pause != nil {
		s.unpause(state, c)
		return
	}
	ring, gate, ok := state.Awaiting()
	if !ok {
		return
	}
	c.Kind, c.Ring, c.Gate, c.Content = orchestrator.CommandApprove, ring, gate, state.Content(ring)
	if s.Fickle && !s.calm && s.rand.IntN(4) == 0 {
		c.Content = "something else"
	}
	s.journal.Command(s.id, c)
}

// unpause resumes a rollout, or gives it up: at the latest when it failed again
// and again.
func (s *stage) unpause(state *orchestrator.State, c orchestrator.Command) {
	s.resumes++
	switch {
	case s.resumes > maxResumes || s.Fickle && s.rand.IntN(4) == 0:
		c.Kind = orchestrator.CommandCancel
	case state.Failure != nil && state.Failure.Cluster != "" && s.rand.IntN(2) == 0:
		skip := c
		skip.Kind, skip.Cluster = orchestrator.CommandSkip, state.Failure.Cluster
		s.journal.Command(s.id, skip)
		c.Kind = orchestrator.CommandResume
	default:
		c.Kind = orchestrator.CommandResume
	}
	s.journal.Command(s.id, c)
}
