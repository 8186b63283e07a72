package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"rollout/orchestrator"
	"rollout/rings"
)

// The words for the zero values of choices.
const (
	wordStop    = "stop"
	wordFail    = "fail"
	wordInclude = "include"
	wordPush    = "push"
)

// policyFlag is a flag of a ring's policy, and how its value is set.
type policyFlag struct {
	flag cli.Flag
	set  func(*cli.Context, *rings.Ring) error
}

func policyFlags() []policyFlag {
	return append([]policyFlag{
		durationPolicy("deadline", "`TIME` that each cluster has to become ready, once Fleet has taken a commit up", "15m", func(p *rings.Policy) *time.Duration { return &p.Converge }),
		durationPolicy("uptake-deadline", "`TIME` that Fleet has to take a commit up", "5m, or three polling intervals", func(p *rings.Policy) *time.Duration { return &p.Uptake }),
		durationPolicy("merge-deadline", "`TIME` that a person has to merge what a service with \"--publish branch\" proposes", "24h", func(p *rings.Policy) *time.Duration { return &p.Merge }),
		switchPolicy("approve-before", "A person must approve before the ring begins", func(p *rings.Policy) *bool { return &p.ApproveBefore }),
		switchPolicy("approve-after", "A person must approve before the ring counts as done", func(p *rings.Policy) *bool { return &p.ApproveAfter }),
		durationPolicy("approval-expires", "`TIME` that an approval may wait to be used; 0: for ever", "0", func(p *rings.Policy) *time.Duration { return &p.ApprovalExpires }),
		durationPolicy("soak", "`TIME` that all clusters must stay healthy before the ring is done", "0", func(p *rings.Policy) *time.Duration { return &p.Soak }),
		amountPolicy("max-failed", "`N` or N% of the ring's clusters that may fail", func(p *rings.Policy) *rings.Amount { return &p.MaxFailed }),
		choicePolicy("on-offline", "`WHAT` becomes of a cluster that cannot be reached: fail, skip or wait", wordFail, func(p *rings.Policy) *rings.OnOffline { return &p.OnOffline }),
		amountPolicy("max-offline", "`N` or N% of the clusters that \"--on-offline skip\" leaves out at most", func(p *rings.Policy) *rings.Amount { return &p.MaxOffline }),
		choicePolicy("on-failure", "`WHAT` follows when the ring fails: stop, pause, rollback-ring or rollback", wordStop, func(p *rings.Policy) *rings.OnFailure { return &p.OnFailure }),
		choicePolicy("on-join", "`WHAT` becomes of a cluster that enters the ring in the middle: include or later", wordInclude, func(p *rings.Policy) *rings.OnJoin { return &p.OnJoin }),
		switchPolicy("freeze-upstream", "While a rollout is under way on the ring, nothing begins on the ring that it takes from", func(p *rings.Policy) *bool { return &p.FreezeUpstream }),
		removeCheckPolicy(), checkPolicy(),
	}, startFlags()...)
}

func durationPolicy(name, usage, otherwise string, field func(*rings.Policy) *time.Duration) policyFlag {
	return policyFlag{&cli.DurationFlag{Name: name, Usage: usage, DefaultText: otherwise}, func(c *cli.Context, r *rings.Ring) error {
		*field(&r.Policy) = c.Duration(name)
		return nil
	}}
}

func switchPolicy(name, usage string, field func(*rings.Policy) *bool) policyFlag {
	return policyFlag{&cli.BoolFlag{Name: name, Usage: usage + fmt.Sprintf("; --%s=false takes it away", name), DisableDefaultText: true}, func(c *cli.Context, r *rings.Ring) error {
		*field(&r.Policy) = c.Bool(name)
		return nil
	}}
}

func amountPolicy(name, usage string, field func(*rings.Policy) *rings.Amount) policyFlag {
	return policyFlag{&cli.StringFlag{Name: name, Usage: usage, DefaultText: "0"}, func(c *cli.Context, r *rings.Ring) (err error) {
		if *field(&r.Policy), err = rings.ParseAmount(c.String(name)); err != nil {
			return &usageError{what: fmt.Sprintf("flag --%s: %v", name, err)}
		}
		return nil
	}}
}

// choicePolicy is a choice whose zero value people know under a word.
func choicePolicy[T ~string](name, usage, zero string, field func(*rings.Policy) *T) policyFlag {
	return policyFlag{&cli.StringFlag{Name: name, Usage: usage, DefaultText: zero}, func(c *cli.Context, r *rings.Ring) error {
		if *field(&r.Policy) = T(c.String(name)); *field(&r.Policy) == T(zero) {
			*field(&r.Policy) = ""
		}
		return nil
	}}
}

// policyChange is what the given flags make of a policy.
type policyChange struct {
	context *cli.Context
	given   []policyFlag
}

// policyChangeOf takes the flags that were given; what they say is checked
// when it is applied.
func policyChangeOf(c *cli.Context) policyChange {
	change := policyChange{context: c}
	for _, f := range policyFlags() {
		if c.IsSet(f.flag.Names()[0]) {
			change.given = append(change.given, f)
		}
	}
	return change
}

// apply sets what was given; the rest of the ring's policy stays.
func (ch policyChange) apply(app rings.AppName, r *rings.Ring) error {
	for _, f := range ch.given {
		err := f.set(ch.context, r)
		var unknown *rings.UnknownError
		if errors.As(err, &unknown) {
			unknown.Where = fmt.Sprintf("ring %q of application %q", r.Name, app)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// word is the choice as people write it.
func word[T ~string](choice T, zero string) string {
	if choice == "" {
		return zero
	}
	return string(choice)
}

// policyWords are what differs from the default, deadlines apart.
func policyWords(p rings.Policy) []string {
	var out []string
	say := func(differs bool, format string, args ...any) {
		if differs {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(p.Merge > 0, "merge deadline %s", orchestrator.Duration(p.Merge))
	say(p.ApproveBefore || p.ApproveAfter, "approval %s", approvalWords(p))
	say(p.Soak > 0, "soak %s", orchestrator.Duration(p.Soak))
	say(p.MaxFailed != rings.Amount{}, "max failed %s", p.MaxFailed)
	say(p.OnOffline != rings.OfflineFail, "on offline %s", offlineWords(p))
	say(p.OnFailure != rings.FailureStop, "on failure %s", p.OnFailure)
	say(p.OnJoin != rings.JoinInclude, "on join %s", p.OnJoin)
	say(p.FreezeUpstream, "freezes upstream")
	for _, c := range p.Checks {
		say(true, "check %s", c.Name)
	}
	return out
}

// approvalWords say when a person must approve: "before and after (expires
// after 8h)".
func approvalWords(p rings.Policy) string {
	var when []string
	if p.ApproveBefore {
		when = append(when, "before")
	}
	if p.ApproveAfter {
		when = append(when, "after")
	}
	if len(when) == 0 {
		return "none"
	}
	words := strings.Join(when, " and ")
	if p.ApprovalExpires > 0 {
		words += fmt.Sprintf(" (expires after %s)", orchestrator.Duration(p.ApprovalExpires))
	}
	return words
}

func soakWords(p rings.Policy) string {
	if p.Soak == 0 {
		return "none"
	}
	return orchestrator.Duration(p.Soak)
}

func offlineWords(p rings.Policy) string {
	words := word(p.OnOffline, wordFail)
	if p.OnOffline == rings.OfflineSkip {
		words += fmt.Sprintf(" (at most %s)", p.MaxOffline)
	}
	return words
}
