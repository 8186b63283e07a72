package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Days is the time after the first rollouts, in which two keepers start what is
// due: trains to every ring but the first, and releases on the first. The zero
// value has none.
type Days struct {
	Last     time.Duration
	Every    int // minutes between two trains
	Rollouts int // at most
	// Happen are releases and what people do.
	Happen []DayTrouble
}

// DayTrouble is one thing that happens in Days.
type DayTrouble struct {
	At   time.Duration // after their begin
	Kind DayKind
	N    int
}

// DayKind is a kind of DayTrouble.
type DayKind string

// What happens in Days.
const (
	DayRelease DayKind = "day-release" // CI makes a release
	DayLock    DayKind = "day-lock"    // a person locks a part for a while
	DayWindow  DayKind = "day-window"  // a person closes a ring for a while
	DayPush    DayKind = "day-push"    // a person sets a version in git
	DayDeploy  DayKind = "day-deploy"  // a person rolls a version out on a ring, by hand
	DayJump    DayKind = "day-jump"    // the host's clock is set
)

// dayKinds are all of them; releases come more often.
var dayKinds = []DayKind{DayRelease, DayLock, DayRelease, DayWindow, DayPush, DayRelease, DayDeploy, DayJump}

// days draws the time after the first rollouts, in some of the scenarios with
// several rings.
func (d drawing) days() {
	if len(d.App.Rings) < 2 || d.one(8) > 0 {
		return
	}
	d.Days = Days{Last: d.between(time.Hour, 3*time.Hour), Every: []int{5, 10, 15, 20}[d.one(4)], Rollouts: 4}
	for range 4 + d.one(8) {
		d.Days.Happen = append(d.Days.Happen, DayTrouble{d.between(0, d.Days.Last), dayKinds[d.one(len(dayKinds))], d.one(1 << 20)})
	}
}

// keeping is how far the days are.
type keeping struct {
	begun    bool
	ends     time.Time // in true time
	releases []rings.Release
	rollouts int
	number   int // of the last rollout
}

// keep goes on with the days; false when there are none, or they are over.
func (s *stage) keep() bool {
	if s.Days.Last == 0 || len(s.checker.broken) > 0 {
		return false
	}
	if !s.days.begun {
		s.settle()
		s.drivers = nil
		s.beginDays()
	}
	return s.days.rollouts < s.Days.Rollouts && s.world.Now().Before(s.days.ends)
}

func (s *stage) beginDays() {
	s.calmDown()
	s.days.begun, s.days.ends, s.days.number = true, s.world.Now().Add(s.Days.Last), len(s.ends)
	s.story.Tell(s.world.Now(), "          . the days begin: a train every %d minutes", s.Days.Every)
	learn(s.App, orchestrator.Fold(nil, rereadAll(s.journal.Events(s.id))))
	for i := range s.App.Rings {
		r := &s.App.Rings[i]
		if r.Starts.OnRelease = rings.ReleaseStart; i > 0 {
			r.Starts = rings.Starts{Train: rings.Schedule{Cron: fmt.Sprintf("*/%d * * * *", s.Days.Every), Zone: "UTC", Within: 10 * time.Minute}}
		}
		r.StartsFrom(rings.Ring{}, s.world.Wall(), 0)
	}
	for _, h := range s.Days.Happen {
		s.world.After(h.At, func() { s.dayTrouble(h) })
	}
	s.keeper("keeper-1")
	s.keeper("keeper-2")
}

// keeper looks again and again what is due. Between its look and what it does
// time passes, so that it may be late; and it may die in between.
func (s *stage) keeper(name string) {
	s.world.After(time.Second+s.upTo(3*time.Minute), func() {
		if !s.keep() {
			return
		}
		look := s.look()
		all, _, err := s.Keep(look)
		if err != nil {
			panic(fmt.Sprintf("sim: %v", err))
		}
		s.world.After(s.upTo(20*time.Second), func() {
			if s.rand.IntN(5) == 0 {
				s.story.Tell(s.world.Now(), "          . %s dies", name)
			} else {
				s.carryOut(name, all)
			}
		})
		s.keeper(name)
	})
}

// look is what a keeper sees now, its own copy.
func (s *stage) look() orchestrator.Keeping {
	k := orchestrator.Keeping{App: cloneApp(s.App), Newest: len(s.days.releases), Live: map[rings.RingName]orchestrator.ID{}, Now: s.world.Wall(), Zones: time.LoadLocation}
	for _, r := range s.App.Rings {
		if s.live {
			k.Live[r.Name] = s.id // the stage plays one at a time
		}
	}
	var err error
	if k.Barriers, err = s.journal.Barriers(context.Background(), s.App.Name, k.Now); err != nil {
		panic(fmt.Sprintf("sim: %v", err))
	}
	return k
}

func (s *stage) carryOut(name string, all []orchestrator.Kept) {
	for _, d := range all {
		if d.Act == orchestrator.KeepWait || !s.keep() {
			continue
		}
		id, created := orchestrator.ID(fmt.Sprintf("shop-%d", s.days.number+1)), orchestrator.Created{}
		err := s.transaction(func(a *rings.Application) (err error) {
			if err = s.Handle(d.Due, a, s.world.Wall(), id); err != nil || d.Act == orchestrator.KeepSkip {
				return err
			}
			created, err = s.first(a, d.Due)
			return err
		})
		switch {
		case errors.Is(err, orchestrator.ErrNothing):
			err = s.transaction(func(a *rings.Application) error { return s.Handle(d.Due, a, s.world.Wall(), "") })
		case err == nil && d.Act == orchestrator.KeepStart:
			s.days.number++
			s.days.rollouts++
			s.use("day-" + string(created.Kind))
			s.story.Tell(s.world.Now(), "          . %s starts the %s", name, d.Due)
			s.calmAgain()
			s.create(id, created)
		}
		s.story.Tell(s.world.Now(), "          . %s: %s: %s %s: %v", name, d.Act, d.Due, d.Why, err)
	}
}

// errUnwritten is a transaction that failed.
var errUnwritten = errors.New("not written")

// transaction changes the application all or not at all. It may fail.
func (s *stage) transaction(change func(*rings.Application) error) error {
	a := cloneApp(s.App)
	if err := change(a); err != nil {
		return err
	}
	if s.rand.IntN(10) == 0 {
		return errUnwritten
	}
	*s.App = *a
	return nil
}

// first is the rollout that is due; it is refused like a store does.
func (s *stage) first(a *rings.Application, d orchestrator.Due) (orchestrator.Created, error) {
	if s.live {
		return orchestrator.Created{}, errors.New("another rollout is live")
	}
	var c orchestrator.Created
	var err error
	if d.Release > 0 {
		c, err = orchestrator.New(a, orchestrator.Request{Rings: []rings.RingName{d.Ring}, Release: &s.days.releases[d.Release-1], Empty: s.empty()})
	} else {
		c, err = s.Train(a, orchestrator.Train{Ring: d.Ring, Empty: s.empty()})
	}
	if err != nil {
		return c, err
	}
	c.Link = d.String()
	b, err := s.journal.Barriers(context.Background(), a.Name, s.world.Wall())
	if err == nil {
		err = c.Pass(b, nil, s.world.Wall())
	}
	return c, err
}

// calmAgain lets drivers die and writes fail for a while.
func (s *stage) calmAgain() {
	s.calm, s.deaths = false, 0
	s.world.After(5*time.Minute, func() { s.calm = true })
}

// dayTrouble lets one thing happen.
func (s *stage) dayTrouble(h DayTrouble) {
	if !s.keep() {
		return
	}
	s.use(string(h.Kind))
	while := time.Duration(1 + h.N%int(8*time.Minute))
	switch h.Kind {
	case DayRelease:
		s.makeRelease(h.N)
	case DayLock:
		s.lock(Trouble{N: h.N/11*11*2 + h.N%5}, while)
	case DayWindow:
		s.close(Trouble{N: h.N}, while)
	case DayPush:
		s.world.Happen(PushVersion)
	case DayJump:
		s.world.Happen(ClockJumps)
	case DayDeploy:
		s.deploy(h.N)
	}
}

// makeRelease makes one of new versions of some services.
func (s *stage) makeRelease(n int) {
	r := rings.Release{App: s.App.Name, Number: len(s.days.releases) + 1, Versions: map[rings.ServiceName]rings.Version{}, By: "ci", At: s.world.Wall()}
	for i, service := range s.App.Services {
		if i == n%len(s.App.Services) || n>>i&1 == 0 {
			r.Versions[service.Name] = rings.Version(fmt.Sprintf("r%d", r.Number))
		}
	}
	s.days.releases = append(s.days.releases, r)
	s.story.Tell(s.world.Now(), "          . release %d: %v", r.Number, r.Versions)
}

// deploy is a person's own rollout of one service.
func (s *stage) deploy(n int) {
	if s.live {
		return
	}
	r := orchestrator.Request{Rings: []rings.RingName{s.App.Rings[n%len(s.App.Rings)].Name}, Empty: s.empty(), Options: orchestrator.Options{Reason: "an incident"},
		Deploy: rings.Plan{s.App.Services[n/7%len(s.App.Services)].Name: {Version: rings.Version(fmt.Sprintf("d%d", n%100))}}}
	c, err := s.New(s.App, r)
	if n%3 == 0 {
		if n%2 == 0 {
			s.lock(Trouble{N: n / 6 * 22}, 3*time.Minute)
		}
		c, err = s.deployAll(r)
	}
	if err != nil {
		s.story.Tell(s.world.Now(), "          . no deploy: %v", err)
		return
	}
	s.days.number++
	s.days.rollouts++
	s.create(orchestrator.ID(fmt.Sprintf("shop-%d", s.days.number)), c)
}

// deployAll is the same on a group of all rings: those that are locked are left
// out, so that no lock refuses what is left.
func (s *stage) deployAll(r orchestrator.Request) (orchestrator.Created, error) {
	with := *s.App
	with.Groups = []rings.Group{{Name: "everywhere", Rings: s.App.RingNames()}}
	b, err := s.journal.Barriers(context.Background(), s.App.Name, s.world.Wall())
	if err != nil {
		return orchestrator.Created{}, err
	}
	on := func(ring rings.RingName) []rings.ClusterName { return s.world.Members(s.App.RingLabels(ring)) }
	r.Rings, r.Locked = []rings.RingName{"everywhere"}, b.At(s.world.Wall()).Reaching(s.App.RingNames(), on)
	c, err := s.New(&with, r)
	if err != nil {
		return c, err
	}
	s.use("group")
	if len(c.Left) > 0 {
		s.use("group-left")
	}
	passes := c
	if barred, ok := errors.AsType[*orchestrator.BarredError](passes.Pass(b, on, s.world.Wall())); ok && len(barred.Barriers.Locks) > 0 {
		s.checker.found("a group without its locked rings", barred.Error())
	}
	return c, nil
}

func (s *stage) use(what string) {
	if !slices.Contains(s.Used, what) {
		s.Used = append(s.Used, what)
	}
}

func cloneApp(a *rings.Application) *rings.Application {
	text, err := json.Marshal(a)
	if err != nil {
		panic(fmt.Sprintf("sim: an application cannot be written: %v", err))
	}
	out := new(rings.Application)
	if err := json.Unmarshal(text, out); err != nil {
		panic(fmt.Sprintf("sim: an application cannot be read: %v", err))
	}
	for i := range out.Services {
		if s := &out.Services[i]; s.Known == nil {
			s.Known = map[rings.RingName]rings.Known{}
		}
	}
	return out
}
