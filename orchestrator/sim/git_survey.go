package sim

import (
	"strings"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// query is one item of a job, with what is needed to read and edit its file.
type query struct {
	w      *World
	item   orchestrator.Item
	target orchestrator.Target
	bundle *bundle
	labels map[string]string // of the ring
	ring   string            // the same, as a key
}

func (w *World) queries(j orchestrator.Job) []*query {
	labels := j.Scope.Labels(j.Action.Ring)
	ring := canonical(labels)
	out := make([]*query, len(j.Action.Items))
	for i, item := range j.Action.Items {
		out[i] = &query{w: w, item: item, target: j.Targets[item.Service], bundle: w.bundle(item.Service), labels: labels, ring: ring}
	}
	return out
}

func (q *query) asks() bool { return q.item.Version != "" && q.item.Nonce != 0 }

func (q *query) state(c *commit) *state {
	return q.w.state(q.bundle, q.bundle.at(c), q.labels, q.ring)
}

// surveys answers every query on the branch as it is now; nil and a refusal
// when one cannot be answered.
func surveys(qs []*query) ([]orchestrator.Survey, *orchestrator.Outcome) {
	out := make([]orchestrator.Survey, len(qs))
	for i, q := range qs {
		s, no := q.survey()
		if no != nil {
			return nil, no
		}
		out[i] = s
	}
	return out, nil
}

// survey answers one query, as the contract of [orchestrator.Survey] says.
func (q *query) survey() (orchestrator.Survey, *orchestrator.Outcome) {
	r := q.bundle.repo
	tip := r.tip()
	out := orchestrator.Survey{Service: q.item.Service, Tip: tip.hash}
	k := q.bundle.at(tip)
	if k.missing {
		return out, q.refuse(orchestrator.CodeNotFound, "branch "+r.branch+" has no "+q.bundle.service.File())
	}
	s := q.state(tip)
	if s.err != nil {
		return out, q.refuse(orchestrator.CodeFile, s.err.Error())
	}
	out.Version, out.Versions, out.Nonce = s.version, s.versions, s.nonce
	out.Settings, out.Unsettled = s.settings, s.unsettled
	out.MaxNonce, out.Expected, out.Excluded = k.file.MaxNonce(), s.expected, s.excluded
	switch {
	case q.item.Commit != "":
		q.since(q.item.Commit, &out)
	case q.asks() && q.item.Base != "":
		q.search(&out)
		out.Closed = q.item.Branch != "" && out.Commit == "" && r.branches[q.item.Branch] == nil
	default:
		q.last(&out)
	}
	return out, nil
}

// search looks for the first commit after the base that holds what is asked.
func (q *query) search(out *orchestrator.Survey) {
	r := q.bundle.repo
	base, known := r.index[q.item.Base]
	if !known {
		out.Rewritten = true
		return
	}
	for _, c := range r.commits[base+1:] {
		if q.state(c).holds(q.item) {
			q.since(c.hash, out)
			return
		}
	}
}

// since tells what came after the attempt's commit.
func (q *query) since(hash string, out *orchestrator.Survey) {
	r := q.bundle.repo
	at, known := r.index[hash]
	if !known {
		out.Commit, out.Rewritten = hash, true
		return
	}
	lineage(out, r.commits[at:])
	if !q.asks() {
		return
	}
	for _, c := range r.commits[at+1:] {
		if s := q.state(c); !s.holds(q.item) {
			out.Superseded = &orchestrator.Foreign{Commit: c.hash, Author: c.author, At: c.at, Version: s.version, Nonce: s.nonce,
				Settings: s.settings.Only(q.item.Settings)}
			return
		}
	}
}

// last finds the last commit that touched the file, or a values file of it.
func (q *query) last(out *orchestrator.Survey) {
	commits := q.bundle.repo.commits
	at := len(commits) - 1
	for at > 0 && !q.touched(commits[at]) {
		at--
	}
	lineage(out, commits[at:])
}

func (q *query) touched(c *commit) bool {
	k := q.bundle.at(c)
	names := map[string]bool{"fleet.yaml": true, "fleet.yml": true}
	if k.file != nil {
		for _, v := range k.file.ValuesFiles() {
			names[v] = true
		}
	}
	for _, name := range c.changed {
		if q.bundle.owner(name) && names[strings.TrimPrefix(strings.TrimPrefix(name, q.bundle.root()), "/")] {
			return true
		}
	}
	return false
}

func lineage(out *orchestrator.Survey, commits []*commit) {
	out.Commit, out.Author, out.At = commits[0].hash, commits[0].author, commits[0].at
	out.Lineage = make([]string, len(commits))
	for i, c := range commits {
		out.Lineage[i] = c.hash
	}
}

// refuse is a refusal about the query's service.
func (q *query) refuse(code orchestrator.Code, words string) *orchestrator.Outcome {
	return &orchestrator.Outcome{Result: orchestrator.Refused, Code: code, Words: words, Services: []rings.ServiceName{q.item.Service}}
}

// clusters are all that there are, and those of the ring, as Fleet's matching
// sees them.
func (q *query) clusters() (all, ring []fleetyaml.Cluster) {
	for _, c := range q.w.clusters {
		all = append(all, c.fleet())
		if carries(c.labels, q.labels) {
			ring = append(ring, c.fleet())
		}
	}
	return all, ring
}
