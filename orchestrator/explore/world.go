package explore

import (
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// entry is what a file gives a ring.
type entry struct{ version, nonce uint8 }

// content is what all files of a repository give, by service and ring.
type content [maxServices][maxRings]entry

// commit is one of a repository. The first is what was there before.
type commit struct {
	ours    bool
	changed uint8 // bits of services, of ring ring
	ring    uint8
	undo    bool
	files   content
}

// world is what is outside of the driver. It is copied by value; the slices in
// it are never written in place.
type world struct {
	repos [maxServices][]commit
	fleet [maxServices]gitRepo
	cells [maxServices][maxRings][maxClusters]cell
	tasks []task // pending actions, in the order they were asked for
	left  Faults
	// unproven: somebody else changed the version while a step was under way
	// and not all of its clusters had proven it: it must not end as done.
	unproven [maxServices][maxRings]bool
}

// gitRepo is how far Fleet has come with a service: the commit on its objects,
// the one whose content they have, and whether its job still runs.
type gitRepo struct {
	label, content uint8
	job            bool
}

// cell is a service on a cluster.
type cell struct {
	applied entry
	ready   bool
	bad     bool // what is applied does not become ready for good
	// proven is the nonce of our last attempt that was ready here: the truth.
	proven uint8
	// before is what it showed before it showed what it shows now.
	before sight
}

// sight is what a cell shows.
type sight struct {
	label, spec, status uint8
	applied, ready      bool
}

// task is an action that was asked for and not answered.
type task struct {
	id   string
	kind orchestrator.ActionKind
	// done: it took effect, and its answer is on its way: what the branch said
	// when its tip was the commit with this number, or a refusal.
	done    bool
	tip     uint8
	refused orchestrator.Code
	service uint8 // that was refused
}

func newWorld(l *layout) world {
	w := world{left: l.Faults}
	var files content
	for s := range l.services {
		for r := range l.rings {
			files[s][r] = entry{verOld, firstNonce}
		}
	}
	for n := range l.repos {
		w.repos[n] = []commit{{files: files}}
	}
	for s := range l.services {
		for r := range l.rings {
			for k := range l.Clusters {
				c := cell{applied: entry{verOld, firstNonce}, ready: true, proven: firstNonce}
				w.cells[s][r][k] = c
				w.cells[s][r][k].before = w.sight(l, s, r, k)
			}
		}
	}
	return w
}

func (w *world) tip(l *layout, s int) uint8 { return uint8(len(w.repos[l.repo[s]]) - 1) }

// spec is what Fleet wants on the ring's clusters.
func (w *world) spec(l *layout, s, r int) entry {
	return w.repos[l.repo[s]][w.fleet[s].content].files[s][r]
}

// wants is what the branch wants there.
func (w *world) wants(l *layout, s, r int) entry {
	return w.repos[l.repo[s]][w.tip(l, s)].files[s][r]
}

// sight is what the cell shows now.
func (w *world) sight(l *layout, s, r, k int) sight {
	c, spec := &w.cells[s][r][k], w.spec(l, s, r)
	return sight{label: w.fleet[s].label, spec: spec.nonce, status: c.applied.nonce, applied: c.applied == spec, ready: c.ready}
}

// alter changes something that cells of the service show, and remembers what
// they showed before.
func (w *world) alter(l *layout, s int, change func()) {
	var was [maxRings][maxClusters]sight
	for r := range l.rings {
		for k := range l.Clusters {
			was[r][k] = w.sight(l, s, r, k)
		}
	}
	change()
	for r := range l.rings {
		for k := range l.Clusters {
			if w.sight(l, s, r, k) != was[r][k] {
				w.cells[s][r][k].before = was[r][k]
			}
		}
	}
}

// heard is when every agent gave its last sign: agents are alive, always.
var heard = epoch.Add(1000 * time.Hour)

func (l *layout) fact(s, r, k int, v sight) orchestrator.Fact {
	return orchestrator.Fact{Service: l.services[s], Ring: l.rings[r], Deployment: &orchestrator.Deployment{
		Cluster: l.clusters[r][k], Commit: l.commits[l.repo[s]][v.label], SpecNonce: int64(v.spec), StatusNonce: int64(v.status),
		Staged: true, Applied: v.applied, Ready: v.ready, NonModified: true, Heard: heard}}
}

// seen is the sight that the deployment is.
func seen(d *orchestrator.Deployment) sight {
	return sight{label: uint8(commitNumber(d.Commit)), spec: uint8(d.SpecNonce), status: uint8(d.StatusNonce), applied: d.Applied, ready: d.Ready}
}

// push appends a commit. It reads the tip when it takes effect: a push that
// meets another tip is rejected, and is done again.
func (w *world) push(repo int, c commit) {
	old := w.repos[repo]
	w.repos[repo] = append(old[:len(old):len(old)], c)
}

// first is the first commit after base that gives the ring the entry; -1 when
// none does.
func (w *world) first(repo, s, r, base, tip int, e entry) int {
	for n := base + 1; n <= tip; n++ {
		if w.repos[repo][n].files[s][r] == e {
			return n
		}
	}
	return -1
}

// survey answers an item with the commit of the number as the branch's tip, as
// the port's contract says.
func (w *world) survey(l *layout, i orchestrator.Item, ring rings.RingName, tip int) orchestrator.Survey {
	s, r := l.service(i.Service), l.ring(ring)
	repo := l.repo[s]
	commits, names := w.repos[repo], l.commits[repo]
	e := commits[tip].files[s][r]
	v := orchestrator.Survey{Service: i.Service, Tip: names[tip], Version: versions[e.version], Nonce: int64(e.nonce), Expected: l.clusters[r]}
	for _, e := range commits[tip].files[s][:l.Rings] {
		v.MaxNonce = max(v.MaxNonce, int64(e.nonce))
	}
	at := -1
	switch {
	case i.Commit != "":
		at = commitNumber(i.Commit)
	case i.Version != "":
		at = w.first(repo, s, r, commitNumber(i.Base), tip, wanted(i))
	default:
		for at = tip; at > 0 && commits[at].changed&(1<<s) == 0; at-- {
		}
	}
	if at < 0 {
		return v
	}
	v.Commit, v.Author, v.At = names[at], "ann", at2time(at)
	v.Lineage = names[at : tip+1 : tip+1]
	for n := at; i.Version != "" && n <= tip; n++ {
		if got := commits[n].files[s][r]; got != wanted(i) {
			v.Superseded = &orchestrator.Foreign{Commit: names[n], Author: "eve", Version: versions[got.version], Nonce: int64(got.nonce)}
			break
		}
	}
	return v
}

// at2time is when a commit was made: the first one long ago.
func at2time(n int) time.Time {
	if n == 0 {
		return epoch.Add(-30 * 24 * time.Hour)
	}
	return epoch
}

func wanted(i orchestrator.Item) entry {
	return entry{uint8(versionNumber(i.Version)), uint8(i.Nonce)}
}

// publish makes the items hold on the branch with one commit, and with none
// when they held already since their base. It answers with the commit that it
// made, or -1, and with the refusal, if any.
func (w *world) publish(l *layout, a orchestrator.Action) (made int, code orchestrator.Code, service int) {
	r, repo := l.ring(a.Ring), l.repo[l.service(a.Items[0].Service)]
	tip := len(w.repos[repo]) - 1
	c := commit{ours: true, ring: uint8(r), undo: a.Undo, files: w.repos[repo][tip].files}
	for _, i := range a.Items {
		s := l.service(i.Service)
		v := w.survey(l, i, a.Ring, tip)
		switch {
		case v.Commit != "":
			continue
		case v.Version != i.From:
			return -1, orchestrator.CodeManual, s
		case v.MaxNonce >= i.Nonce:
			return -1, orchestrator.CodeNonceTaken, s
		}
		c.changed |= 1 << s
		c.files[s][r] = wanted(i)
	}
	if c.changed == 0 {
		return -1, "", 0
	}
	w.push(repo, c)
	return tip + 1, "", 0
}

// outcome is the answer of a task that took effect.
func (w *world) outcome(l *layout, t task, a orchestrator.Action) orchestrator.Outcome {
	o := orchestrator.Outcome{Action: t.id, Result: orchestrator.OK}
	if t.refused != "" {
		o.Result, o.Code, o.Words, o.Services = orchestrator.Refused, t.refused, "refused", []rings.ServiceName{l.services[t.service]}
		return o
	}
	if a.Kind == orchestrator.ActSurvey || a.Kind == orchestrator.ActPublish {
		o.Surveys = make([]orchestrator.Survey, len(a.Items))
		for n, i := range a.Items {
			o.Surveys[n] = w.survey(l, i, a.Ring, int(t.tip))
		}
	}
	return o
}
