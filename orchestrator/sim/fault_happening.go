package sim

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"rollout/rings"
)

// Happening is something that happens by itself.
type Happening string

// Things that happen by themselves. "For a while" is up to ten minutes.
const (
	AgentDies    Happening = "agent-dies"     // a cluster is offline for a while: its status is frozen, ready too
	AgentGone    Happening = "agent-gone"     // a cluster is offline for good
	ClusterJoins Happening = "cluster-joins"  // a cluster is registered with another one's labels
	ClusterGoes  Happening = "cluster-goes"   // a Cluster object is deleted
	ClusterMoves Happening = "cluster-moves"  // a cluster gets another one's labels: Fleet moves what it runs at once
	ClusterHeld  Happening = "cluster-paused" // a cluster is paused for a while: new content is staged, under the new label
	OffSchedule  Happening = "off-schedule"   // a cluster is outside its schedule for a while: the agent ignores what is new
	HandEdit     Happening = "hand-edit"      // somebody changes what runs, for a while: modified, and then a conflict
	GitDown      Happening = "git-down"       // a git server cannot be reached for a while, from Fleet neither
	PushElse     Happening = "push-else"      // somebody pushes a file that is no service's
	PushFolder   Happening = "push-folder"    // somebody pushes a file of a service's folder: all its clusters are upgraded
	PushFile     Happening = "push-file"      // somebody pushes a comment into a fleet.yaml
	PushVersion  Happening = "push-version"   // somebody sets a version, or a setting
	PushNonce    Happening = "push-nonce"     // somebody sets a nonce
	PushRevert   Happening = "push-revert"    // somebody reverts the newest commit
	PushBroken   Happening = "push-broken"    // somebody breaks a fleet.yaml, and mends it after a while: the job of all services of the GitRepo fails
	Rewritten    Happening = "rewritten"      // somebody force-pushes the newest commit away
	ClockJumps   Happening = "clock-jumps"    // the host's wall clock is set, minutes ahead or back
)

// Happenings are all of them.
var Happenings = []Happening{AgentDies, AgentGone, ClusterJoins, ClusterGoes, ClusterMoves, ClusterHeld, OffSchedule, HandEdit, GitDown,
	PushElse, PushFolder, PushFile, PushVersion, PushNonce, PushRevert, PushBroken, Rewritten, ClockJumps}

// stir makes things happen, with exponential gaps, as long as Faults say so.
func (w *World) stir() {
	every := w.Faults.Unrest
	if w.stirs || every <= 0 {
		return
	}
	w.stirs = true
	gap := time.Duration(float64(every) * -math.Log(1-w.rand.Float64()))
	w.After(gap, func() {
		w.stirs = false
		if may := w.may(); w.Faults.Unrest > 0 && len(may) > 0 {
			w.Happen(may[w.rand.IntN(len(may))])
		}
	})
}

func (w *World) may() []Happening {
	if w.Faults.May == nil {
		return Happenings
	}
	return w.Faults.May
}

// Calm ends all faults, and what they brought about and would last: agents are
// back, clusters go on, hand edits are undone, git servers answer, nobody else
// holds a claim, jobs and targets are not broken any more. What was pushed
// stays, and what has failed is not run again for it.
func (w *World) Calm() {
	w.Faults = Faults{}
	clear(w.claims)
	for _, b := range w.bundles {
		b.fails, b.gitRepo.breaks = "", ""
		b.repo.down = 0
	}
	for _, c := range w.clusters {
		w.restore(c)
	}
}

func (w *World) restore(c *cluster) {
	w.ReviveAgent(c.name)
	if c.paused {
		w.PauseCluster(c.name, false)
	}
	if c.offSchedule {
		w.SetSchedule(c.name, false)
	}
	for _, d := range c.deployments {
		if d != nil {
			w.EditByHand(d.bundle.service.Name, c.name, true)
		}
	}
}

// Happen makes something happen, to whom it may concern: chosen at random. It
// does nothing in a world that has nobody to concern.
func (w *World) Happen(h Happening) {
	if len(w.bundles) == 0 || len(w.clusters) == 0 {
		return
	}
	w.begin()
	b := w.bundles[w.rand.IntN(len(w.bundles))]
	c := w.clusters[w.rand.IntN(len(w.clusters))]
	while := w.draw(Delay{time.Second, 10 * time.Minute})
	if !w.happenToCluster(h, b, c, while) {
		w.happenToRepo(h, b, while)
	}
}

// later runs f unless the cluster is gone by then.
func (w *World) later(c *cluster, d time.Duration, f func()) {
	w.After(d, func() {
		if !c.removed {
			f()
		}
	})
}

func (w *World) happenToCluster(h Happening, b *bundle, c *cluster, while time.Duration) bool {
	switch h {
	case AgentDies:
		w.KillAgent(c.name)
		w.later(c, while, func() { w.ReviveAgent(c.name) })
	case AgentGone:
		w.KillAgent(c.name)
	case ClusterJoins:
		w.join(c)
	case ClusterGoes:
		if len(w.clusters) > 1 {
			w.tell("cluster %s is deleted", c.name)
			w.RemoveCluster(c.name)
		}
	case ClusterMoves:
		other := w.clusters[w.rand.IntN(len(w.clusters))]
		w.tell("cluster %s gets the labels of %s", c.name, other.name)
		w.Relabel(c.name, other.labels)
	case ClusterHeld:
		w.PauseCluster(c.name, true)
		w.later(c, while, func() { w.PauseCluster(c.name, false) })
	case OffSchedule:
		w.SetSchedule(c.name, true)
		w.later(c, while, func() { w.SetSchedule(c.name, false) })
	case HandEdit:
		w.EditByHand(b.service.Name, c.name, false)
		w.later(c, while, func() { w.EditByHand(b.service.Name, c.name, true) })
	default:
		return false
	}
	return true
}

// join registers a cluster with the labels of another.
func (w *World) join(like *cluster) {
	for n := 1; ; n++ {
		name := rings.ClusterName(fmt.Sprintf("%s-%d", like.name, n))
		if w.cluster(name) == nil {
			w.tell("cluster %s joins, with the labels of %s", name, like.name)
			w.AddCluster(name, like.labels)
			return
		}
	}
}

const eve = "eve <eve@example.com>"

func (w *World) happenToRepo(h Happening, b *bundle, while time.Duration) {
	r, file := b.repo, b.service.File()
	src := r.tip().files[file]
	switch h {
	case GitDown:
		w.CutOff(r.url, while)
	case PushElse:
		w.somebodyElse(r)
	case PushFolder:
		w.PushFile(r.url, b.inFolder("templates/extra.yaml"), fmt.Appendf(nil, "extra: %d\n", r.serial), eve)
	case PushFile:
		w.PushFile(r.url, file, fmt.Appendf(slices.Clone(src), "\n# note %d\n", r.serial), eve)
	case PushVersion:
		w.pushChange(b)
	case PushNonce:
		w.pushMatch(b, nonceLine, fmt.Sprint(100+r.serial))
	case PushRevert:
		w.Revert(r.url, eve)
	case PushBroken:
		w.PushFile(r.url, file, append(slices.Clone(src), "\n: [broken\n"...), eve)
		broken := r.tip().files[file]
		w.After(while, func() {
			if bytes.Equal(r.tip().files[file], broken) {
				w.PushFile(r.url, file, src, eve)
			}
		})
	case Rewritten:
		w.Rewrite(r.url, 1, eve)
	case ClockJumps:
		w.JumpClock(w.draw(Delay{-5 * time.Minute, 5 * time.Minute}))
	}
}

// pushChange sets a version, or the setting of a service that has one.
func (w *World) pushChange(b *bundle) {
	if len(b.service.Settings) > 0 && w.rand.IntN(2) == 0 {
		w.pushMatch(b, settingLine, fmt.Sprint(90+b.repo.serial))
		return
	}
	w.pushMatch(b, versionLine, fmt.Sprintf("v9%d", b.repo.serial))
}

// somebodyElse pushes a file that is no service's.
func (w *World) somebodyElse(r *repo) {
	w.PushFile(r.url, "README.md", fmt.Appendf(slices.Clone(r.tip().files["README.md"]), "line %d\n", r.serial), eve)
}

// inFolder is a file's path in the repository.
func (b *bundle) inFolder(name string) string {
	if b.root() == "" {
		return name
	}
	return b.root() + "/" + name
}

var (
	versionLine = regexp.MustCompile(`\b(?:tag|version):\s*"?([\w.-]+)"?`)
	settingLine = regexp.MustCompile(`replicas:\s*(\d+)`)
	nonceLine   = regexp.MustCompile(`forceSyncGeneration:\s*(\d+)`)
)

// pushMatch puts a value in the place of what the pattern's group matches, at
// one of its matches. It does nothing when there is none.
func (w *World) pushMatch(b *bundle, pattern *regexp.Regexp, value string) {
	file := b.service.File()
	src := b.repo.tip().files[file]
	all := pattern.FindAllSubmatchIndex(src, -1)
	if len(all) == 0 {
		return
	}
	m := all[w.rand.IntN(len(all))]
	w.PushFile(b.repo.url, file, slices.Concat(src[:m[2]], []byte(value), src[m[3]:]), eve)
}
