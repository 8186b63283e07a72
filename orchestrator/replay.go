package orchestrator

import (
	"fmt"
	"slices"

	"rollout/rings"
)

// Replayed is what came of running the engine again over a journal.
type Replayed struct {
	Turns int `json:"turns"`
	// Engines are the versions of the engines that decided, each once.
	Engines     []int        `json:"engines"`
	Differences []Difference `json:"differences"`
}

// Difference is a turn that was decided otherwise.
type Difference struct {
	Seq    uint64 `json:"seq"`    // its first event
	Engine int    `json:"engine"` // that decided it
	// Recorded and Now are its events as a journal holds them.
	Recorded []string `json:"recorded"`
	Now      []string `json:"now"`
}

// maxDifferences is where Replay ends: an older engine may differ everywhere.
const maxDifferences = 100

// Replay runs the engine again over the inputs that a rollout's events, from
// the first on, recorded, and compares every decision with the recorded one,
// byte for byte. After a difference it goes on from what was recorded; it ends
// after a hundred. The error is of an event that cannot be encoded.
func Replay(events []Event) (Replayed, error) {
	out := Replayed{Differences: []Difference{}, Engines: []int{}}
	if len(events) == 0 {
		return out, nil
	}
	s := Apply(nil, events[0])
	for at := 1; at < len(events) && len(out.Differences) < maxDifferences; {
		turn := events[at : at+turnLength(events[at:])]
		at += len(turn)
		in, driver := recorded(s, turn)
		d := Step(s, in, driver)
		diff, err := compare(turn, d.Events)
		if err != nil {
			return out, err
		}
		out.Turns++
		if diff != nil {
			s = Fold(nil, events[:at])
			diff.Engine = s.Engine
			out.Differences = append(out.Differences, *diff)
		}
		if !slices.Contains(out.Engines, s.Engine) {
			out.Engines = append(out.Engines, s.Engine)
		}
	}
	return out, nil
}

// turnLength is the number of events that were decided together: they have one
// time, which no other turn has.
func turnLength(events []Event) int {
	n := 1
	for n < len(events) && events[n].At.Equal(events[0].At) {
		n++
	}
	return n
}

// recorded is the input of a turn, as its events tell it, and its driver.
func recorded(s *State, turn []Event) (Input, string) {
	in, driver := Input{Now: turn[0].At}, ""
	told := func() *rings.Barriers {
		if in.Barriers == nil {
			in.Barriers = &rings.Barriers{Halt: s.Halt, Locks: s.Locks, Closed: s.Closed, Frozen: s.Frozen}
		}
		return in.Barriers
	}
	for _, e := range turn {
		if c, ok := e.Body.(Commanded); ok {
			in.Commands = append(in.Commands, c.Command)
			continue
		}
		driver = e.Actor
		switch b := e.Body.(type) {
		case Driven:
			in.Taken = true
		case ClockJumped:
			in.Jumped = true
		case Halted:
			if b.Halt != nil || s.Halt.Stands(in.Now) { // else it ran out by itself
				told().Halt = b.Halt
			}
		case Barred:
			told().Locks, told().Closed, told().Frozen = b.Locks, b.Closed, b.Frozen
		case Answered:
			in.Outcomes = append(in.Outcomes, b.Outcome)
		case Observed:
			in.Facts = append(in.Facts, b.Fact)
		}
	}
	return in, driver
}

// compare returns nil when both lists of events are the same.
func compare(was, is []Event) (*Difference, error) {
	recorded, err := encodeAll(was)
	if err != nil {
		return nil, err
	}
	now, err := encodeAll(is)
	if err != nil {
		return nil, err
	}
	if slices.Equal(recorded, now) {
		return nil, nil
	}
	return &Difference{Seq: was[0].Seq, Recorded: recorded, Now: now}, nil
}

func encodeAll(events []Event) ([]string, error) {
	out := make([]string, len(events))
	for i, e := range events {
		text, err := EncodeEvent(e)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		out[i] = string(text)
	}
	return out, nil
}
