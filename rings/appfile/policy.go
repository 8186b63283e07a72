package appfile

import (
	"fmt"
	"time"

	"rollout/rings"
)

// The words for the zero values of choices.
const (
	wordStop    = "stop"
	wordFail    = "fail"
	wordInclude = "include"
	wordPush    = "push"
)

func policyOf(p rings.Policy) Policy {
	out := Policy{Deadline: Span(p.Converge), UptakeDeadline: Span(p.Uptake), MergeDeadline: Span(p.Merge), ApproveBefore: p.ApproveBefore, ApproveAfter: p.ApproveAfter,
		ApprovalExpires: Span(p.ApprovalExpires), Soak: Span(p.Soak), MaxFailed: Amount{p.MaxFailed}, OnOffline: p.OnOffline,
		MaxOffline: Amount{p.MaxOffline}, OnFailure: p.OnFailure, OnJoin: p.OnJoin, FreezeUpstream: p.FreezeUpstream}
	for _, c := range p.Checks {
		out.Checks = append(out.Checks, Check{Name: c.Name, Kind: c.Kind, Command: c.Command, URL: c.URL, Query: c.Query, Threshold: c.Threshold,
			Interval: Span(c.Interval), Timeout: Span(c.Timeout), Samples: c.Samples, Failures: c.FailureLimit})
	}
	return out
}

func (p Policy) policy() rings.Policy {
	out := rings.Policy{Converge: time.Duration(p.Deadline), Uptake: time.Duration(p.UptakeDeadline), Merge: time.Duration(p.MergeDeadline), ApproveBefore: p.ApproveBefore,
		ApproveAfter: p.ApproveAfter, ApprovalExpires: time.Duration(p.ApprovalExpires), Soak: time.Duration(p.Soak), MaxFailed: p.MaxFailed.Amount,
		OnOffline: choice(p.OnOffline, wordFail), MaxOffline: p.MaxOffline.Amount, OnFailure: choice(p.OnFailure, wordStop), OnJoin: choice(p.OnJoin, wordInclude),
		FreezeUpstream: p.FreezeUpstream}
	for _, c := range p.Checks {
		out.Checks = append(out.Checks, rings.Check{Name: c.Name, Kind: c.Kind, Command: c.Command, URL: c.URL, Query: c.Query, Threshold: c.Threshold,
			Interval: time.Duration(c.Interval), Timeout: time.Duration(c.Timeout), Samples: c.Samples, FailureLimit: c.Failures})
	}
	return out
}

// choice is the model's value of a choice: the word for its zero is "".
func choice[T ~string](said T, zero string) T {
	if said == T(zero) {
		return ""
	}
	return said
}

// newPolicy is what a policy says beside the defaults: "soak 30m".
func newPolicy(p rings.Policy) []string {
	return policyWords(rings.Policy{}, p, func(name, _, to string) string { return name + " " + to })
}

// policyChanges is what differs between two policies: "soak 0s -> 30m".
func policyChanges(from, to rings.Policy) []string {
	return policyWords(from, to, func(name, from, to string) string { return fmt.Sprintf("%s %s -> %s", name, from, to) })
}

func policyWords(from, to rings.Policy, words func(name, from, to string) string) []string {
	a, b := policyOf(from), policyOf(to)
	var out []string
	say := func(name string, from, to any) {
		if x, y := fmt.Sprint(from), fmt.Sprint(to); x != y {
			out = append(out, words(name, x, y))
		}
	}
	say("deadline", or(nonZero(a.Deadline), "the default"), or(nonZero(b.Deadline), "the default"))
	say("uptakeDeadline", or(nonZero(a.UptakeDeadline), "the default"), or(nonZero(b.UptakeDeadline), "the default"))
	say("mergeDeadline", or(nonZero(a.MergeDeadline), "the default"), or(nonZero(b.MergeDeadline), "the default"))
	say("approveBefore", a.ApproveBefore, b.ApproveBefore)
	say("approveAfter", a.ApproveAfter, b.ApproveAfter)
	say("approvalExpires", or(nonZero(a.ApprovalExpires), "never"), or(nonZero(b.ApprovalExpires), "never"))
	say("soak", a.Soak, b.Soak)
	say("maxFailed", a.MaxFailed, b.MaxFailed)
	say("onOffline", or(string(a.OnOffline), wordFail), or(string(b.OnOffline), wordFail))
	say("maxOffline", a.MaxOffline, b.MaxOffline)
	say("onFailure", or(string(a.OnFailure), wordStop), or(string(b.OnFailure), wordStop))
	say("onJoin", or(string(a.OnJoin), wordInclude), or(string(b.OnJoin), wordInclude))
	say("freezeUpstream", a.FreezeUpstream, b.FreezeUpstream)
	return append(out, checkChanges(a.Checks, b.Checks)...)
}

func nonZero(s Span) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

func checkChanges(from, to []Check) []string {
	var out []string
	was := map[string]Check{}
	for _, c := range from {
		was[c.Name] = c
	}
	for _, c := range to {
		old, there := was[c.Name]
		switch delete(was, c.Name); {
		case !there:
			out = append(out, fmt.Sprintf("check %s is added", c.Name))
		case old != c:
			out = append(out, fmt.Sprintf("check %s is changed", c.Name))
		}
	}
	for _, c := range from {
		if _, left := was[c.Name]; left {
			out = append(out, fmt.Sprintf("check %s is removed", c.Name))
		}
	}
	if len(out) == 0 && !sameOrder(from, to) {
		out = append(out, "the order of the checks")
	}
	return out
}

func sameOrder(a, b []Check) bool {
	for i := range a {
		if a[i].Name != b[i].Name {
			return false
		}
	}
	return true
}
