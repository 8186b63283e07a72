package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// PlayOptions are what a run may be played with.
type PlayOptions struct {
	// Decide is the engine; nil is [orchestrator.Step].
	Decide func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision
	// Keep, Handle and Train are what keepers decide with, and New makes what
	// persons deploy; nil are the engine's.
	Keep   func(orchestrator.Keeping) ([]orchestrator.Kept, time.Time, error)
	Handle func(d orchestrator.Due, a *rings.Application, at time.Time, id orchestrator.ID) error
	Train  func(*rings.Application, orchestrator.Train) (orchestrator.Created, error)
	New    func(*rings.Application, orchestrator.Request) (orchestrator.Created, error)
	// Share is in how many decisions, one of so many, the dear checks are made;
	// zero means 20.
	Share int
	// Scenario is what is played; nil is the one that the seed draws. It is
	// changed by the run, and cannot be played again.
	Scenario *Scenario
	// Silent: there is no story. The run is the same.
	Silent bool
}

// Report is what came of a run.
type Report struct {
	Seed   uint64
	Ends   []orchestrator.Phase // of its rollouts
	Codes  []orchestrator.Code  // of those that failed
	Broken []string             // sentences about broken invariants
	Story  string
	Used   []string // the policies and faults that it had
	Steps  int      // decisions
	Lasted time.Duration
}

// maxSteps is how many decisions of one run are bearable: more is a rollout
// that runs in circles.
const maxSteps = 20000

// maxEvents is how many things may happen in a world in one run.
const maxEvents = 2_000_000

// Play plays the scenario of the seed to its end, and checks all that must
// hold after every step. The same seed and options play the same run.
func Play(seed uint64, o PlayOptions) Report {
	if o.Scenario == nil {
		o.Scenario = Draw(seed)
	}
	if o.Share == 0 {
		o.Share = 20
	}
	o.keepers()
	s := newStage(seed, o)
	s.begin()
	s.play()
	return s.report(seed)
}

// keepers are the engine's where none are given.
func (o *PlayOptions) keepers() {
	if o.Keep == nil {
		o.Keep = orchestrator.Keep
	}
	if o.Handle == nil {
		o.Handle = func(d orchestrator.Due, a *rings.Application, at time.Time, id orchestrator.ID) error {
			return d.Handle(a, at, id, "")
		}
	}
	if o.Train == nil {
		o.Train = orchestrator.NewTrain
	}
	if o.New == nil {
		o.New = orchestrator.New
	}
}

// stage is a run that is being played.
type stage struct {
	*Scenario
	PlayOptions
	days    keeping
	rand    *rand.Rand
	world   *World
	journal *Memory
	checker *Checker
	story   Story
	began   time.Time // in true time

	id      orchestrator.ID
	judge   *Driver // of another rollout, on a ring that freezes; nil: there is none
	drivers []*Driver
	serial  int // of drivers
	deaths  int
	steps   int
	calm    bool
	saved   *orchestrator.State // of the last append
	version uint64              // that it had then
	resumes int
	ignored map[string]bool // the branches that nobody merges
	tried   bool            // to begin a second one
	live    bool
	created time.Time // in true time
	ends    []orchestrator.Phase
	codes   []orchestrator.Code
}

func newStage(seed uint64, o PlayOptions) *stage {
	s := &stage{Scenario: o.Scenario, PlayOptions: o, story: Story{silent: o.Silent}, rand: rand.New(rand.NewPCG(seed, 0x57a6e)), world: NewWorld(seed), journal: NewMemory()}
	s.world.Delays, s.world.Faults = s.Delays, s.Faults
	if !o.Silent {
		s.world.Told = func(words string) { s.story.Tell(s.world.Now(), "          . %s", words) }
	}
	s.world.Behave = s.behave
	s.checker = NewChecker(s.world, seed)
	s.checker.Share = o.Share
	if o.Decide != nil {
		s.checker.Decide = o.Decide
	}
	s.checker.Broken = func(sentence string) { s.story.Tell(s.world.Now(), "!!! %s", sentence) }
	s.journal.Encode = s.rand.IntN(4) == 0
	s.journal.Mishap = s.mishap
	s.journal.Stored = s.stored
	s.journal.Changed = s.notice
	s.journal.Rings = s.App.RingNames()
	s.checker.Truth = s.journal
	return s
}

// begin sets the fleet up, and creates the rollout.
func (s *stage) begin() {
	made := map[string]bool{}
	for _, service := range s.App.Services {
		if !made[service.Repo] {
			s.world.AddRepo(service.Repo, service.Branch)
			made[service.Repo] = true
		}
		s.world.AddService(service, []byte(s.Files[service.Name]))
	}
	for _, c := range s.Clusters {
		s.world.AddCluster(c.Name, c.Labels)
	}
	for _, service := range s.HoldBack {
		s.world.SetMaxUnavailable(service, 1)
	}
	for _, w := range s.Windows {
		s.journal.AddWindow(w)
	}
	s.world.Next() // brings it to rest
	s.began = s.world.Now()
	created, err := orchestrator.New(s.App, s.Request)
	if err != nil {
		panic(fmt.Sprintf("sim: a scenario that cannot begin: %v", err))
	}
	s.create("shop-1", created)
	for _, t := range s.Troubles {
		s.world.After(t.At, func() { s.trouble(t) })
	}
	s.world.After(s.Calm, s.calmDown)
}

// create begins a rollout with a driver of its own.
func (s *stage) create(id orchestrator.ID, c orchestrator.Created) {
	s.id, s.live, s.saved, s.resumes, s.created = id, true, nil, 0, s.world.Now()
	s.pass(&c)
	s.checker.Follow(id, s.App)
	s.journal.Create(id, s.world.Wall(), "ann", c)
	s.start()
	s.answerLater()
	s.mergeLater()
}

// pass goes over what stands in the way, if the person wants to from the
// beginning, or when nothing else lets the rollout begin.
func (s *stage) pass(c *orchestrator.Created) {
	b, err := s.journal.Barriers(context.Background(), s.App.Name, s.world.Wall())
	if err == nil {
		err = c.Pass(b, nil, s.world.Wall())
	}
	if errors.Is(err, orchestrator.ErrBarred) {
		s.Used = append(s.Used, "refused")
		c.Options.GoOver = true
		err = c.Pass(b, nil, s.world.Wall())
	}
	if err != nil {
		panic(fmt.Sprintf("sim: a scenario that cannot begin: %v", err))
	}
	if c.Over != nil {
		s.use("went-over")
	}
	if c.Over != nil && len(c.Over.Frozen) > 0 {
		s.use("went-over-freeze")
	}
}

// behave says how versions behave.
func (s *stage) behave(service rings.ServiceName, cluster rings.ClusterName, v rings.Version) (Behaviour, bool) {
	for _, b := range s.Bad {
		if b.Service == service && b.Version == v && (b.Cluster == "" || b.Cluster == cluster) {
			return b.Behaviour, true
		}
	}
	return Behaviour{}, false
}

// play lets time pass until the rollout has ended, or should have. A panic is
// something broken like any other: the story says what led to it.
func (s *stage) play() {
	defer func() {
		if p := recover(); p != nil {
			s.checker.found("no panic", fmt.Sprintf("%v at %s", p, panicked()))
		}
	}()
	for n := 0; s.live || s.again() || s.judge != nil || s.keep(); n++ {
		if !s.world.Step() {
			s.checker.found("progress", "nothing happens any more, and the rollout has not ended")
			return
		}
		s.checker.Watch()
		if (s.live || s.judge != nil) && s.world.Now().After(s.until()) || s.steps > maxSteps || n > maxEvents {
			s.stuck()
			return
		}
	}
	s.settle()
}

// until is when the rollout must have ended.
func (s *stage) until() time.Time {
	calm := s.began.Add(s.Calm)
	if s.created.After(calm) {
		calm = s.created
	}
	return calm.Add(s.bound())
}

// panicked is where the engine panicked, innermost first.
func panicked() string {
	var at []string
	pc := make([]uintptr, 30)
	frames := runtime.CallersFrames(pc[:runtime.Callers(4, pc)])
	for len(at) < 4 {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			at = append(at, fmt.Sprintf("%s:%d", path.Base(f.File), f.Line))
		}
		if !more {
			break
		}
	}
	return strings.Join(at, " < ")
}

// bound is how long a rollout may take when nothing goes wrong any more: its
// deadlines, forward and back, its soaks, and what persons take to answer.
func (s *stage) bound() time.Duration {
	total := 30 * time.Minute // that nobody drove
	for _, ring := range s.App.Rings {
		p := ring.Policy
		step := 2*p.Uptake + p.Converge + time.Minute
		total += time.Duration(len(s.App.Services)) * 2 * (step + s.mergeIn(p))
		total += 4*p.Soak + 2*p.Converge + 2*s.Delays.CheckIn + 10*s.Patience
		for _, c := range p.Checks {
			total += time.Duration(c.Samples+5) * 2 * c.Every()
		}
		if p.Soak > 0 {
			total += time.Hour // until silent agents are given up
		}
	}
	return total * (maxResumes + 1)
}

// maxResumes is how often a person resumes before giving up.
const maxResumes = 3

// start starts a driver.
func (s *stage) start() *Driver {
	s.serial++
	name := fmt.Sprintf("driver-%d", s.serial)
	d := &Driver{World: s.world, Journal: s.journal, Self: orchestrator.Driver{Name: name, Host: "host", PID: s.serial}, Dies: s.dies}
	d.Step = func(state *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision {
		s.steps++
		if in.Taken && s.saved != nil && s.saved.Version == s.version && s.version == state.Version {
			s.checker.Same(s.saved, state)
		}
		return s.checker.Step(state, in, driver)
	}
	d.Saved = func(state *orchestrator.State, _ []orchestrator.Event) {
		s.saved, s.version = state, state.Version
		s.said(state)
	}
	d.Gone = func(died bool) { s.gone(d, died) }
	s.drivers = append(s.drivers, d)
	s.story.Tell(s.world.Now(), "          . %s starts", name)
	d.Drive(s.id)
	return d
}

// said tells why the rollout stands where it stands.
func (s *stage) said(state *orchestrator.State) {
	if !s.story.silent {
		s.story.Tell(s.world.Now(), "= %s", state.Explain(s.world.Wall()))
	}
}

// gone is the end of a driver; another one comes after a while, if the rollout
// still needs one.
func (s *stage) gone(d *Driver, died bool) {
	s.drivers = slices.DeleteFunc(s.drivers, func(o *Driver) bool { return o == d })
	if died {
		s.story.Tell(s.world.Now(), "          . %s dies", d.Self.Name)
	}
	idle := time.Second
	if n := s.rand.IntN(4); n == 0 {
		idle = s.upTo(15 * time.Minute)
	} else if n == 1 {
		idle = s.upTo(30 * time.Second)
	}
	s.world.After(idle, func() {
		if len(s.drivers) == 0 && s.live {
			s.start()
		}
	})
}

func (s *stage) upTo(d time.Duration) time.Duration { return time.Duration(s.rand.Int64N(int64(d))) }

// dies decides at each boundary whether the driver dies there.
func (s *stage) dies(at Boundary) bool {
	if s.calm || s.deaths >= s.MaxDeaths || s.Crashes == 0 || s.rand.Float64() >= s.Crashes {
		return false
	}
	s.deaths++
	s.story.Tell(s.world.Now(), "          . the driver dies %s", at)
	return true
}

// mishap decides what becomes of a write.
func (s *stage) mishap(write string) Mishap {
	if s.calm || s.Writes == 0 || s.rand.Float64() >= s.Writes {
		return NoMishap
	}
	m := []Mishap{WriteFails, WriteHides}[s.rand.IntN(2)]
	s.story.Tell(s.world.Now(), "          . %s: %s", write, m)
	if m == WriteHides && s.rand.IntN(2) == 0 {
		s.world.After(s.upTo(2*time.Second), s.crash)
	}
	return m
}

// crash is the host's.
func (s *stage) crash() {
	if s.calm {
		return
	}
	s.story.Tell(s.world.Now(), "          . the host crashes")
	for _, d := range slices.Clone(s.drivers) {
		d.Kill()
	}
	s.journal.Crash()
}

// stored is told of events that are on disk.
func (s *stage) stored(id orchestrator.ID, driver string, events []orchestrator.Event) {
	for _, e := range events {
		if !s.story.silent {
			s.story.Tell(s.world.Now(), "%s", Describe(e))
		}
	}
	s.checker.Stored(id, driver, events)
	if slices.ContainsFunc(events, freezes) {
		s.use("frozen")
	}
	last, ended := events[len(events)-1].Body.(orchestrator.Ended)
	switch {
	case !ended:
	case id == s.id:
		s.ended(last)
	default:
		s.endJudged()
	}
}

func (s *stage) ended(b orchestrator.Ended) {
	s.ends = append(s.ends, b.Phase)
	if b.Failure != nil {
		s.codes = append(s.codes, b.Failure.Code)
	}
	s.live = false
	if s.days.begun {
		learn(s.App, orchestrator.Fold(nil, rereadAll(s.journal.Events(s.id))))
	}
	s.world.After(0, s.compare)
}

// compare holds the last state against its journal, in some of the runs.
func (s *stage) compare() {
	if !s.journal.Encode {
		return
	}
	fold := orchestrator.Fold(nil, rereadAll(s.journal.Events(s.id)))
	if s.saved != nil && s.saved.Version == s.version && s.version == fold.Version {
		s.checker.Same(s.saved, fold)
	}
}

// notice tells every driver that the store changed.
func (s *stage) notice() {
	for _, d := range s.drivers {
		d.Notice()
	}
	if s.judge != nil {
		s.judge.Notice()
	}
}

// driving is the driver that holds the lease; nil when none does.
func (s *stage) driving() *Driver {
	for _, d := range slices.Backward(s.drivers) {
		if d.State() != nil {
			return d
		}
	}
	return nil
}

func (s *stage) report(seed uint64) Report {
	return Report{Seed: seed, Ends: s.ends, Codes: s.codes, Broken: s.checker.Sentences(), Story: s.story.String(), Used: s.Used,
		Steps: s.steps, Lasted: s.world.Now().Sub(s.began)}
}
