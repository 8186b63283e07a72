package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// entry is what a fleet.yaml gives a ring.
type entry struct {
	version rings.Version
	nonce   int64
}

// at names a ring's entry in a service's file.
type at struct {
	service rings.ServiceName
	ring    rings.RingName
}

// commit is one of a fake repository: the whole content, and what it changed.
type commit struct {
	sha, author string
	when        time.Time
	files       map[at]entry
	changed     []at
	touched     map[rings.ServiceName]bool
}

// repo is a fake git repository: one branch, oldest commit first. It cannot be
// force-pushed: only rewrite, a fault, takes something away.
type repo struct {
	url     string
	serial  int
	commits []*commit
	// proposals are branches of ours, by name.
	proposals map[string]*proposal
}

const us = "rollout"

func newRepo(url string) *repo {
	return &repo{url: url, commits: []*commit{{sha: url + "0", author: "seed", files: map[at]entry{}, touched: map[rings.ServiceName]bool{}}}}
}

func (r *repo) tip() *commit { return r.commits[len(r.commits)-1] }

// push appends a commit that changes the entries.
func (r *repo) push(author string, now time.Time, changes map[at]entry, touches ...rings.ServiceName) *commit {
	r.serial++
	c := &commit{sha: fmt.Sprintf("%s%d", r.url, r.serial), author: author, when: now, files: maps.Clone(r.tip().files), touched: map[rings.ServiceName]bool{}}
	for k, e := range changes {
		c.files[k] = e
		c.changed = append(c.changed, k)
		c.touched[k.service] = true
	}
	for _, s := range touches {
		c.touched[s] = true
	}
	r.commits = append(r.commits, c)
	return c
}

// rewrite replaces the history by a single commit with the content of the
// commit before the tip.
func (r *repo) rewrite(now time.Time) {
	old := r.commits[max(0, len(r.commits)-2)]
	r.serial++
	r.commits = []*commit{{sha: fmt.Sprintf("%s%d", r.url, r.serial), author: "eve", when: now, files: maps.Clone(old.files), touched: map[rings.ServiceName]bool{}}}
}

func (r *repo) index(sha string) int {
	return slices.IndexFunc(r.commits, func(c *commit) bool { return c.sha == sha })
}

// survey answers one item as the port's contract says.
func (r *repo) survey(i orchestrator.Item, ring rings.RingName) orchestrator.Survey {
	key, tip := at{i.Service, ring}, r.tip()
	e := tip.files[key]
	v := orchestrator.Survey{Service: i.Service, Tip: tip.sha, Version: e.version, Nonce: e.nonce}
	for k, e := range tip.files {
		if k.service == i.Service {
			v.MaxNonce = max(v.MaxNonce, e.nonce)
		}
	}
	first, rewritten := r.first(i, key)
	v.Rewritten = rewritten
	if first < 0 {
		v.Closed = i.Branch != "" && r.proposals[i.Branch] == nil
		return v
	}
	c := r.commits[first]
	v.Commit, v.Author, v.At = c.sha, c.author, c.when
	for _, later := range r.commits[first:] {
		v.Lineage = append(v.Lineage, later.sha)
		if got := later.files[key]; i.Version != "" && v.Superseded == nil && got != (entry{i.Version, i.Nonce}) {
			v.Superseded = &orchestrator.Foreign{Commit: later.sha, Author: later.author, At: later.when, Version: got.version, Nonce: got.nonce}
		}
	}
	return v
}

// first is the index of the commit at which the lineage of the answer begins.
func (r *repo) first(i orchestrator.Item, key at) (index int, rewritten bool) {
	switch {
	case i.Version == "":
		for n := len(r.commits) - 1; n > 0; n-- {
			if r.commits[n].touched[i.Service] {
				return n, false
			}
		}
		return 0, false
	case i.Commit != "":
		n := r.index(i.Commit)
		return n, n < 0
	}
	base := r.index(i.Base)
	if base < 0 {
		return -1, true
	}
	for n := base + 1; n < len(r.commits); n++ {
		if r.commits[n].files[key] == (entry{i.Version, i.Nonce}) {
			return n, false
		}
	}
	return -1, false
}

// publish makes the items hold on the branch with one commit, and with none
// when they hold already. It refuses what the port says must be refused.
func (r *repo) publish(now time.Time, ring rings.RingName, items []orchestrator.Item) (orchestrator.Outcome, bool) {
	changes, o := r.changes(ring, items)
	if o.Result != orchestrator.OK {
		return o, false
	}
	if len(changes) > 0 {
		r.push(us, now, changes)
	}
	return o, len(changes) > 0
}

// changes are what the items still change on the branch.
func (r *repo) changes(ring rings.RingName, items []orchestrator.Item) (map[at]entry, orchestrator.Outcome) {
	changes := map[at]entry{}
	for _, i := range items {
		v := r.survey(i, ring)
		if v.Rewritten {
			return nil, refusal(orchestrator.CodeRewritten, "the history was rewritten", i.Service)
		}
		if v.Commit != "" {
			continue
		}
		if v.Version != i.From && v.Version != i.Version {
			return nil, refusal(orchestrator.CodeManual, fmt.Sprintf("%s says %s, not %s", i.Service, v.Version, i.From), i.Service)
		}
		if v.MaxNonce >= i.Nonce {
			return nil, refusal(orchestrator.CodeNonceTaken, fmt.Sprintf("nonce %d is taken", i.Nonce), i.Service)
		}
		changes[at{i.Service, ring}] = entry{i.Version, i.Nonce}
	}
	return changes, orchestrator.Outcome{Result: orchestrator.OK}
}

func refusal(c orchestrator.Code, words string, services ...rings.ServiceName) orchestrator.Outcome {
	return orchestrator.Outcome{Result: orchestrator.Refused, Code: c, Words: words, Services: services}
}

// check returns what is wrong with the history by invariants 8, 9 and 12: one
// commit of ours for an attempt, none empty, nothing of other people's
// overwritten.
func (r *repo) check() []string {
	var faults []string
	attempts := map[string]string{}
	for n, c := range r.commits {
		if n == 0 || c.author != us {
			continue
		}
		before := r.commits[n-1]
		if len(c.changed) == 0 {
			faults = append(faults, "empty commit "+c.sha)
		}
		for k, e := range c.files {
			was := before.files[k]
			if e == was {
				continue
			}
			if !slices.Contains(c.changed, k) {
				faults = append(faults, fmt.Sprintf("%s changes %v by the way", c.sha, k))
			}
			attempt := fmt.Sprint(k, e.nonce)
			if other := attempts[attempt]; other != "" {
				faults = append(faults, fmt.Sprintf("%s and %s are of one attempt", other, c.sha))
			}
			attempts[attempt] = c.sha
		}
	}
	return faults
}

func (r *repo) String() string {
	var out []string
	for _, c := range r.commits {
		out = append(out, c.sha+" by "+c.author)
	}
	return strings.Join(out, ", ")
}
