package sim

import (
	"fmt"
	"slices"
	"strings"

	"rollout/orchestrator"
)

// tags: a rollout that ends well has its tag on the last of its commits in each
// repository, or has said why not; and before its last ring is done, or when it
// ends otherwise, there is none.
func (k *Checker) tags(r *run, _ *view, e orchestrator.Event) string {
	name := r.created.Options.Tag
	if name == "" {
		return ""
	}
	for repo := range k.logs {
		is, ours := k.World.Tags(repo)[name], r.last(repo)
		switch ended, _ := e.Body.(orchestrator.Ended); {
		case is != "" && !r.ringsOver():
			return fmt.Sprintf("%s has the tag %s, and not all rings are done", repo, name)
		case is != "" && !slices.Contains(ours, is):
			return fmt.Sprintf("the tag %s of %s is on %.8s, which is not the last commit of %s", name, repo, is, r.id)
		case is == "" && ended.Phase == orchestrator.Succeeded && len(ours) > 0 && !slices.ContainsFunc(r.warnings, func(w string) bool { return strings.Contains(w, repo) }):
			return fmt.Sprintf("%s succeeded without its tag %s on %s, and says nothing of it", r.id, name, repo)
		}
	}
	return ""
}

// last are the commits of the rollout's steps of the repository, those of the
// last ring that has any.
func (r *run) last(repo string) []string {
	var out []string
	ring := ""
	for _, ref := range r.order {
		st := r.steps[ref]
		if st.commit == "" || st.Undo || st.Observed || st.Target.Repo != repo || !st.wrote() {
			continue
		}
		if string(ref.Ring) != ring {
			ring, out = string(ref.Ring), nil
		}
		out = append(out, st.commit)
	}
	return out
}

// wrote reports whether the step made a commit: its last attempt, or one before
// it that changed the version or a setting.
func (st *stepRun) wrote() bool {
	return st.attempt().Ours || slices.ContainsFunc(st.attempts, func(a orchestrator.Attempt) bool {
		return a.Ours && st.merged[a.Nonce] && (a.From != a.Version || !a.Settings.In(a.Had))
	})
}

// ringsOver reports whether every ring has ended well.
func (r *run) ringsOver() bool {
	for _, ring := range r.rings {
		if ring.phase != orchestrator.RingDone && ring.phase != orchestrator.RingSkipped {
			return false
		}
	}
	return true
}
