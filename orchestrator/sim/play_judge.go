package sim

import (
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// freezes draws a ring that freezes the one that it takes from, in some of the
// scenarios with several rings, and when another rollout begins there: it is not
// of the rings that are asked for. All that is drawn here is drawn apart from the
// rest.
func (d drawing) freezes() {
	names := d.App.RingNames()
	from := slices.Index(names, d.Request.Rings[0])
	if later := len(names) - from - 1; later > 0 && d.one(3) == 0 {
		n := from + 1 + d.one(later)
		d.App.Rings[n].Policy.FreezeUpstream = true
		d.Request.Rings = names[from:n]
		d.Troubles = append(d.Troubles, Trouble{At: d.between(0, min(d.Calm, time.Minute)), Kind: RingJudged})
		d.use("freeze-upstream")
	}
}

// judgeRing begins another rollout, on the ring that freezes. Nobody answers what
// it asks, and nothing happens to its driver.
func (s *stage) judgeRing() {
	n := slices.IndexFunc(s.App.Rings, func(r rings.Ring) bool { return r.Policy.FreezeUpstream })
	c, err := orchestrator.New(s.App, orchestrator.Request{Rings: s.App.RingNames()[n : n+1], Empty: s.empty(), Options: orchestrator.Options{Override: true, Reason: "it is urgent"}})
	if err != nil {
		s.story.Tell(s.world.Now(), "          . no rollout to judge: %v", err)
		return
	}
	s.pass(&c)
	s.judge = &Driver{World: s.world, Journal: s.journal, Self: orchestrator.Driver{Name: "judge", Host: "host", PID: 1000}, Step: s.checker.Step}
	s.checker.Follow(judged, s.App)
	s.journal.Create(judged, s.world.Wall(), "bob", c)
	s.judge.Drive(judged)
}

// judged is the rollout on the ring that freezes.
const judged orchestrator.ID = "shop-100"

// freezes reports whether a rollout is told that a ring is frozen.
func freezes(e orchestrator.Event) bool {
	b, ok := e.Body.(orchestrator.Barred)
	return ok && len(b.Frozen) > 0
}

// endJudged is the end of that rollout.
func (s *stage) endJudged() {
	s.judge = nil
	learn(s.App, orchestrator.Fold(nil, rereadAll(s.journal.Events(judged))))
}
