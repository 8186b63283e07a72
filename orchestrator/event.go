package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"rollout/rings"
)

// Event is one entry of a rollout's journal. Events are only ever appended;
// [Apply] folds them into the [State].
type Event struct {
	Rollout ID
	Seq     uint64 // from 1, without gaps
	At      time.Time
	Actor   string // who or what caused it: a person for commands, the driver else
	Body    Body
}

// Body is what an event says: one of the struct types of this file.
type Body interface{ body() }

// Inputs: what came from outside and was worth a decision or a memory.
type (
	// Created is the first event of every rollout, and only the first.
	Created struct {
		Kind     Kind                                `json:"kind,omitempty"`
		Of       ID                                  `json:"of,omitempty"`
		Release  int                                 `json:"release,omitempty"`
		Train    *Taken                              `json:"train,omitempty"`
		Left     []LeftRing                          `json:"left,omitempty"` // of the groups that were named
		Scope    Scope                               `json:"scope"`
		Rings    []NewRing                           `json:"rings"`
		Plan     map[rings.ServiceName]rings.Version `json:"plan"`
		Settings map[rings.ServiceName]rings.Values  `json:"settings,omitempty"`
		Options  Options                             `json:"options"`
		Link     string                              `json:"link,omitempty"`
		Steps    []NewStep                           `json:"steps"`
		// Over are the locks and closures that a person goes over: those that
		// stood when the rollout began, and Locks.
		Over *rings.Barriers `json:"over,omitempty"`
		// Locks are set together with the rollout, to keep what it brings.
		Locks []rings.Lock `json:"locks,omitempty"`
	}
	// Observed is a fact that differs from what was known.
	Observed struct {
		Fact
	}
	// Answered is an action's outcome.
	Answered struct {
		Outcome
	}
	// Commanded is a person's command.
	Commanded struct {
		Command
	}
	// Halted: the line was stopped, or with nil is free again.
	Halted struct {
		Halt *rings.Halt `json:"halt,omitempty"`
	}
	// Barred: these locks and freezes stand, and these closures stand or come
	// next; what was told before is over.
	Barred struct {
		Locks  []rings.Lock    `json:"locks,omitempty"`
		Closed []rings.Closure `json:"closed,omitempty"`
		Frozen []rings.Freeze  `json:"frozen,omitempty"`
	}
	// ClockJumped: the wall clock moved by itself; what was timed with it is
	// timed again.
	ClockJumped struct{}
)

// Decisions: what Step made of it.
type (
	// Driven: another driver has taken the rollout up; what it knows of the
	// world it must see anew. Engine is the version of its decisions, see
	// [Engine].
	Driven struct {
		Engine int `json:"engine,omitempty"`
	}
	// Started: the rollout runs.
	Started struct{}
	// Asked: the action is pending from now until it is answered.
	Asked struct {
		Action
	}
	// Dropped: a pending action is not wanted any more, its answer is ignored.
	Dropped struct {
		Action string `json:"action"`
	}
	// StepStarted: its dependencies are done, and the branch is to be read. A
	// second one means that the attempt must be decided again.
	StepStarted struct{ Ref }
	// StepHeld: it waits again, because something failed before it had
	// published anything.
	StepHeld struct{ Ref }
	// AttemptDecided comes before anything of the attempt is written.
	AttemptDecided struct {
		Ref
		Attempt Attempt `json:"attempt"`
	}
	// Proposed: the attempt's commit is on a branch of its own, and waits for a
	// person to merge it. A second one: the branch that it is for has moved on,
	// and the proposal still fits, or was made anew on another branch.
	Proposed struct {
		Ref
		Proposal Proposal `json:"proposal"`
	}
	// Withdrawn: the proposal is given up, once it was looked whether it was
	// merged before.
	Withdrawn struct {
		Ref
		Reason string `json:"reason"`
	}
	// Published: the attempt's commit is on the branch.
	Published struct {
		Ref
		Commit string `json:"commit"`
	}
	// TakenUp: a BundleDeployment carries the commit or a later one.
	TakenUp struct{ Ref }
	// ClusterTurned: a cluster's phase within a step changed.
	ClusterTurned struct {
		Ref
		Cluster  rings.ClusterName `json:"cluster"`
		Expected bool              `json:"expected,omitempty"`
		Phase    ClusterPhase      `json:"phase"`
		Reason   string            `json:"reason,omitempty"`
		Code     Code              `json:"code,omitempty"`
		Suspect  time.Time         `json:"suspect,omitzero"`
	}
	// StepEnded: Done, Failed or Skipped.
	StepEnded struct {
		Ref
		Phase   StepPhase `json:"phase"`
		Reason  string    `json:"reason"`
		Failure *Failure  `json:"failure,omitempty"`
	}
	// Warned: something that a person should know and that stops nothing.
	Warned struct {
		Words string `json:"words"`
	}
	// RingVerified: the ring's upstream, which is not of this rollout, still
	// says the versions that were verified there.
	RingVerified struct {
		Ring rings.RingName `json:"ring"`
	}
	// RingStarted: its gates are open. From now on facts are about this ring.
	RingStarted struct {
		Ring rings.RingName `json:"ring"`
	}
	// RingCounted: these clusters count, and none that joins later.
	RingCounted struct {
		Ring     rings.RingName      `json:"ring"`
		Clusters []rings.ClusterName `json:"clusters"`
	}
	// RingConverged: all its steps are done; soak, checks and approval follow.
	RingConverged struct {
		Ring rings.RingName `json:"ring"`
	}
	// SoakRestarted: by its clusters' own word the ring was not healthy before.
	SoakRestarted struct {
		Ring rings.RingName `json:"ring"`
		From time.Time      `json:"from"`
	}
	// RingSoaked: only the approval after it is missing.
	RingSoaked struct {
		Ring rings.RingName `json:"ring"`
	}
	// RingEnded: Done, Failed or Skipped.
	RingEnded struct {
		Ring    rings.RingName `json:"ring"`
		Phase   RingPhase      `json:"phase"`
		Reason  string         `json:"reason"`
		Failure *Failure       `json:"failure,omitempty"`
	}
	// Approved: a person opened a gate of a ring.
	Approved struct {
		Ring     rings.RingName `json:"ring"`
		Gate     Gate           `json:"gate"`
		Approval Approval       `json:"approval"`
	}
	// ApprovalFell: it expired, or what it was given for has changed.
	ApprovalFell struct {
		Ring  rings.RingName `json:"ring"`
		Gate  Gate           `json:"gate"`
		Words string         `json:"words"`
	}
	// Held: nothing new starts until a person resumes.
	Held struct {
		Word Word `json:"word"`
	}
	// Resumed: a person lets it go on; what had failed is tried again.
	Resumed struct{}
	// RollbackStarted: what was changed is taken back by these steps.
	RollbackStarted struct {
		Reason string    `json:"reason"`
		Steps  []NewStep `json:"steps"`
	}
	// RollbackRing: from now on facts are about this ring.
	RollbackRing struct {
		Ring rings.RingName `json:"ring"`
	}
	// Ended: Succeeded, Failed, Cancelled or RolledBack.
	Ended struct {
		Phase   Phase    `json:"phase"`
		Failure *Failure `json:"failure,omitempty"`
	}
)

// Ref names a step.
type Ref struct {
	Ring    rings.RingName    `json:"ring"`
	Service rings.ServiceName `json:"service"`
	Undo    bool              `json:"undo,omitempty"`
}

// NewRing is a ring as it is created; see [RingState] for the fields.
type NewRing struct {
	Name     rings.RingName `json:"name"`
	Policy   rings.Policy   `json:"policy"`
	Named    bool           `json:"named,omitempty"`
	Upstream rings.RingName `json:"upstream,omitempty"`
}

// RingNames returns the names of the rings, in the order they go.
func (c Created) RingNames() []rings.RingName {
	out := make([]rings.RingName, len(c.Rings))
	for i, r := range c.Rings {
		out[i] = r.Name
	}
	return out
}

// NewStep is a step as it is created; see [StepState] for the fields.
type NewStep struct {
	Ring     rings.RingName      `json:"ring"`
	Target   Target              `json:"target"`
	Needs    []rings.ServiceName `json:"needs,omitempty"`
	Wave     int                 `json:"wave"`
	Undo     bool                `json:"undo,omitempty"`
	Observed bool                `json:"observed,omitempty"`
	To       rings.Version       `json:"to"`
	Settings rings.Values        `json:"settings,omitempty"`
	Keep     bool                `json:"keep,omitempty"`
	Known    rings.Known         `json:"known"`
	Floor    int64               `json:"floor,omitempty"`
}

func (Created) body()         {}
func (Observed) body()        {}
func (Answered) body()        {}
func (Commanded) body()       {}
func (Driven) body()          {}
func (Started) body()         {}
func (Asked) body()           {}
func (Dropped) body()         {}
func (StepStarted) body()     {}
func (StepHeld) body()        {}
func (AttemptDecided) body()  {}
func (Proposed) body()        {}
func (Withdrawn) body()       {}
func (Published) body()       {}
func (TakenUp) body()         {}
func (ClusterTurned) body()   {}
func (StepEnded) body()       {}
func (Warned) body()          {}
func (Ended) body()           {}
func (Halted) body()          {}
func (Barred) body()          {}
func (ClockJumped) body()     {}
func (RingVerified) body()    {}
func (RingStarted) body()     {}
func (RingCounted) body()     {}
func (RingConverged) body()   {}
func (RingEnded) body()       {}
func (Approved) body()        {}
func (ApprovalFell) body()    {}
func (Held) body()            {}
func (Resumed) body()         {}
func (RollbackStarted) body() {}
func (RollbackRing) body()    {}
func (SoakRestarted) body()   {}
func (RingSoaked) body()      {}

// schema is one type of event: its name in the journal, its present version,
// and how older versions become the present one (index 0 upgrades version 1).
type schema struct {
	name     string
	kind     reflect.Type
	upgrades []func(json.RawMessage) (json.RawMessage, error)
}

// schemas lists every type of event there ever was. Names are never reused.
var schemas = []schema{
	{name: "created", kind: reflect.TypeFor[Created](), upgrades: []func(json.RawMessage) (json.RawMessage, error){ringsOfCreated}},
	{name: "observed", kind: reflect.TypeFor[Observed]()},
	{name: "answered", kind: reflect.TypeFor[Answered]()},
	{name: "commanded", kind: reflect.TypeFor[Commanded]()},
	{name: "driven", kind: reflect.TypeFor[Driven]()},
	{name: "started", kind: reflect.TypeFor[Started]()},
	{name: "asked", kind: reflect.TypeFor[Asked]()},
	{name: "dropped", kind: reflect.TypeFor[Dropped]()},
	{name: "step-started", kind: reflect.TypeFor[StepStarted]()},
	{name: "step-held", kind: reflect.TypeFor[StepHeld]()},
	{name: "attempt-decided", kind: reflect.TypeFor[AttemptDecided]()},
	{name: "published", kind: reflect.TypeFor[Published]()},
	{name: "taken-up", kind: reflect.TypeFor[TakenUp]()},
	{name: "cluster-turned", kind: reflect.TypeFor[ClusterTurned]()},
	{name: "step-ended", kind: reflect.TypeFor[StepEnded]()},
	{name: "warned", kind: reflect.TypeFor[Warned]()},
	{name: "ended", kind: reflect.TypeFor[Ended]()},
	{name: "halted", kind: reflect.TypeFor[Halted]()},
	{name: "clock-jumped", kind: reflect.TypeFor[ClockJumped]()},
	{name: "ring-verified", kind: reflect.TypeFor[RingVerified]()},
	{name: "ring-started", kind: reflect.TypeFor[RingStarted]()},
	{name: "ring-counted", kind: reflect.TypeFor[RingCounted]()},
	{name: "ring-converged", kind: reflect.TypeFor[RingConverged]()},
	{name: "ring-ended", kind: reflect.TypeFor[RingEnded]()},
	{name: "approved", kind: reflect.TypeFor[Approved]()},
	{name: "approval-fell", kind: reflect.TypeFor[ApprovalFell]()},
	{name: "held", kind: reflect.TypeFor[Held]()},
	{name: "resumed", kind: reflect.TypeFor[Resumed]()},
	{name: "rollback-started", kind: reflect.TypeFor[RollbackStarted]()},
	{name: "rollback-ring", kind: reflect.TypeFor[RollbackRing]()},
	{name: "soak-restarted", kind: reflect.TypeFor[SoakRestarted]()},
	{name: "ring-soaked", kind: reflect.TypeFor[RingSoaked]()},
	{name: "barred", kind: reflect.TypeFor[Barred]()},
	{name: "proposed", kind: reflect.TypeFor[Proposed]()},
	{name: "withdrawn", kind: reflect.TypeFor[Withdrawn]()},
}

// version is the present version of the type: 1 and one more for each upgrade.
func (s schema) version() int { return len(s.upgrades) + 1 }

// ErrNewerJournal is wrapped when an event was written by a newer program.
var ErrNewerJournal = errors.New("written by a newer version of rollout")

// envelope is an event as it is written. The rollout and the sequence number
// are the store's key and not repeated here.
type envelope struct {
	Type    string          `json:"t"`
	Version int             `json:"v,omitempty"` // 0 means 1
	At      time.Time       `json:"at"`
	Actor   string          `json:"by,omitempty"`
	Data    json.RawMessage `json:"d,omitempty"`
}

// Type returns the event's name in the journal.
func (e Event) Type() string {
	s, ok := schemaOf(e.Body)
	if !ok {
		return ""
	}
	return s.name
}

// EncodeEvent returns the event without its rollout and sequence number, which
// are the key it is stored under.
func EncodeEvent(e Event) ([]byte, error) {
	s, ok := schemaOf(e.Body)
	if !ok {
		return nil, fmt.Errorf("event of unknown type %T", e.Body)
	}
	data, err := json.Marshal(e.Body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", s.name, err)
	}
	env := envelope{Type: s.name, At: e.At.UTC(), Actor: e.Actor, Data: data}
	if v := s.version(); v > 1 {
		env.Version = v
	}
	return json.Marshal(env)
}

// EventTime returns the time of an event that [EncodeEvent] made, quicker than
// [DecodeEvent].
func EventTime(b []byte) (time.Time, error) {
	var env struct {
		At time.Time `json:"at"`
	}
	if err := json.Unmarshal(b, &env); err != nil {
		return time.Time{}, fmt.Errorf("decode event: %w", err)
	}
	return env.At, nil
}

// DecodeEvent is the reverse of [EncodeEvent]; it upgrades what older versions
// wrote and wraps [ErrNewerJournal] for what newer ones did. The caller sets
// Rollout and Seq.
func DecodeEvent(b []byte) (Event, error) {
	var env envelope
	if err := json.Unmarshal(b, &env); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	for _, s := range schemas {
		if s.name == env.Type {
			return s.decode(env)
		}
	}
	return Event{}, fmt.Errorf("event type %q: %w", env.Type, ErrNewerJournal)
}

func (s schema) decode(env envelope) (Event, error) {
	from := max(env.Version, 1)
	if from > s.version() {
		return Event{}, fmt.Errorf("event type %q version %d: %w", s.name, from, ErrNewerJournal)
	}
	data := env.Data
	for _, upgrade := range s.upgrades[from-1:] {
		var err error
		if data, err = upgrade(data); err != nil {
			return Event{}, fmt.Errorf("upgrade event %s: %w", s.name, err)
		}
	}
	body := reflect.New(s.kind)
	if err := json.Unmarshal(data, body.Interface()); err != nil {
		return Event{}, fmt.Errorf("decode event %s: %w", s.name, err)
	}
	return Event{At: env.At, Actor: env.Actor, Body: body.Elem().Interface().(Body)}, nil
}

func schemaOf(b Body) (schema, bool) {
	kind := reflect.TypeOf(b)
	for _, s := range schemas {
		if s.kind == kind {
			return s, true
		}
	}
	return schema{}, false
}
