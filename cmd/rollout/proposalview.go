package main

import (
	"fmt"
	"slices"
	"time"

	"rollout/orchestrator"
)

// proposalView is a branch on which a step waits for a merge.
type proposalView struct {
	Branch string     `json:"branch"`
	Commit string     `json:"commit"`
	Into   string     `json:"into"` // the branch that it is for
	Repo   string     `json:"repo"`
	URL    string     `json:"url"`   // where the server wants to be asked for a merge; "" when it did not say
	Words  string     `json:"words"` // all that the server said on the push
	Since  *time.Time `json:"since"`
	Until  *time.Time `json:"until"` // its deadline
}

// viewProposal is nil for a step that was not proposed.
func viewProposal(st *orchestrator.StepState) *proposalView {
	pr := st.Proposal
	if pr == nil {
		return nil
	}
	v := proposalOf(*pr, st.Target)
	v.Since, v.Until = instant(pr.At), instant(st.MergeBy())
	return v
}

func proposalOf(p orchestrator.Proposal, t orchestrator.Target) *proposalView {
	return &proposalView{Branch: p.Branch, Commit: p.Commit, Into: t.Branch, Repo: t.Repo, URL: p.URL, Words: p.Words}
}

// words say what is to be merged into what.
func (v proposalView) words() string {
	words := fmt.Sprintf("%s into %s of %s", v.Branch, v.Into, v.Repo)
	if v.URL != "" {
		words += ": " + v.URL
	}
	return words
}

// viewMerges is nil when nothing waits for a merge.
func viewMerges(s *orchestrator.State) *awaitsView {
	var out *awaitsView
	for _, st := range s.Unmerged() {
		if out == nil {
			out = &awaitsView{What: "merge", Ring: st.Ring}
		}
		v := *viewProposal(st)
		if !slices.ContainsFunc(out.Proposals, func(o proposalView) bool { return o.Repo == v.Repo && o.Branch == v.Branch }) {
			out.Proposals = append(out.Proposals, v)
		}
	}
	return out
}

// proposedWords say where a step is proposed. That it still is there is no news.
func proposedWords(s *orchestrator.State, b orchestrator.Proposed) string {
	st := stepOf(s, b.Ref)
	if st == nil || st.Proposal == nil || !st.Proposal.At.Equal(s.At) {
		return ""
	}
	words := fmt.Sprintf("%s: proposed on %s, waits for a merge into %s", stepName(s, b.Ref), b.Proposal.Branch, st.Target.Branch)
	if b.Proposal.URL != "" {
		words += ": " + b.Proposal.URL
	}
	return words
}
