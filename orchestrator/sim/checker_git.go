package sim

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// entry is what a file gives a ring.
type entry struct {
	version  rings.Version
	nonce    int64
	replicas string // its setting, "" for none
}

// same reports whether two say the same, the nonce aside.
func (e entry) same(o entry) bool { return e.version == o.version && e.replicas == o.replicas }

// restored reports whether the step is to go back from what a rollout wrote to
// what was there: what that one changed, and no more.
func restored(n orchestrator.NewStep, was, wrote entry) bool {
	replicas, planned := n.Settings[drawnSetting]
	if was.version != wrote.version && n.To != was.version {
		return false
	}
	if was.replicas != wrote.replicas {
		return replicas == was.replicas
	}
	return !planned || replicas == was.replicas
}

// entries reads the rings' entries of a file as [fileOf] writes it, line by
// line: it shares nothing with the editor that it checks.
func entries(text []byte) map[rings.RingName]entry {
	out := map[rings.RingName]entry{}
	ring := rings.RingName("")
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		e := out[ring]
		switch key {
		case "- name":
			ring = rings.RingName(value)
			e = entry{}
		case "tag":
			e.version = rings.Version(value)
		case "replicas":
			e.replicas = value
		case "forceSyncGeneration":
			e.nonce, _ = strconv.ParseInt(value, 10, 64)
		}
		if ring != "" {
			out[ring] = e
		}
	}
	return out
}

// others is the file without what a rollout on the ring may change: the value
// of its entry's tag, its setting where that is planned, and its nonce.
func others(text []byte, ring rings.RingName, setting bool) []byte {
	var out bytes.Buffer
	here := false
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if key == "- name" {
			here = strings.TrimSpace(value) == string(ring)
		}
		switch {
		case here && key == "forceSyncGeneration":
		case here && key == "tag":
			out.WriteString("tag\n")
		case here && setting && key == "replicas":
			out.WriteString("replicas\n")
		default:
			out.WriteString(line)
		}
	}
	return out.Bytes()
}

// repoLog is a repository's history as far as it was looked at.
type repoLog struct {
	url       string
	paths     map[string]rings.ServiceName
	commits   []logged
	rewritten bool
}

// logged is a commit, and what its files give the rings.
type logged struct {
	Commit
	seen    time.Time // when it was put there, in true time
	entries map[rings.ServiceName]map[rings.RingName]entry
}

func (l *repoLog) follow(s rings.Service) {
	if l.paths == nil {
		l.paths = map[string]rings.ServiceName{}
	}
	l.paths[s.File()] = s.Name
}

// look checks what is new on the branches.
func (k *Checker) look() {
	for _, url := range sortedKeys(k.logs) {
		l := k.logs[url]
		if n := len(l.commits); n > 0 && l.commits[n-1].Hash == k.World.Tip(url) {
			continue
		}
		history := k.World.History(url)
		k.found("invariant 9, history", invariant9History(l, history))
		for _, c := range history[min(len(l.commits), len(history)):] {
			k.commit(l, c)
		}
	}
}

// invariant9History: what was on a branch stays there, unless somebody rewrote
// it; then it is read anew.
func invariant9History(l *repoLog, history []Commit) string {
	for i, c := range l.commits {
		if i < len(history) && history[i].Hash == c.Hash {
			continue
		}
		l.commits = l.commits[:i]
		if l.rewritten {
			return ""
		}
		return fmt.Sprintf("commit %s by %s is not on %s any more", short(c.Hash), c.Author, l.url)
	}
	return ""
}

// commit checks one commit that is new.
func (k *Checker) commit(l *repoLog, c Commit) {
	is := logged{Commit: c, seen: k.World.Now(), entries: map[rings.ServiceName]map[rings.RingName]entry{}}
	var was logged
	if n := len(l.commits); n > 0 {
		was = l.commits[n-1]
	}
	for path, service := range l.paths {
		is.entries[service] = was.entries[service]
		if slices.Contains(c.Files, path) {
			is.entries[service] = entries(k.World.File(l.url, c.Hash, path))
		}
	}
	if c.Ours() {
		k.found("invariant 8, commit", k.invariant8Commit(l, was, is))
		k.found("invariant 9, bytes", k.invariant9Bytes(l, was, is))
		k.found("invariant 12, foreign", k.invariant12Foreign(l, was, is))
	}
	l.commits = append(l.commits, is)
}

// changes are the services whose entry for the commit's ring is another one.
func changes(was, is logged) []rings.ServiceName {
	var out []rings.ServiceName
	for service := range is.entries {
		if is.entries[service][is.Ring] != was.entries[service][is.Ring] {
			out = append(out, service)
		}
	}
	slices.Sort(out)
	return out
}

// invariant8Commit: one commit an attempt, none that is empty, and the attempt
// is on record before.
func (k *Checker) invariant8Commit(l *repoLog, was, is logged) string {
	changed := changes(was, is)
	if len(changed) == 0 {
		return fmt.Sprintf("%s of %s for %s changes nothing", short(is.Hash), is.Rollout, is.Ring)
	}
	r := k.runs[is.Rollout]
	for _, service := range changed {
		e := is.entries[service][is.Ring]
		if !r.decided(is.Ring, service, e) {
			return fmt.Sprintf("%s writes %s %s/%d on %s, which is no attempt of %s on record", short(is.Hash), service, e.version, e.nonce, is.Ring, is.Rollout)
		}
		for i, c := range l.commits {
			if i > 0 && !is.Merged && c.Rollout == is.Rollout && c.Ring == is.Ring && c.entries[service][is.Ring] == e && l.commits[i-1].entries[service][is.Ring] != e {
				return fmt.Sprintf("%s and %s are of one attempt: %s %s/%d on %s", short(c.Hash), short(is.Hash), service, e.version, e.nonce, is.Ring)
			}
		}
	}
	return ""
}

// decided reports whether the attempt is on record.
func (r *run) decided(ring rings.RingName, service rings.ServiceName, e entry) bool {
	for _, undo := range []bool{false, true} {
		st := r.steps[orchestrator.Ref{Ring: ring, Service: service, Undo: undo}]
		if st != nil && slices.ContainsFunc(st.attempts, func(a orchestrator.Attempt) bool { return a.Ours && said(a, e) }) {
			return true
		}
	}
	return false
}

// said reports whether the attempt is for what the entry says.
func said(a orchestrator.Attempt, e entry) bool {
	replicas, planned := a.Settings[drawnSetting]
	return a.Version == e.version && a.Nonce == e.nonce && (!planned || replicas == e.replicas)
}

// plans reports whether the rollout has the service's setting to change.
func (r *run) plans(ring rings.RingName, service rings.ServiceName) bool {
	st := r.steps[orchestrator.Ref{Ring: ring, Service: service}]
	return st != nil && len(st.Settings) > 0
}

// invariant9Bytes: everything but the ring's version, planned setting and nonce
// stays as it was.
func (k *Checker) invariant9Bytes(l *repoLog, was, is logged) string {
	for _, path := range is.Files {
		before, after := k.World.File(l.url, was.Hash, path), k.World.File(l.url, is.Hash, path)
		service, ok := l.paths[path]
		if !ok {
			return fmt.Sprintf("%s changes %s", short(is.Hash), path)
		}
		planned := k.runs[is.Rollout].plans(is.Ring, service)
		if !bytes.Equal(others(before, is.Ring, planned), others(after, is.Ring, planned)) {
			return fmt.Sprintf("%s changes more of %s than the version and the nonce of %s", short(is.Hash), path, is.Ring)
		}
	}
	return ""
}

// invariant12Foreign: a version that no rollout of this store wrote is not
// overwritten, unless a person said so.
func (k *Checker) invariant12Foreign(l *repoLog, was, is logged) string {
	r := k.runs[is.Rollout]
	for _, service := range changes(was, is) {
		st := r.steps[orchestrator.Ref{Ring: is.Ring, Service: service}]
		if words := l.foreignSetting(r, st, was.entries[service][is.Ring], is.entries[service][is.Ring]); words != "" {
			return fmt.Sprintf("%s of %s overwrites %s of %s on %s", short(is.Hash), is.Rollout, words, service, is.Ring)
		}
		over := was.entries[service][is.Ring].version
		if r.created.Options.Override || st == nil || st.Known.Version == "" && st.Known.Attempted == "" || st.Known.Wrote(over) || over == st.to() || l.wrote(service, is.Ring, over) {
			continue
		}
		return fmt.Sprintf("%s of %s overwrites %s of %s on %s, which somebody else wrote", short(is.Hash), is.Rollout, over, service, is.Ring)
	}
	return ""
}

// foreignSetting says which value of the setting somebody else wrote that is
// overwritten; "" for none.
func (l *repoLog) foreignSetting(r *run, st *stepRun, was, is entry) string {
	if was.replicas == is.replicas || r.created.Options.Override || st == nil || st.Known.WroteValue(drawnSetting, was.replicas) {
		return ""
	}
	for i, c := range l.commits {
		if i == 0 || !c.Ours() || c.Ring != st.Ring {
			continue
		}
		before, after := l.commits[i-1].entries[st.Target.Service][st.Ring], c.entries[st.Target.Service][st.Ring]
		if after.replicas == was.replicas && before.replicas != after.replicas {
			return ""
		}
	}
	return fmt.Sprintf("%s=%s, which somebody else wrote,", drawnSetting, was.replicas)
}

// wrote reports whether a rollout wrote the version there.
func (l *repoLog) wrote(service rings.ServiceName, ring rings.RingName, v rings.Version) bool {
	for i, c := range l.commits {
		if i > 0 && c.Ours() && c.Ring == ring && c.entries[service][ring].version == v && l.commits[i-1].entries[service][ring].version != v {
			return true
		}
	}
	return false
}

// origin is what the rollout found on the ring before it first changed the
// version or the setting there, and what it wrote; false when it did not.
func (k *Checker) origin(r *run, service rings.ServiceName, ring rings.RingName) (was, wrote entry, changed bool) {
	for _, l := range k.logs {
		for i, c := range l.commits {
			if i == 0 || c.Rollout != r.id || c.Ring != ring || r.late(c, service) {
				continue
			}
			before, after := l.commits[i-1].entries[service][ring], c.entries[service][ring]
			if !before.same(after) && r.tried(orchestrator.Ref{Ring: ring, Service: service}, after) {
				return before, after, true
			}
		}
	}
	return entry{}, entry{}, false
}

// tried reports whether the step has an attempt on record for what the entry says.
func (r *run) tried(at orchestrator.Ref, e entry) bool {
	st := r.steps[at]
	return st != nil && slices.ContainsFunc(st.attempts, func(a orchestrator.Attempt) bool { return said(a, e) })
}

// lastOf is the rollout that the ring's entry was last changed by, "" for somebody
// else.
func (k *Checker) lastOf(service rings.ServiceName, ring rings.RingName) orchestrator.ID {
	last := orchestrator.ID("")
	for _, l := range k.logs {
		for i, c := range l.commits {
			if i > 0 && c.entries[service][ring] != l.commits[i-1].entries[service][ring] {
				last = c.Rollout
			}
		}
	}
	return last
}

// late reports whether a person merged what the rollout had given up: after it
// looked for the last time, which is nothing of its doing.
func (r *run) late(c logged, service rings.ServiceName) bool {
	if !c.Merged {
		return false
	}
	e := c.entries[service][c.Ring]
	for _, undo := range []bool{false, true} {
		at := orchestrator.Ref{Ring: c.Ring, Service: service, Undo: undo}
		if r.tried(at, e) && (r.steps[at].merged[e.nonce] || !c.seen.After(r.steps[at].surveyed)) {
			return false
		}
	}
	return true
}

// present is what the branch gives the ring now.
func (k *Checker) present(service rings.ServiceName, ring rings.RingName) entry {
	for _, l := range k.logs {
		if e, ok := l.commits[len(l.commits)-1].entries[service]; ok {
			return e[ring]
		}
	}
	return entry{}
}

// invariant11Scope: a rollback takes back exactly what the rollout changed, as
// far as the failed ring's policy reaches, to what was there before.
func (k *Checker) invariant11Scope(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.RollbackStarted)
	if !ok || k.rewritten() {
		return ""
	}
	undo := map[orchestrator.Ref]orchestrator.NewStep{}
	for _, n := range b.Steps {
		undo[orchestrator.Ref{Ring: n.Ring, Service: n.Target.Service}] = n
	}
	for _, at := range r.order {
		was, wrote, changed := k.origin(r, at.Service, at.Ring)
		n, taken := undo[at]
		switch within := r.takesBack(at.Ring); {
		case changed && within && !taken:
			return fmt.Sprintf("%s was changed from %v to %v, and is not taken back", ref(at), was, wrote)
		case taken && !within:
			return fmt.Sprintf("%s is taken back, its ring is not to be", ref(at))
		case taken && changed && !restored(n, was, wrote):
			return fmt.Sprintf("%s is taken back to %s %s, it was %v", ref(at), n.To, n.Settings, was)
		case taken && !changed && !r.steps[at].mayHaveChanged():
			return fmt.Sprintf("%s is taken back, and was never changed", ref(at))
		}
	}
	return ""
}

// invariant11Rollback: a rollout that takes an earlier one back has a step for
// exactly what that one changed and nobody took back since, to what was there
// before; later rings come first.
func (k *Checker) invariant11Rollback(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.Created)
	if !ok || b.Kind != orchestrator.KindRollback || k.rewritten() {
		return ""
	}
	of, back := k.runs[b.Of], map[orchestrator.Ref]orchestrator.NewStep{}
	for _, n := range b.Steps {
		back[orchestrator.Ref{Ring: n.Ring, Service: n.Target.Service}] = n
	}
	for _, at := range of.order {
		was, wrote, changed := k.origin(of, at.Service, at.Ring)
		n, taken := back[at]
		switch {
		case at.Undo:
		case changed && !taken && k.present(at.Service, at.Ring).same(wrote):
			return fmt.Sprintf("%s was changed by %s from %v, and %s does not take it back", ref(at), b.Of, was, e.Rollout)
		case changed && taken && !restored(n, was, wrote):
			return fmt.Sprintf("%s takes %s back to %s %s, it was %v", e.Rollout, ref(at), n.To, n.Settings, was)
		case taken && !changed && !of.steps[at].mayHaveChanged():
			return fmt.Sprintf("%s takes %s back, which %s did not change", e.Rollout, ref(at), b.Of)
		}
	}
	names := r.app.RingNames()
	for i := 1; i < len(b.Rings); i++ {
		if slices.Index(names, b.Rings[i].Name) > slices.Index(names, b.Rings[i-1].Name) {
			return fmt.Sprintf("%s takes %s back before %s", e.Rollout, b.Rings[i-1].Name, b.Rings[i].Name)
		}
	}
	return ""
}

// rewritten reports whether a history may have been: then it does not tell what
// a rollout changed.
func (k *Checker) rewritten() bool {
	for _, l := range k.logs {
		if l.rewritten {
			return true
		}
	}
	return false
}

// mayHaveChanged reports whether a push was asked for whose answer is not a
// sure no.
func (st *stepRun) mayHaveChanged() bool {
	for nonce := range st.pushes {
		if !st.sure[nonce] {
			return true
		}
	}
	return false
}

// takesBack reports whether the failed ring's policy takes the ring back.
func (r *run) takesBack(ring rings.RingName) bool {
	for _, failed := range r.rings {
		if failed.phase == orchestrator.RingFailed {
			policy := failed.Policy.OnFailure
			return policy == rings.FailureRollback || policy == rings.FailureRollbackRing && failed.Name == ring
		}
	}
	return false
}

// invariant11Order: what depends on something is taken back before it, and
// later rings before earlier ones.
func invariant11Order(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.StepStarted)
	if !ok || !b.Undo {
		return ""
	}
	dependents, after := r.dependents(b.Service), false
	for _, n := range r.created.Rings {
		for _, at := range r.order {
			if !at.Undo || at.Ring != n.Name || passed(r.steps[at].phase) {
				continue
			}
			if after || at.Ring == b.Ring && slices.Contains(dependents, at.Service) {
				return fmt.Sprintf("%s starts while %s is %s", ref(b.Ref), ref(at), r.steps[at].phase)
			}
		}
		after = after || n.Name == b.Ring
	}
	return ""
}

// invariant11Restored: after a rollback the branch says what it said before,
// unless somebody else changed it since.
func (k *Checker) invariant11Restored(r *run, _ *view, e orchestrator.Event) string {
	b, ok := e.Body.(orchestrator.Ended)
	if !ok || b.Phase != orchestrator.RolledBack || k.rewritten() {
		return ""
	}
	for _, at := range r.order {
		was, wrote, changed := k.origin(r, at.Service, at.Ring)
		if at.Undo || !changed || !r.takesBack(at.Ring) || k.lastOf(at.Service, at.Ring) != r.id {
			continue
		}
		if is := k.present(at.Service, at.Ring); !is.same(was) && is.same(wrote) {
			return fmt.Sprintf("the rollout is rolled back, %s still says %v and not %v", ref(at), is, was)
		}
	}
	return ""
}
