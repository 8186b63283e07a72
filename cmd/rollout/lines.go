package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// eventLine is an event for people, in one line; "" for what they need not
// see. s is the state after the event.
func eventLine(s *orchestrator.State, e orchestrator.Event) string {
	words := eventWords(s, e)
	if words == "" {
		return ""
	}
	return fmt.Sprintf("%s %s %s", stamp(e.At), s.ID, words)
}

func eventWords(s *orchestrator.State, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.Created:
		return fmt.Sprintf("%s: %s by %s: %s", join(b.RingNames()), createdWord(b), e.Actor, contentWords(b.Plan, b.Settings))
	case orchestrator.Commanded:
		return commandWords(b.Command)
	case orchestrator.Driven:
		return "driven by " + e.Actor
	case orchestrator.Warned:
		return "warning: " + b.Words
	case orchestrator.Halted:
		if b.Halt == nil {
			return "not halted any more"
		}
		return "halted: " + haltWords(*b.Halt)
	case orchestrator.Barred:
		return barredWords(rings.Barriers{Locks: b.Locks, Closed: b.Closed, Frozen: b.Frozen}.At(e.At))
	case orchestrator.ClockJumped:
		return "the clock jumped: what was timed with it is timed again"
	case orchestrator.Held:
		return "paused by " + saidBy(b.Word)
	case orchestrator.Resumed:
		return "goes on"
	case orchestrator.RollbackStarted:
		return "rolling back: " + b.Reason
	case orchestrator.RollbackRing:
		return fmt.Sprintf("%s: rolling back", b.Ring)
	case orchestrator.Ended:
		return fmt.Sprintf("%s: %s", b.Phase, s.Explain(e.At))
	}
	return ringEventWords(s, e)
}

// attemptWords are what an attempt writes: "v1 -> v2, maxReplicas 3 -> 5"; of
// settings alone, only those.
func attemptWords(a orchestrator.Attempt) string {
	settings := orchestrator.ChangedSettings(a.Had, a.Settings)
	if len(settings) > 0 && a.From == a.Version {
		return withSettings("", settings)
	}
	return withSettings(fmt.Sprintf("%s -> %s", a.From, a.Version), settings)
}

// barredWords say what lets nothing new start from now on.
func barredWords(b rings.Barriers) string {
	if b.Empty() {
		return "no lock stands, no window is closed, and nothing is frozen"
	}
	return strings.Join(b.Words(), "; ")
}

func createdWord(c orchestrator.Created) string {
	switch c.Kind {
	case orchestrator.KindForward:
		return "created"
	case orchestrator.KindRelease:
		return fmt.Sprintf("created from release %d", c.Release)
	case orchestrator.KindDeploy:
		return "deploy created"
	case orchestrator.KindTrain:
		return fmt.Sprintf("train from %s created", c.Train.Ring)
	}
	return fmt.Sprintf("%s of %s created", c.Kind, c.Of)
}

// commandWords say what a person asked for, and of what.
func commandWords(c orchestrator.Command) string {
	words := string(c.Kind)
	for _, of := range []string{string(c.Service), string(c.Cluster), string(c.Ring)} {
		if of != "" {
			words += " " + of
		}
	}
	return strings.TrimSuffix(fmt.Sprintf("%s asked for by %s: %s", words, c.By, c.Reason), ": ")
}

// saidBy is who, and why if that was said.
func saidBy(w orchestrator.Word) string {
	return strings.TrimSuffix(w.By+": "+w.Reason, ": ")
}

func ringEventWords(s *orchestrator.State, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.RingVerified:
		return fmt.Sprintf("%s: %s still says what was verified there", b.Ring, ringOf(s, b.Ring).Upstream)
	case orchestrator.RingStarted:
		return fmt.Sprintf("%s: started", b.Ring)
	case orchestrator.RingCounted:
		return fmt.Sprintf("%s: %d clusters count, and none that joins later", b.Ring, len(b.Clusters))
	case orchestrator.RingConverged:
		if soak := ringOf(s, b.Ring).Policy.Soak; soak > 0 {
			return fmt.Sprintf("%s: its steps are done; soaking for %s", b.Ring, orchestrator.Duration(soak))
		}
		return fmt.Sprintf("%s: its steps are done", b.Ring)
	case orchestrator.SoakRestarted:
		return fmt.Sprintf("%s: the soak counts from %s, when a cluster last turned", b.Ring, stamp(b.From))
	case orchestrator.RingSoaked:
		return fmt.Sprintf("%s: waits for approval: rollout approve %s", b.Ring, s.ID)
	case orchestrator.RingEnded:
		return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", b.Ring, b.Phase, b.Reason), ": ")
	case orchestrator.Approved:
		return fmt.Sprintf("%s: approved (%s) by %s", b.Ring, b.Gate, saidBy(b.Approval.Word))
	case orchestrator.ApprovalFell:
		return fmt.Sprintf("%s: the approval (%s) fell: %s", b.Ring, b.Gate, b.Words)
	}
	return stepWords(s, e)
}

// ringOf returns the ring of the rollout; an empty one when there is none.
func ringOf(s *orchestrator.State, name rings.RingName) *orchestrator.RingState {
	for _, r := range s.Rings {
		if r.Name == name {
			return r
		}
	}
	return &orchestrator.RingState{Name: name}
}

func stepWords(s *orchestrator.State, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.StepStarted:
		return fmt.Sprintf("%s: %s", stepName(s, b.Ref), startedWord(s, b.Ref))
	case orchestrator.StepHeld:
		return fmt.Sprintf("%s: held back", stepName(s, b.Ref))
	case orchestrator.AttemptDecided:
		if !b.Attempt.Ours {
			return fmt.Sprintf("%s: taking over commit %s", stepName(s, b.Ref), short(b.Attempt.Commit))
		}
		return fmt.Sprintf("%s: publishing %s", stepName(s, b.Ref), attemptWords(b.Attempt))
	case orchestrator.Proposed:
		return proposedWords(s, b)
	case orchestrator.Withdrawn:
		return fmt.Sprintf("%s: the proposal is given up: %s", stepName(s, b.Ref), b.Reason)
	case orchestrator.Published:
		return fmt.Sprintf("%s: commit %s is on the branch", stepName(s, b.Ref), short(b.Commit))
	case orchestrator.TakenUp:
		return fmt.Sprintf("%s: taken up by Fleet", stepName(s, b.Ref))
	case orchestrator.ClusterTurned:
		return clusterTurnedWords(s, b)
	case orchestrator.StepEnded:
		return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", stepName(s, b.Ref), b.Phase, b.Reason), ": ")
	}
	return ""
}

// stepName is the service, with its ring where there are several.
func stepName(s *orchestrator.State, r orchestrator.Ref) string {
	if len(s.Rings) > 1 {
		return fmt.Sprintf("%s %s", r.Ring, r.Service)
	}
	return string(r.Service)
}

func startedWord(s *orchestrator.State, r orchestrator.Ref) string {
	st := stepOf(s, r)
	switch {
	case r.Undo:
		return "is being taken back"
	case st != nil && st.Observed:
		return "looked at, as others depend on it"
	}
	return "started"
}

func clusterTurnedWords(s *orchestrator.State, b orchestrator.ClusterTurned) string {
	told := b.Expected || b.Phase == orchestrator.ClusterLeft || b.Phase == orchestrator.ClusterSkipped
	if b.Phase == orchestrator.ClusterWaiting || !told {
		return ""
	}
	words := fmt.Sprintf("%s: %s %s", stepName(s, b.Ref), b.Cluster, b.Phase)
	if st := stepOf(s, b.Ref); st != nil && b.Phase == orchestrator.ClusterReady {
		return fmt.Sprintf("%s (%d of %d)", words, st.Counts[orchestrator.ClusterReady], expected(st))
	}
	return strings.TrimSuffix(words+": "+firstLine(b.Reason), ": ")
}

func stepOf(s *orchestrator.State, r orchestrator.Ref) *orchestrator.StepState {
	for _, st := range s.Steps {
		if st.Ring == r.Ring && st.Target.Service == r.Service && st.Undo == r.Undo {
			return st
		}
	}
	return nil
}

// eventView is an event as scripts read it.
type eventView struct {
	Rollout orchestrator.ID `json:"rollout"`
	Seq     uint64          `json:"seq"`
	At      time.Time       `json:"at"`
	By      string          `json:"by"`
	Type    string          `json:"type"`
	Words   string          `json:"words"`
	Data    json.RawMessage `json:"data"`
}

func viewEvent(s *orchestrator.State, e orchestrator.Event) (eventView, error) {
	data, err := json.Marshal(e.Body)
	if err != nil {
		return eventView{}, fmt.Errorf("event %d of %s: %w", e.Seq, s.ID, err)
	}
	return eventView{Rollout: s.ID, Seq: e.Seq, At: e.At.UTC(), By: e.Actor, Type: e.Type(), Words: eventWords(s, e), Data: data}, nil
}
