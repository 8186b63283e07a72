package sim

import (
	"fmt"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// Story is what happened in a run, for people to read: a line for everything,
// with the time since the run began. The zero value is ready.
type Story struct {
	began  time.Time
	lines  []string
	silent bool // nothing is told
}

// String returns the lines, each with its end.
func (s *Story) String() string {
	if len(s.lines) == 0 {
		return ""
	}
	return strings.Join(s.lines, "\n") + "\n"
}

// Tell adds a line at the time, which is true time.
func (s *Story) Tell(at time.Time, format string, args ...any) {
	if s.silent {
		return
	}
	if s.began.IsZero() {
		s.began = at
	}
	s.lines = append(s.lines, fmt.Sprintf("%-10s %s", since(at.Sub(s.began)), fmt.Sprintf(format, args...)))
}

// since is a time as the story shows it: seconds, to the millisecond.
func since(d time.Duration) string {
	return fmt.Sprintf("%gs", d.Round(time.Millisecond).Seconds())
}

// Describe is an event in one line, for people.
func Describe(e orchestrator.Event) string {
	if text, ok := describeInput(e.Body); ok {
		return text
	}
	if text, ok := describeStep(e.Body); ok {
		return text
	}
	if text, ok := describeRing(e.Body); ok {
		return text
	}
	switch b := e.Body.(type) {
	case orchestrator.Created:
		return strings.ReplaceAll(fmt.Sprintf("created: %v %v through %v", b.Plan, b.Settings, b.RingNames()), " map[] through", " through")
	case orchestrator.Started:
		return "rollout Running"
	case orchestrator.Asked:
		return "ask " + describeAction(b.Action)
	case orchestrator.Dropped:
		return "drop " + b.Action
	case orchestrator.Warned:
		return "warning: " + b.Words
	case orchestrator.Held:
		return fmt.Sprintf("held by %s: %s", b.Word.By, b.Word.Reason)
	case orchestrator.Resumed:
		return "resumed"
	case orchestrator.Ended:
		return "rollout " + string(b.Phase) + describeFailure(b.Failure)
	}
	return fmt.Sprintf("%T", e.Body)
}

func describeInput(b orchestrator.Body) (string, bool) {
	switch b := b.(type) {
	case orchestrator.Observed:
		return "saw " + describeFact(b.Fact), true
	case orchestrator.Answered:
		return "answer " + describeOutcome(b.Outcome), true
	case orchestrator.Commanded:
		return fmt.Sprintf("%s says %s %s%s%s%s: %s", b.By, b.Kind, b.Ring, b.Service, b.Cluster, b.Gate, b.Reason), true
	case orchestrator.Halted:
		if b.Halt == nil {
			return "the line is free again", true
		}
		return fmt.Sprintf("the line is halted by %s: %s", b.Halt.By, b.Halt.Reason), true
	case orchestrator.Barred:
		return fmt.Sprintf("locks and closed windows: %q", rings.Barriers{Locks: b.Locks, Closed: b.Closed, Frozen: b.Frozen}.Words()), true
	case orchestrator.ClockJumped:
		return "the clock jumped", true
	case orchestrator.Driven:
		return "a new driver", true
	}
	return "", false
}

func describeStep(b orchestrator.Body) (string, bool) {
	switch b := b.(type) {
	case orchestrator.StepStarted:
		return fmt.Sprintf("step %s Surveying", ref(b.Ref)), true
	case orchestrator.StepHeld:
		return fmt.Sprintf("step %s Waiting again", ref(b.Ref)), true
	case orchestrator.AttemptDecided:
		return fmt.Sprintf("step %s %s", ref(b.Ref), describeAttempt(b.Attempt)), true
	case orchestrator.Proposed:
		return fmt.Sprintf("step %s Proposed on %s", ref(b.Ref), b.Proposal.Branch), true
	case orchestrator.Withdrawn:
		return fmt.Sprintf("step %s withdraws its proposal: %s", ref(b.Ref), b.Reason), true
	case orchestrator.Published:
		return fmt.Sprintf("step %s Converging at %s", ref(b.Ref), short(b.Commit)), true
	case orchestrator.TakenUp:
		return fmt.Sprintf("step %s taken up", ref(b.Ref)), true
	case orchestrator.ClusterTurned:
		return fmt.Sprintf("cluster %s/%s %s", ref(b.Ref), b.Cluster, colon(string(b.Phase), b.Reason)), true
	case orchestrator.StepEnded:
		return fmt.Sprintf("step %s %s: %s", ref(b.Ref), b.Phase, b.Reason) + describeFailure(b.Failure), true
	}
	return "", false
}

func describeRing(b orchestrator.Body) (string, bool) {
	switch b := b.(type) {
	case orchestrator.RingVerified:
		return fmt.Sprintf("ring %s: what is before it was verified", b.Ring), true
	case orchestrator.RingStarted:
		return fmt.Sprintf("ring %s Running", b.Ring), true
	case orchestrator.RingCounted:
		return fmt.Sprintf("ring %s counts %v", b.Ring, b.Clusters), true
	case orchestrator.RingConverged:
		return fmt.Sprintf("ring %s Soaking", b.Ring), true
	case orchestrator.RingEnded:
		return fmt.Sprintf("ring %s %s: %s", b.Ring, b.Phase, b.Reason) + describeFailure(b.Failure), true
	case orchestrator.Approved:
		return fmt.Sprintf("ring %s: gate %s approved by %s", b.Ring, b.Gate, b.Approval.By), true
	case orchestrator.ApprovalFell:
		return fmt.Sprintf("ring %s: approval of gate %s fell: %s", b.Ring, b.Gate, b.Words), true
	case orchestrator.RollbackStarted:
		out := "rollback: " + b.Reason + ";"
		for _, n := range b.Steps {
			out += fmt.Sprintf(" %s/%s to %s", n.Ring, n.Target.Service, n.To)
		}
		return out, true
	case orchestrator.RollbackRing:
		return fmt.Sprintf("rollback of ring %s", b.Ring), true
	case orchestrator.SoakRestarted:
		return fmt.Sprintf("ring %s soaks again from %s", b.Ring, b.From.Format(time.StampMilli)), true
	case orchestrator.RingSoaked:
		return fmt.Sprintf("ring %s waits for its approval alone", b.Ring), true
	}
	return "", false
}

// ref is a step's name.
func ref(r orchestrator.Ref) string {
	name := fmt.Sprintf("%s/%s", r.Ring, r.Service)
	if r.Undo {
		return "undo " + name
	}
	return name
}

func describeFailure(f *orchestrator.Failure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" [%s]", f.Code)
}

func describeAttempt(a orchestrator.Attempt) string {
	if !a.Ours {
		return fmt.Sprintf("takes over %s nonce %d at %s", a.Version, a.Nonce, short(a.Commit))
	}
	words := orchestrator.SettingWords(orchestrator.ChangedSettings(a.Had, a.Settings))
	if words != "" {
		words = ", " + words + ","
	}
	return fmt.Sprintf("decides %s -> %s%s nonce %d on %s", a.From, a.Version, words, a.Nonce, short(a.Base))
}

func describeAction(a orchestrator.Action) string {
	s := a.ID + " " + string(a.Ring)
	for _, i := range a.Items {
		s += " " + string(i.Service)
		if i.Nonce > 0 {
			s += fmt.Sprintf("=%s/%d", i.Version, i.Nonce)
		}
	}
	if a.Kind == orchestrator.ActHint {
		s += " " + short(a.Commit)
	}
	if !a.After.IsZero() {
		s += " later"
	}
	return s + ": " + a.Reason
}

func describeOutcome(o orchestrator.Outcome) string {
	s := o.Action + " " + string(o.Result)
	if o.Code != "" {
		s += " [" + string(o.Code) + "]"
	}
	s = colon(s, o.Words)
	for _, v := range o.Surveys {
		s += "; " + describeSurvey(v)
	}
	return s
}

func describeSurvey(v orchestrator.Survey) string {
	s := fmt.Sprintf("%s %s/%d tip %s", v.Service, v.Version, v.Nonce, short(v.Tip))
	if v.Commit != "" {
		s += fmt.Sprintf(" commit %s by %s", short(v.Commit), v.Author)
	}
	if v.Superseded != nil {
		s += fmt.Sprintf(" superseded by %s", short(v.Superseded.Commit))
	}
	if v.Rewritten {
		s += " rewritten"
	}
	s += fmt.Sprintf(" for %v", v.Expected)
	for _, x := range v.Excluded {
		s += fmt.Sprintf(" without %s (%s)", x.Cluster, x.Why)
	}
	return s
}

func describeFact(f orchestrator.Fact) string {
	s := string(f.Service)
	switch {
	case f.Deployment != nil:
		return s + "/" + describeDeployment(*f.Deployment)
	case f.Bundle != nil:
		return colon(fmt.Sprintf("%s bundle at %s", s, short(f.Bundle.Commit)), f.Bundle.Error)
	case f.GitRepo != nil:
		return s + " gitrepo" + describeGitRepo(*f.GitRepo)
	case f.Members != nil:
		return fmt.Sprintf("%s members %v", s, f.Members.Clusters)
	}
	return s + " synced"
}

func describeGitRepo(g orchestrator.GitRepo) string {
	s := " at " + short(g.Commit)
	for _, flag := range []struct {
		on   bool
		word string
	}{{g.Gone, "gone"}, {g.Paused, "paused"}, {g.JobFailed, "job failed: " + g.JobError}, {g.PollError != "", "cannot poll: " + g.PollError}} {
		if flag.on {
			s += " " + flag.word
		}
	}
	return s
}

func describeDeployment(d orchestrator.Deployment) string {
	if d.Gone {
		return string(d.Cluster) + " gone"
	}
	s := fmt.Sprintf("%s at %s nonce %d/%d", d.Cluster, short(d.Commit), d.SpecNonce, d.StatusNonce)
	for _, flag := range []struct {
		on   bool
		word string
	}{{!d.Staged, "unstaged"}, {d.Applied, "applied"}, {d.Ready, "ready"}, {d.Applied && !d.NonModified, "modified"}, {d.Paused, "paused"},
		{d.OffSchedule, "off-schedule"}, {d.AwaitsValues, "awaits-values"}, {d.Deleting, "deleting"},
		{d.InstallError != "", "install-error"}, {d.DeployError != "", "deploy-error"}} {
		if flag.on {
			s += " " + flag.word
		}
	}
	return s
}

func colon(s, words string) string {
	if words == "" {
		return s
	}
	return s + ": " + strings.ReplaceAll(words, "\n", " ")
}

// short is a commit as people write it.
func short(commit string) string {
	if len(commit) > 10 {
		return commit[:10]
	}
	return commit
}
