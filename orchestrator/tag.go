package orchestrator

import (
	"fmt"
	"strings"
	"time"

	"rollout/rings"
)

// Tag is the rollout's tag on one repository that it changed: what became of it.
type Tag struct {
	Repo  string    `json:"repo"`
	Since time.Time `json:"since"`           // when it was asked for first
	Tries int       `json:"tries,omitempty"` // that reached nothing
	Over  bool      `json:"over,omitempty"`  // it is there, or given up
	Words string    `json:"words,omitempty"` // why it is not there
}

// tagBy is how long a tag is tried for. What runs is good, with or without it.
const tagBy = rings.DefaultUptake

// CheckTag returns an error when git would not take the name for a tag
// (git-check-ref-format).
func CheckTag(name string) error {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
	for _, part := range strings.Split(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad || name == "@" || strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return &rings.InvalidError{What: fmt.Sprintf("tag %q", name), Faults: []string{"git does not take this for a name: letters, digits, and - _ . / between them are safe"}}
	}
	return nil
}

// tagged asks for the tags of a rollout that has done all else, and reports
// whether that is over: each is there or given up.
func (t *turn) tagged() bool {
	if t.s.Options.Tag == "" {
		return true
	}
	over := true
	for _, st := range t.s.toTag() {
		tag := t.s.tag(st.Target.Repo)
		if tag != nil && tag.Over {
			continue
		}
		if over = false; t.isTagging(st.Target.Repo) {
			continue
		}
		a := Action{Kind: ActTag, Ring: st.Ring, Items: []Item{{Service: st.Target.Service}}, Commit: st.Attempt.Commit, Tag: t.s.Options.Tag, Reason: "the rollout ends well"}
		if tag != nil {
			a.After = t.now.Add(backoff(tag.Tries))
		}
		t.request(a)
	}
	return over
}

// toTag are the steps by which each repository was changed last: on its last
// ring, the last one by the clock, which may have jumped before.
func (s *State) toTag() []*StepState {
	var out []*StepState
	at := map[string]int{}
	for _, st := range s.Steps {
		if st.Undo || st.Observed || !st.Attempt.Ours && !st.Changed || st.Attempt.Commit == "" {
			continue
		}
		i, seen := at[st.Target.Repo]
		switch {
		case !seen:
			at[st.Target.Repo], out = len(out), append(out, st)
		case st.Ring != out[i].Ring || !st.PublishedAt.Before(out[i].PublishedAt):
			out[i] = st
		}
	}
	return out
}

// tag is what became of the repository's tag; nil before it was asked for.
func (s *State) tag(repo string) *Tag {
	for i := range s.Tags {
		if s.Tags[i].Repo == repo {
			return &s.Tags[i]
		}
	}
	return nil
}

// taggedRepo is the repository that the action is to tag.
func (s *State) taggedRepo(a Action) string { return s.step(a.steps()[0]).Target.Repo }

func (t *turn) isTagging(repo string) bool {
	for _, a := range t.s.Pending {
		if a.Kind == ActTag && t.s.taggedRepo(a) == repo {
			return true
		}
	}
	return false
}

// tagging notes when a tag was asked for first.
func (s *State) tagging(a Action, at time.Time) {
	if repo := s.taggedRepo(a); s.tag(repo) == nil {
		s.Tags = append(s.Tags, Tag{Repo: repo, Since: at})
	}
}

// tagAnswered notes what became of a tag.
func (s *State) tagAnswered(a Action, o Outcome, at time.Time) {
	tag := s.tag(s.taggedRepo(a))
	if tag.Words = o.Words; o.Result == OK {
		tag.Words = ""
	}
	tag.Tries++
	tag.Over = o.Result == OK || o.Result == Refused || !at.Before(tag.Since.Add(tagBy))
}

// tagGivenUp warns of a tag that will not be there.
func (t *turn) tagGivenUp(a Action, o Outcome) {
	tag := t.s.tag(t.s.taggedRepo(a))
	if o.Result != OK && tag.Over {
		t.emit(Warned{Words: fmt.Sprintf("tag %q is not on %s: %s", a.Tag, tag.Repo, tag.Words)})
	}
}

// tagWaits are the tags that are not there yet.
func (s *State) tagWaits() []Wait {
	var out []Wait
	for _, tag := range s.Tags {
		if tag.Over {
			continue
		}
		w := Wait{Gate: "tag", Words: fmt.Sprintf("putting tag %q on %s", s.Options.Tag, tag.Repo), Since: tag.Since, Until: tag.Since.Add(tagBy)}
		if tag.Words != "" {
			w.Words += fmt.Sprintf(" (try %d: %s)", tag.Tries+1, tag.Words)
		}
		out = append(out, w)
	}
	return out
}
