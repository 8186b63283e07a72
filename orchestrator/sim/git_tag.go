package sim

import (
	"fmt"
	"maps"

	"rollout/orchestrator"
)

// tag puts a tag on a commit, unless another one has it.
func (t *task) tag() {
	w, r, a := t.w, t.repo, t.job.Action
	w.After(w.draw(w.Delays.Push), func() {
		switch is := r.tags[a.Tag]; {
		case t.gone && !w.happens(w.Faults.Outlives) || t.cutOff():
		case w.happens(w.Faults.PushRefused):
			t.refuse(orchestrator.CodeHook, r.url+": pre-receive hook declined: no tags today")
		case w.happens(w.Faults.PushDropped):
			t.reply(lostAnswer)
		case is != "" && is != a.Commit:
			t.refuse(orchestrator.CodeConflict, fmt.Sprintf("tag %q is on commit %.8s", a.Tag, is))
		default:
			if is == "" {
				w.tell("we put tag %s on %.8s of %s", a.Tag, a.Commit, r.url)
			}
			if r.tags == nil {
				r.tags = map[string]string{}
			}
			if r.tags[a.Tag] = a.Commit; w.happens(w.Faults.PushLost) {
				t.reply(lostAnswer)
				return
			}
			t.ok("")
		}
	})
}

// Tags are the commits of a repository's tags, by name.
func (w *World) Tags(repo string) map[string]string { return maps.Clone(w.repo(repo).tags) }
