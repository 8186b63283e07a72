package orchestrator_test

import (
	"fmt"
	"strings"

	"rollout/orchestrator"
	"rollout/rings"
)

// describe is an event as the transcripts show it.
func describe(e orchestrator.Event) string {
	switch b := e.Body.(type) {
	case orchestrator.Created:
		return "created"
	case orchestrator.Observed:
		return "saw " + describeFact(b.Fact)
	case orchestrator.Answered:
		return "answer " + describeOutcome(b.Outcome)
	case orchestrator.Commanded:
		return fmt.Sprintf("%s says %s: %s", b.By, b.Kind, b.Reason)
	case orchestrator.Driven:
		return "a new driver"
	case orchestrator.Started:
		return "rollout Running"
	case orchestrator.Asked:
		return "ask " + describeAction(b.Action)
	case orchestrator.Dropped:
		return "drop " + b.Action
	case orchestrator.StepStarted:
		return fmt.Sprintf("step %s Surveying", b.Service)
	case orchestrator.StepHeld:
		return fmt.Sprintf("step %s Waiting again", b.Service)
	case orchestrator.AttemptDecided:
		return fmt.Sprintf("step %s %s", b.Service, describeAttempt(b.Attempt))
	case orchestrator.Proposed:
		return fmt.Sprintf("step %s Proposed on %s for %s", b.Service, b.Proposal.Branch, b.Proposal.Tip)
	case orchestrator.Withdrawn:
		return fmt.Sprintf("step %s withdraws its proposal: %s", b.Service, b.Reason)
	case orchestrator.Published:
		return fmt.Sprintf("step %s Converging at %s", b.Service, b.Commit)
	case orchestrator.TakenUp:
		return fmt.Sprintf("step %s taken up", b.Service)
	case orchestrator.ClusterTurned:
		return fmt.Sprintf("cluster %s/%s %s", b.Service, b.Cluster, colon(string(b.Phase), b.Reason))
	case orchestrator.StepEnded:
		return fmt.Sprintf("step %s %s: %s", b.Service, b.Phase, b.Reason) + describeFailure(b.Failure)
	case orchestrator.Warned:
		return "warning: " + b.Words
	case orchestrator.Halted:
		if b.Halt == nil {
			return "no halt"
		}
		return fmt.Sprintf("halted by %s: %s", b.Halt.By, b.Halt.Reason)
	case orchestrator.Barred:
		return fmt.Sprintf("barred: %q", rings.Barriers{Locks: b.Locks, Closed: b.Closed, Frozen: b.Frozen}.Words())
	case orchestrator.ClockJumped:
		return "the clock jumped"
	case orchestrator.RingVerified:
		return fmt.Sprintf("RING %s upstream verified", b.Ring)
	case orchestrator.RingStarted:
		return fmt.Sprintf("RING %s started", b.Ring)
	case orchestrator.RingCounted:
		return fmt.Sprintf("RING %s counts %s", b.Ring, b.Clusters)
	case orchestrator.RingConverged:
		return fmt.Sprintf("RING %s converged", b.Ring)
	case orchestrator.SoakRestarted:
		return fmt.Sprintf("RING %s soak restarted from %s", b.Ring, since(b.From))
	case orchestrator.RingSoaked:
		return fmt.Sprintf("RING %s soaked", b.Ring)
	case orchestrator.RingEnded:
		return fmt.Sprintf("RING %s %s: %s", b.Ring, b.Phase, b.Reason)
	case orchestrator.Approved:
		return fmt.Sprintf("RING %s approved %s by %s", b.Ring, b.Gate, b.Approval.By)
	case orchestrator.ApprovalFell:
		return fmt.Sprintf("RING %s approval %s fell: %s", b.Ring, b.Gate, b.Words)
	case orchestrator.Held:
		return fmt.Sprintf("PAUSED by %s: %s", b.Word.By, b.Word.Reason)
	case orchestrator.Resumed:
		return "RESUMED"
	case orchestrator.RollbackStarted:
		return fmt.Sprintf("ROLLING BACK %d steps: %s", len(b.Steps), b.Reason)
	case orchestrator.RollbackRing:
		return fmt.Sprintf("ROLLING BACK ring %s", b.Ring)
	case orchestrator.Ended:
		return "rollout " + string(b.Phase) + describeFailure(b.Failure)
	}
	return fmt.Sprintf("%T", e.Body)
}

func describeFailure(f *orchestrator.Failure) string {
	switch {
	case f == nil:
		return ""
	case f.Hint == "":
		return fmt.Sprintf(" [%s]", f.Code)
	}
	return fmt.Sprintf(" [%s; hint: %s]", f.Code, f.Hint)
}

func describeAttempt(a orchestrator.Attempt) string {
	if !a.Ours {
		return fmt.Sprintf("takes over %s nonce %d at %s", a.Version, a.Nonce, a.Commit)
	}
	return fmt.Sprintf("decides %s -> %s nonce %d on %s", a.From, a.Version, a.Nonce, a.Base)
}

func describeAction(a orchestrator.Action) string {
	s := a.ID
	for _, i := range a.Items {
		s += " " + string(i.Service)
		if i.Nonce > 0 {
			s += fmt.Sprintf("=%s/%d", i.Version, i.Nonce)
		}
	}
	if a.Kind == orchestrator.ActHint {
		s += " " + a.Commit
	}
	if !a.After.IsZero() {
		s += " not before " + since(a.After)
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
	s := fmt.Sprintf("%s %s/%d tip %s", v.Service, v.Version, v.Nonce, v.Tip)
	if v.Commit != "" {
		s += fmt.Sprintf(" commit %s by %s", v.Commit, v.Author)
	}
	if v.Superseded != nil {
		s += fmt.Sprintf(" superseded by %s", v.Superseded.Commit)
	}
	if v.Rewritten {
		s += " rewritten"
	}
	for _, x := range v.Excluded {
		s += fmt.Sprintf(" without %s", x.Cluster)
	}
	return s
}

func describeFact(f orchestrator.Fact) string {
	s := string(f.Service)
	switch {
	case f.Deployment != nil:
		return s + "/" + describeDeployment(*f.Deployment)
	case f.Bundle != nil:
		return colon(fmt.Sprintf("%s bundle at %s", s, f.Bundle.Commit), f.Bundle.Error)
	case f.GitRepo != nil:
		return s + " gitrepo" + describeGitRepo(*f.GitRepo)
	case f.Members != nil:
		return fmt.Sprintf("%s members %v", s, f.Members.Clusters)
	}
	return s + " synced"
}

func describeGitRepo(g orchestrator.GitRepo) string {
	s := " at " + g.Commit
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
	s := fmt.Sprintf("%s at %s nonce %d/%d", d.Cluster, d.Commit, d.SpecNonce, d.StatusNonce)
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
