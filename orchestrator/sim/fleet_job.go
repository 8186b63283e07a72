package sim

import (
	"fmt"
	"time"

	"rollout/fleet/fleetyaml"
)

// hintMask is how long after a hint the status of a GitRepo does not follow the
// job of a commit that lies on top of the hinted one.
const hintMask = 30 * time.Second

// job is a git job. It is labelled with the commit that it was made for, and
// clones whatever is the branch's tip when it runs.
type job struct {
	commit string
	head   *commit // what it cloned, nil before
}

// moved lets Fleet's pollers see a new tip, each at its own time.
func (w *World) moved(r *repo) {
	if !w.begun {
		return
	}
	for _, g := range w.gitRepos {
		if g.repo == r {
			w.duePoll(g)
		}
	}
}

// duePoll has the GitRepo look at the branch at its next poll. At rest nobody
// polls: there would be nothing to see.
func (w *World) duePoll(g *gitRepo) {
	if g.pollDue || g.polling <= 0 {
		return
	}
	g.pollDue = true
	next := g.polls + (w.now-g.polls)/g.polling*g.polling
	if next <= w.now {
		next += g.polling
	}
	g.pollTurn++
	turn := g.pollTurn
	w.at(next, func() {
		if g.pollTurn == turn {
			g.pollDue = false
			w.poll(g)
		}
	})
}

func (w *World) poll(g *gitRepo) {
	was := g.pollError
	g.pollError = ""
	if g.paused || g.removed {
		return
	}
	if g.repo.down > w.now {
		g.pollError = fmt.Sprintf("dial %s: connect: connection refused", g.repo.url)
		w.duePoll(g)
	}
	if g.pollError != was {
		w.touchGitRepo(g)
	}
	if g.pollError == "" {
		w.look(g)
	}
}

// look makes a git job if the branch has moved. A GitRepo jumps to the newest
// commit: those in between are never seen.
func (w *World) look(g *gitRepo) {
	tip := g.repo.tip().hash
	if g.paused || g.removed || g.repo.down > w.now || g.commit == tip {
		return
	}
	w.makeJob(g, tip)
}

// makeJob makes a job for the commit, instead of one that runs. While the
// object of another is still there it has to wait: succeeded ones are deleted
// at once.
func (w *World) makeJob(g *gitRepo, commit string) {
	wait := w.draw(w.Delays.JobStart)
	if g.job != nil || g.failed {
		wait += w.Delays.JobRestart
	}
	if w.happens(w.Faults.JobSlow) {
		wait += w.draw(Delay{0, time.Minute})
	}
	j := &job{commit: commit}
	g.commit, g.job, g.failed, g.shown, g.words = commit, j, false, false, ""
	w.touchGitRepo(g)
	w.After(wait, func() { w.clone(g, j) })
}

func (w *World) clone(g *gitRepo, j *job) {
	if g.job != j {
		return
	}
	if g.repo.down > w.now {
		w.jobFails(g, "failed to clone repository: connection refused")
		return
	}
	j.head = g.repo.tip()
	w.After(w.draw(w.Delays.JobRun), func() { w.endJob(g, j) })
}

// endJob writes the Bundles, all of them with the job's label, changed or not;
// none if any file cannot be read.
func (w *World) endJob(g *gitRepo, j *job) {
	switch words := g.refuses(j.head); {
	case g.job != j:
		return
	case g.breaks != "":
		w.jobFails(g, g.breaks)
		return
	case w.happens(w.Faults.JobFails):
		w.jobFails(g, "Unknown error")
		return
	case words != "":
		w.jobFails(g, words)
		return
	}
	g.job = nil
	w.touchGitRepo(g)
	for _, b := range g.bundles {
		w.writeBundle(b, j.commit, b.at(j.head))
	}
	g.jobEnded()
}

// refuses is what `fleet apply` says of a commit that it cannot read.
func (g *gitRepo) refuses(c *commit) string {
	for _, b := range g.bundles {
		if k := b.at(c); k.err != nil {
			words := k.err.Error()
			if fs := fleetyaml.FaultsOf(k.err); len(fs) > 0 {
				words = fs[0].Error()
			}
			return "failed to process bundle: reading fleet.yaml: " + words
		}
	}
	return ""
}

// jobFails ends the job. It is never run again, unless the GitRepo's spec or
// the branch change.
func (w *World) jobFails(g *gitRepo, words string) {
	commit := g.job.commit
	g.job, g.failed, g.words = nil, true, words
	w.tell("the git job of GitRepo %s at %.8s fails: %s", g.name, commit, words)
	masked := g.hintedAt + hintMask
	if g.hinted == "" || g.hinted == commit || masked <= w.now {
		masked = w.now
	}
	show := func() {
		if g.failed && g.commit == commit {
			g.shown = true
			w.touchGitRepo(g)
		}
	}
	if masked == w.now {
		show()
	} else {
		w.at(masked, show)
	}
	g.jobEnded()
}

func (g *gitRepo) jobEnded() {
	waiters := g.waiters
	g.waiters = nil
	for _, f := range waiters {
		f()
	}
}

// hint is a patch of status.webhookCommit: a change of it makes the GitRepo
// look at the branch's tip.
func (w *World) hint(g *gitRepo, commit string) {
	if g.hinted == commit || g.commit == commit {
		return
	}
	g.hinted, g.hintedAt = commit, w.now
	w.After(w.draw(w.Delays.Hint), func() { w.look(g) })
}

// nudge is a change of the GitRepo's spec, put back when the job has ended or
// after a while: each makes Fleet run the tip again. done is called at the end.
func (w *World) nudge(g *gitRepo, done func()) {
	w.respec(g)
	over := false
	end := func() {
		if !over {
			over = true
			w.respec(g)
			done()
		}
	}
	w.After(2*w.Delays.JobRestart, func() { g.waiters = append(g.waiters, end) })
	w.After(2*time.Minute, end)
}

// respec is what a change of a GitRepo's spec does: it polls at once, deletes
// the old job, and then makes a new one.
func (w *World) respec(g *gitRepo) {
	g.generation++
	g.polls = w.now
	w.touchGitRepo(g)
	w.After(w.Delays.JobRestart, func() {
		if g.paused || g.removed {
			return
		}
		if g.pollError != "" && g.repo.down <= w.now {
			g.pollError = ""
		}
		w.makeJob(g, g.repo.tip().hash)
	})
}
