package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"rollout/orchestrator"
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
		return fmt.Sprintf("%s: created by %s: %s", join(b.RingNames()), e.Actor, versionWords(b.Plan))
	case orchestrator.Commanded:
		return strings.TrimSuffix(fmt.Sprintf("%s asked for by %s: %s", b.Kind, b.By, b.Reason), ": ")
	case orchestrator.Driven:
		return "driven by " + e.Actor
	case orchestrator.Warned:
		return "warning: " + b.Words
	case orchestrator.Ended:
		return fmt.Sprintf("%s: %s", b.Phase, s.Explain(e.At))
	}
	return stepWords(s, e)
}

func stepWords(s *orchestrator.State, e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.StepStarted:
		return fmt.Sprintf("%s: started", b.Service)
	case orchestrator.StepHeld:
		return fmt.Sprintf("%s: held back", b.Service)
	case orchestrator.AttemptDecided:
		if !b.Attempt.Ours {
			return fmt.Sprintf("%s: taking over commit %s", b.Service, short(b.Attempt.Commit))
		}
		return fmt.Sprintf("%s: publishing %s -> %s", b.Service, b.Attempt.From, b.Attempt.Version)
	case orchestrator.Published:
		return fmt.Sprintf("%s: commit %s is on the branch", b.Service, short(b.Commit))
	case orchestrator.TakenUp:
		return fmt.Sprintf("%s: taken up by Fleet", b.Service)
	case orchestrator.ClusterTurned:
		return clusterTurnedWords(s, b)
	case orchestrator.StepEnded:
		return strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", b.Service, b.Phase, b.Reason), ": ")
	}
	return ""
}

func clusterTurnedWords(s *orchestrator.State, b orchestrator.ClusterTurned) string {
	if b.Phase == orchestrator.ClusterWaiting || !b.Expected && b.Phase != orchestrator.ClusterLeft {
		return ""
	}
	words := fmt.Sprintf("%s: %s %s", b.Service, b.Cluster, b.Phase)
	if st := stepOf(s, b.Ref); st != nil && b.Phase == orchestrator.ClusterReady {
		return fmt.Sprintf("%s (%d of %d)", words, st.Counts[orchestrator.ClusterReady], expected(st))
	}
	return strings.TrimSuffix(words+": "+firstLine(b.Reason), ": ")
}

func stepOf(s *orchestrator.State, r orchestrator.Ref) *orchestrator.StepState {
	for _, st := range s.Steps {
		if st.Ring == r.Ring && st.Target.Service == r.Service {
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
