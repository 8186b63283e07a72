package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Checker holds what a simulated run does against what must always hold
// (DESIGN section 3): every decision when it is made, every event when it is on
// disk, and the branches' histories whenever they grow. It reads events, the
// facts that were delivered, and the truth of the world, and shares no code
// with the engine: what must hold is worked out again here.
//
// Each invariant is a function named by its number and a word, which returns
// what is broken in a sentence, or "".
type Checker struct {
	World *World
	// Decide is the engine; nil is [orchestrator.Step].
	Decide func(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision
	// Share is in how many decisions, one of so many, the checks that copy the
	// state are made; 0 and 1 mean in all.
	Share int
	// Truth, if set, is what the store says of locks and windows.
	Truth Truth
	// Broken, if set, is called for everything that is broken.
	Broken func(sentence string)

	broken []string
	rand   *rand.Rand
	runs   map[orchestrator.ID]*run
	views  map[string]*view          // by driver
	last   map[orchestrator.ID]*view // of the driver that decided last
	logs   map[string]*repoLog
	order  []orchestrator.ID          // as they began
	before map[orchestrator.Ref]proof // what was verified before the first
	// promoted is by which rollout something was, and takes what a train would.
	promoted map[string]orchestrator.ID
	takes    map[orchestrator.ID]map[orchestrator.Ref]string
	ran      map[ranKey]bool // what a cluster really ran, at any time
}

// ranKey is a version that a cluster ran.
type ranKey struct {
	service rings.ServiceName
	cluster rings.ClusterName
	version rings.Version
	nonce   int64
	set     string // World.Set
}

// NewChecker returns a checker for what happens in the world from now on. The
// seed chooses where the dear checks are made.
func NewChecker(w *World, seed uint64) *Checker {
	return &Checker{World: w, Decide: orchestrator.Step, Share: 1, rand: rand.New(rand.NewPCG(seed, 0xc4ec)), runs: map[orchestrator.ID]*run{},
		views: map[string]*view{}, last: map[orchestrator.ID]*view{}, logs: map[string]*repoLog{}, ran: map[ranKey]bool{}, promoted: map[string]orchestrator.ID{}, takes: map[orchestrator.ID]map[orchestrator.Ref]string{}}
}

// Sentences are all that was broken so far, each once, in the order in which
// it was found.
func (k *Checker) Sentences() []string { return k.broken }

// maxBroken is how much is told of one run: the rest follows from it.
const maxBroken = 10

func (k *Checker) found(invariant, sentence string) {
	if sentence == "" {
		return
	}
	sentence = invariant + ": " + sentence
	if len(k.broken) == maxBroken || slices.Contains(k.broken, sentence) {
		return
	}
	k.broken = append(k.broken, sentence)
	if k.Broken != nil {
		k.Broken(sentence)
	}
}

// Follow makes the checker follow a rollout of the application. It must be
// called before the rollout's first event is stored.
func (k *Checker) Follow(id orchestrator.ID, app *rings.Application) {
	k.runs[id] = newRun(app)
	k.began(id, app)
	for _, s := range app.Services {
		if k.logs[s.Repo] == nil {
			k.logs[s.Repo] = &repoLog{url: s.Repo}
		}
		k.logs[s.Repo].follow(s)
	}
	k.look()
}

// Rewritten tells that somebody may rewrite a history from now on: that
// commits go is not the rollout's doing.
func (k *Checker) Rewritten() {
	for _, l := range k.logs {
		l.rewritten = true
	}
}

// Watch looks at the truth. It must be called after every step of the world.
func (k *Checker) Watch() {
	for _, r := range k.runs {
		for _, s := range r.app.Services {
			for _, c := range k.World.clusters {
				if v, n, _ := k.World.Running(s.Name, c.name); v != "" {
					k.ran[ranKey{s.Name, c.name, v, n, k.World.Set(s.Name, c.name)}] = true
				}
			}
		}
		break // all are of one application
	}
	k.look()
}

// Step is the engine for a driver: it decides, and checks the decision.
func (k *Checker) Step(s *orchestrator.State, in orchestrator.Input, driver string) orchestrator.Decision {
	v := k.view(s, in, driver)
	dear := k.Share <= 1 || k.rand.IntN(k.Share) == 0
	var before []byte
	if dear {
		before = asJSON(s)
	}
	stood := standing(s)
	d := k.Decide(s, in, driver)
	k.found("invariant 14, barred", k.invariant14Barred(s, stood, d.Events))
	k.found("invariant 6, deadline", invariant6Deadline(s, d, in.Now))
	k.found("invariant 6, explain", invariant6Explain(s, in.Now))
	if dear {
		k.found("Step is pure", pure(k.Decide, before, s, in, d, driver))
	}
	if dear && s.Epoch == v.epoch { // else all there is will be told anew
		k.found("invariant 13, quiet", invariant13Quiet(k.Decide, s, in, v, driver))
	}
	return d
}

// view is what the driver was told, with this input.
func (k *Checker) view(s *orchestrator.State, in orchestrator.Input, driver string) *view {
	v := k.views[driver]
	w, _ := s.Watched()
	if v == nil || in.Taken {
		v = newView(w, k.last[s.ID])
		k.views[driver] = v
	}
	if v.ring != w.Ring || v.epoch != w.Epoch {
		v.turn(w)
	}
	v.take(in, k.World.Now())
	return v
}

// Stored checks events that are on disk: see [Memory.Stored].
func (k *Checker) Stored(id orchestrator.ID, driver string, events []orchestrator.Event) {
	r, v := k.runs[id], k.views[driver]
	if v == nil {
		v = newView(orchestrator.Watch{}, nil)
	}
	r.now = v.now
	for _, e := range events {
		k.event(r, v, e)
		r.fold(e)
	}
	k.last[id] = v.stored()
	k.look()
}

// event holds one event against what was before it.
func (k *Checker) event(r *run, v *view, e orchestrator.Event) {
	for _, check := range []struct {
		name string
		f    func(*run, *view, orchestrator.Event) string
	}{
		{"invariant 1, order", invariant1Order}, {"invariant 2, gates", invariant2Gates}, {"invariant 3, evidence", k.invariant3Evidence},
		{"invariant 3, merged", k.invariant3Merged},
		{"invariant 4, budget", invariant4Budget}, {"invariant 4, stopped", invariant4Stopped}, {"invariant 5, soak", invariant5Soak},
		{"invariant 5, checks", invariant5Checks}, {"invariant 6, outcome", invariant6Outcome}, {"invariant 7, claim", k.invariant7Claim},
		{"invariant 8, attempts", invariant8Attempts}, {"invariant 10, members", invariant10Members}, {"invariant 11, scope", k.invariant11Scope},
		{"invariant 11, rollback", k.invariant11Rollback}, {"invariant 11, order", invariant11Order}, {"invariant 11, restored", k.invariant11Restored}, {"tags", k.tags},
		{"invariant 15, train", k.invariant15Train}, {"invariant 16, once", k.invariant16Once},
	} {
		k.found(check.name, check.f(r, v, e))
	}
}

// Same compares a driver's state with the fold of its journal.
func (k *Checker) Same(s, fold *orchestrator.State) {
	if got, want := asJSON(s), asJSON(fold); string(got) != string(want) {
		k.found("the state is the fold of its journal", fmt.Sprintf("at event %d: %s", s.Version, firstDifference(got, want)))
	}
}

// firstDifference shows where two texts part.
func firstDifference(a, b []byte) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	from := max(0, n-60)
	return fmt.Sprintf("...%s | ...%s", a[from:min(len(a), n+60)], b[from:min(len(b), n+60)])
}

func asJSON(s *orchestrator.State) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("sim: a state cannot be written: %v", err))
	}
	return text
}

// copyOf is the state as a snapshot of it gives it back.
func copyOf(text []byte) *orchestrator.State {
	s := new(orchestrator.State)
	if err := json.Unmarshal(text, s); err != nil {
		panic(fmt.Sprintf("sim: a state cannot be read: %v", err))
	}
	return s
}

// pure: the same state and input decide the same, also when the state went
// through a snapshot.
func pure(decide func(*orchestrator.State, orchestrator.Input, string) orchestrator.Decision, before []byte, s *orchestrator.State, in orchestrator.Input, d orchestrator.Decision, driver string) string {
	again := copyOf(before)
	if other := decide(again, in, driver); !reflect.DeepEqual(d.Events, other.Events) || !d.Wake.Equal(other.Wake) {
		return fmt.Sprintf("the same state and input decide %s, and then %s", told(d), told(other))
	}
	if got, want := asJSON(again), asJSON(s); string(got) != string(want) {
		return "the same decision, another state: " + firstDifference(got, want)
	}
	return ""
}

// told is a decision in words.
func told(d orchestrator.Decision) string {
	out := fmt.Sprintf("%d events", len(d.Events))
	for _, e := range d.Events {
		out += ", " + Describe(e)
	}
	return out + fmt.Sprintf(", wake %s", d.Wake.Format(time.StampMilli))
}

// invariant13Quiet: what is observed again changes nothing and writes nothing.
func invariant13Quiet(decide func(*orchestrator.State, orchestrator.Input, string) orchestrator.Decision, s *orchestrator.State, in orchestrator.Input, v *view, driver string) string {
	text := asJSON(s)
	same := orchestrator.Input{Now: in.Now, Facts: in.Facts, Outcomes: in.Outcomes}
	if d := decide(copyOf(text), same, driver); !signsOnly(s, d.Events) {
		return fmt.Sprintf("the same input again decides %s", told(d))
	}
	resync := orchestrator.Input{Now: in.Now, Facts: v.all()}
	if d := decide(copyOf(text), resync, driver); !signsOnly(s, d.Events) {
		return fmt.Sprintf("all that was delivered before, delivered again, decides %s", told(d))
	}
	return ""
}

// signsOnly reports whether the events say no more than that agents were heard
// from, and since when an error of theirs counts: when an agent was heard is
// delivered with every fact, and taken down only where it counts. That changes
// when the clock jumps, or a soak begins again.
func signsOnly(s *orchestrator.State, events []orchestrator.Event) bool {
	for _, e := range events {
		if !slices.ContainsFunc(s.Steps, func(st *orchestrator.StepState) bool { return isSign(st, e.Body) }) {
			return false
		}
	}
	return true
}

func isSign(st *orchestrator.StepState, b orchestrator.Body) bool {
	switch b := b.(type) {
	case orchestrator.Observed:
		return b.Deployment != nil && heardSince(st, b.Fact)
	case orchestrator.ClusterTurned:
		c := st.Clusters[b.Cluster]
		return b.Ref == (orchestrator.Ref{Ring: st.Ring, Service: st.Target.Service, Undo: st.Undo}) && c != nil &&
			b.Expected == c.Expected && b.Phase == c.Phase && b.Reason == c.Reason && b.Code == c.Code && !b.Suspect.IsZero()
	}
	return false
}

// heardSince reports whether the step knows all that the fact says, but for the
// agent's last sign.
func heardSince(st *orchestrator.StepState, f orchestrator.Fact) bool {
	c := st.Clusters[f.Deployment.Cluster]
	if st.Target.Service != f.Service || c == nil || c.Seen == nil {
		return false
	}
	was, is := *c.Seen, *f.Deployment
	was.Heard, is.Heard = time.Time{}, time.Time{}
	return was == is
}
