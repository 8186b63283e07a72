package explore

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"

	"rollout/orchestrator"
)

// hash names a state: 128 bits of its encoding.
type hash [2]uint64

var hashSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// coder writes canonical encodings: all that the future depends on, and nothing
// of the past. There are no times in it: of those that Step compares with each
// other it says which came first, and of a deadline whether it runs.
type coder struct {
	*layout
	out     []byte
	columns [maxRings][maxClusters][]byte // what is about one cluster
	parts   [][]byte
	base    [maxServices]int // by repository: commits before this one are forgotten
}

func (c *coder) hash(n *node) hash {
	c.encode(n)
	return hash{maphash.Bytes(hashSeeds[0], c.out), maphash.Bytes(hashSeeds[1], c.out)}
}

func (c *coder) encode(n *node) {
	c.out = c.out[:0]
	if n.state.Phase.Ended() { // it is over, whatever the world does
		c.put(initial(n.state.Phase))
		return
	}
	for r := range c.Rings {
		for k := range c.Clusters {
			c.columns[r][k] = c.columns[r][k][:0]
		}
	}
	for repo := range c.repos {
		c.base[repo] = c.forgotten(n, repo)
	}
	c.state(n)
	c.pending(n)
	c.world(n)
	c.shadow(n)
	c.sortedColumns()
}

func (c *coder) put(b ...byte) { c.out = append(c.out, b...) }

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func bits(all ...bool) (out byte) {
	for i, b := range all {
		out |= bit(b) << i
	}
	return out
}

// initial is the first and last letter of a phase: no two phases of a kind
// share both.
func initial[T ~string](phase T) byte {
	if phase == "" {
		return 0
	}
	return phase[0] ^ phase[len(phase)-1]<<3 ^ byte(len(phase))
}

func (c *coder) state(n *node) {
	s := n.state
	c.put(initial(s.Phase), bits(s.Failure != nil, s.Rollback != nil, s.Pause != nil))
	current := -1
	if s.Current != "" {
		current = c.ring(s.Current)
	}
	c.put(byte(current + 1))
	if s.Rollback != nil {
		c.put(bits(s.Rollback.Failure != nil, s.Rollback.Ring != ""))
	}
	for _, r := range s.Rings {
		c.put(initial(r.Phase), bits(r.Claimed, r.Failure != nil))
	}
	c.put(byte(len(s.Steps)))
	for _, st := range s.Steps {
		c.step(n, st, c.ring(st.Ring), c.ring(st.Ring) == current)
	}
}

// step encodes what is left of a step: of one that has ended little is, unless
// it may be taken back.
func (c *coder) step(n *node, st *orchestrator.StepState, r int, current bool) {
	a := &st.Attempt
	c.put(initial(st.Phase), byte(a.Nonce))
	if !st.Phase.Ended() || c.takeBack {
		c.put(byte(versionNumber(a.Version)+1), byte(versionNumber(a.From)+1), byte(versionNumber(st.Was)+1),
			bits(a.Ours, st.Changed, st.Doubt, a.Commit != ""))
	}
	live := !st.Phase.Ended()
	if !current || !live && n.state.Rollback != nil {
		return
	}
	for _, name := range c.clusters[r] {
		col := &c.columns[r][cluster(name)]
		k := st.Clusters[name]
		if k == nil {
			*col = append(*col, 0)
			continue
		}
		*col = append(*col, 1, initial(k.Phase), bits(k.Expected, !k.Trying.IsZero(), !k.Suspect.IsZero(), k.Seen != nil))
		if k.Seen != nil && (live || c.takeBack) {
			v := seen(k.Seen)
			*col = append(*col, c.number(c.service(st.Target.Service), v.label), v.spec, v.status, bits(v.applied, v.ready))
		}
	}
	c.put(bits(st.Synced, len(st.Members) > 0))
	if live {
		c.live(st, c.oldest(n, st))
	}
}

// oldest is the number of the oldest commit that may still be shown for the
// step's service.
func (c *coder) oldest(n *node, st *orchestrator.StepState) int {
	s, r := c.service(st.Target.Service), c.ring(st.Ring)
	out := n.world.fleet[s].label
	for k, name := range c.clusters[r] {
		if n.world.left.Stale > 0 {
			out = min(out, n.world.cells[s][r][k].before.label)
		}
		if x := st.Clusters[name]; x != nil && x.Seen != nil {
			out = min(out, seen(x.Seen).label)
		}
	}
	return int(out)
}

// live encodes what only matters while the step moves.
func (c *coder) live(st *orchestrator.StepState, oldest int) {
	ready := !st.ReadySince.IsZero()
	s := c.service(st.Target.Service)
	c.put(c.since(st, cmp.Or(st.Attempt.Commit, st.Attempt.Base)), byte(min(st.Tries, 1)),
		bits(!st.StartedAt.IsZero(), !st.PublishedAt.IsZero(), !st.TakenUpAt.IsZero(), ready, ready && !st.SurveyedAt.Before(st.ReadySince), st.Survey != nil, !st.MovedAt.IsZero()))
	if v := st.Survey; v != nil {
		c.put(c.place(s, v.Tip), c.since(st, v.Commit), byte(versionNumber(v.Version)+1), byte(v.Nonce), byte(v.MaxNonce), bits(v.Superseded != nil, v.Rewritten))
	}
	var strange uint64
	for _, commit := range st.Strange {
		if n := commitNumber(commit); n >= oldest {
			strange |= 1 << c.number(s, uint8(n))
		}
	}
	for strange > 0 {
		c.put(byte(strange))
		strange >>= 8
	}
	c.put(0xff)
}

// number is a commit's, counted from the oldest that is not forgotten. Those
// that are forgotten are all alike.
func (c *coder) number(service int, commit uint8) byte {
	return byte(max(int(commit)-c.base[c.repo[service]], -1) + 2)
}

// place is the number of a named commit, 0 for none.
func (c *coder) place(service int, commit string) byte {
	if commit == "" {
		return 0
	}
	return c.number(service, uint8(commitNumber(commit)))
}

// since is the number of a commit with which a lineage begins. Of one that was
// found, and not made, it is enough to know that it lies before all others.
func (c *coder) since(st *orchestrator.StepState, commit string) byte {
	s := c.service(st.Target.Service)
	if commit != "" && (st.Phase == orchestrator.StepSurveying || !st.Attempt.Ours || st.Attempt.Commit == "") {
		return c.number(s, uint8(max(commitNumber(commit), c.base[c.repo[s]])))
	}
	return c.place(s, commit)
}

// forgotten is the number of the oldest commit of the repository that anything
// may still refer to. The base of an attempt is of use until its commit is
// known.
func (c *coder) forgotten(n *node, repo int) int {
	out := len(n.world.repos[repo]) - 1
	note := func(commit int) { out = min(out, commit) }
	name := func(commit string) {
		if commit != "" {
			note(commitNumber(commit))
		}
	}
	for s := range c.services {
		if c.repo[s] == repo {
			c.shows(n, s, note)
		}
	}
	for _, st := range n.state.Steps {
		if c.repo[c.service(st.Target.Service)] != repo || st.Ring != n.state.Current || st.Phase.Ended() {
			continue
		}
		note(c.oldest(n, st))
		if st.Attempt.Ours {
			name(cmp.Or(st.Attempt.Commit, st.Attempt.Base))
		}
		if st.Survey != nil {
			name(st.Survey.Tip)
		}
	}
	for i := range n.world.tasks {
		t := &n.world.tasks[i]
		for _, item := range n.state.Pending[t.id].Items {
			if t.done && c.repo[c.service(item.Service)] == repo {
				note(int(t.tip))
			}
		}
	}
	return out
}

// shows notes the commits that Fleet's objects of the service show.
func (c *coder) shows(n *node, s int, note func(int)) {
	for r := range c.Rings {
		if !c.matters(n, s, r) {
			continue
		}
		note(int(n.world.fleet[s].label))
		note(int(n.world.fleet[s].content))
		for k := range c.Clusters {
			if n.world.left.Stale > 0 {
				note(int(n.world.cells[s][r][k].before.label))
			}
		}
	}
}

// pending encodes the actions and how far they are, in an order that does not
// follow from when they were asked for.
func (c *coder) pending(n *node) {
	c.parts = c.parts[:0]
	for i := range n.world.tasks {
		t := &n.world.tasks[i]
		a := n.state.Pending[t.id]
		c.parts = append(c.parts, c.action(n, t, &a))
	}
	slices.SortFunc(c.parts, bytes.Compare)
	c.put(byte(len(c.parts)))
	for _, p := range c.parts {
		c.put(p...)
	}
}

func (c *coder) action(n *node, t *task, a *orchestrator.Action) []byte {
	out := []byte{initial(a.Kind), byte(c.ring(a.Ring)), bits(a.Undo, t.done), 0, initial(t.refused), t.service, byte(len(a.Items))}
	if t.done && len(a.Items) > 0 {
		out[3] = c.number(c.service(a.Items[0].Service), t.tip)
	}
	for _, i := range a.Items {
		st := stepOf(n.state, orchestrator.Ref{Ring: a.Ring, Service: i.Service, Undo: a.Undo})
		after := !st.ReadySince.IsZero() && !a.AskedAt.Before(st.ReadySince)
		out = append(out, byte(c.service(i.Service)), byte(versionNumber(i.Version)+1), byte(i.Nonce), byte(versionNumber(i.From)+1),
			c.since(st, cmp.Or(i.Commit, i.Base)), bit(i.Commit != ""), bit(after))
		if st.Phase.Ended() {
			continue
		}
		oldest := c.oldest(n, st)
		for _, label := range i.Labels {
			if commitNumber(label) >= oldest {
				out = append(out, c.place(c.service(i.Service), label))
			}
		}
	}
	return out
}

func (c *coder) world(n *node) {
	w := &n.world
	c.put(byte(w.left.Crash), byte(w.left.Stale), byte(w.left.Cluster), byte(w.left.Manual), byte(w.left.Total))
	for repo := range c.repos {
		commits := w.repos[repo][c.base[repo]:]
		c.put(byte(len(commits)))
		for s := range c.services {
			for r := range c.Rings {
				if c.repo[s] == repo {
					c.put(commits[0].files[s][r].version, commits[0].files[s][r].nonce)
				}
			}
		}
		for i := range commits[1:] {
			m := &commits[1+i]
			c.put(bits(m.ours, m.undo), m.changed, m.ring)
			for s := range c.services {
				if m.changed&(1<<s) != 0 {
					c.put(m.files[s][m.ring].version, m.files[s][m.ring].nonce)
				}
			}
		}
	}
	for s := range c.services {
		fleet := false
		for r := range c.Rings {
			if !c.matters(n, s, r) {
				continue
			}
			fleet = true
			c.put(bit(w.unproven[s][r]))
			for k := range c.Clusters {
				c.cell(n, s, r, k)
			}
		}
		if fleet {
			c.put(c.number(s, w.fleet[s].label), c.number(s, w.fleet[s].content), bit(w.fleet[s].job))
		}
	}
}

// matters reports whether somebody will look at the service on the ring again.
func (c *coder) matters(n *node, s, r int) bool {
	sh := &n.shadow
	switch {
	case n.state.Rollback != nil:
		return sh.steps[1][s][r].there && !sh.steps[1][s][r].phase.Ended()
	case c.takeBack:
		return true
	}
	p := sh.steps[0][s][r].phase
	return !p.Ended() && (p != orchestrator.StepWaiting || !sh.failed)
}

func (c *coder) cell(n *node, s, r, k int) {
	x := &n.world.cells[s][r][k]
	col := c.columns[r][k]
	col = append(col, x.applied.version, x.applied.nonce, bits(x.ready, x.bad), x.proven)
	if n.world.left.Stale > 0 {
		b := x.before
		col = append(col, c.number(s, b.label), b.spec, b.status, bits(b.applied, b.ready))
	}
	c.columns[r][k] = col
}

func (c *coder) shadow(n *node) {
	c.put(bits(n.shadow.failed, n.shadow.undoFailed, n.shadow.ended))
}

// sortedColumns ends the encoding with what is about single clusters: those of
// a ring are interchangeable.
func (c *coder) sortedColumns() {
	for r := range c.Rings {
		columns := c.columns[r][:c.Clusters]
		slices.SortFunc(columns, bytes.Compare)
		for _, col := range columns {
			c.put(byte(len(col)))
			c.put(col...)
		}
	}
}
