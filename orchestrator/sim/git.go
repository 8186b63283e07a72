package sim

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// repo is a git repository with one branch, oldest commit first.
type repo struct {
	url, branch string
	serial      int
	commits     []*commit
	index       map[string]int // of the commits on the branch
	bundles     []*bundle
	down        time.Duration      // the server cannot be reached until then
	branches    map[string]*branch // of ours, open
	tags        map[string]string  // commits by name
}

// commit is one of a repository, with all files as they are there.
type commit struct {
	hash, author, message string
	at                    time.Time
	files                 map[string][]byte // shared with other commits, never written
	changed               []string          // paths, sorted
	merged                bool              // by a person, from a branch of ours
	contents              map[*bundle]*content
}

// Commit is a commit on a branch, as git has it.
type Commit struct {
	Hash, Author, Message string
	Rollout               orchestrator.ID // of the trailers, "" without them
	Ring                  rings.RingName
	Actor                 string
	Services              []rings.ServiceName
	Files                 []string // that it changed, sorted
	At                    time.Time
	Merged                bool // by a person, from a branch of ours
}

// Ours reports whether a rollout made the commit.
func (c Commit) Ours() bool { return c.Rollout != "" }

// AddRepo makes a repository with a first commit that has a README.md.
func (w *World) AddRepo(url, branch string) {
	if w.repos[url] != nil {
		panic(fmt.Sprintf("sim: repository %q is there already", url))
	}
	w.repos[url] = &repo{url: url, branch: branch, index: map[string]int{}}
	w.commit(w.repos[url], map[string][]byte{"README.md": []byte("# a repository\n")}, "ann <ann@example.com>", "begin", w.Now())
}

func (r *repo) tip() *commit { return r.commits[len(r.commits)-1] }

// commit puts a commit onto the branch. A nil content takes the file away.
func (w *World) commit(r *repo, files map[string][]byte, author, message string, at time.Time) *commit {
	c := &commit{author: author, message: message, at: at.Truncate(time.Second), files: map[string][]byte{}, contents: map[*bundle]*content{}}
	if len(r.commits) > 0 {
		c.files = maps.Clone(r.tip().files)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if bytes.Equal(c.files[path], files[path]) && (c.files[path] == nil) == (files[path] == nil) {
			continue
		}
		c.changed = append(c.changed, path)
		if files[path] == nil {
			delete(c.files, path)
		} else {
			c.files[path] = files[path]
		}
	}
	w.add(r, c)
	return c
}

// add names the commit, puts it onto the branch, and lets Fleet see it.
func (w *World) add(r *repo, c *commit) {
	r.serial++
	sum := sha1.Sum(fmt.Appendf(nil, "%s %s %d %s %s", r.url, r.branch, r.serial, c.author, c.message))
	c.hash = hex.EncodeToString(sum[:])
	r.index[c.hash] = len(r.commits)
	r.commits = append(r.commits, c)
	w.moved(r)
}

// Push is a push of other people's: edit is called with every file, by path,
// and returns what it shall hold: the same for no change, nil to take it away.
// A commit is made in any case.
func (w *World) Push(repo string, edit func(path string, old []byte) []byte, author string) {
	r := w.repo(repo)
	files := map[string][]byte{}
	for _, path := range slices.Sorted(maps.Keys(r.tip().files)) {
		files[path] = edit(path, slices.Clone(r.tip().files[path]))
	}
	c := w.commit(r, files, author, "change by hand", w.Now())
	w.tell("%s pushes %.8s to %s: %s", author, c.hash, repo, strings.Join(c.changed, ", "))
}

// PushFile is [World.Push] of one file, which need not have been there.
func (w *World) PushFile(repo, path string, content []byte, author string) {
	c := w.commit(w.repo(repo), map[string][]byte{path: content}, author, "change by hand", w.Now())
	w.tell("%s pushes %.8s to %s: %s", author, c.hash, repo, strings.Join(c.changed, ", "))
}

// Revert takes back what the newest commit changed, with another commit.
func (w *World) Revert(repo, author string) {
	r := w.repo(repo)
	if len(r.commits) < 2 {
		return
	}
	tip, before := r.tip(), r.commits[len(r.commits)-2]
	files := map[string][]byte{}
	for _, path := range tip.changed {
		files[path] = before.files[path]
	}
	c := w.commit(r, files, author, "Revert "+tip.hash, w.Now())
	w.tell("%s reverts %.8s in %s: %.8s", author, tip.hash, repo, c.hash)
}

// Rewrite takes the newest n commits off the branch, by force, and puts another
// one there. The first commit stays.
func (w *World) Rewrite(repo string, n int, author string) {
	r := w.repo(repo)
	keep := max(1, len(r.commits)-n)
	for _, c := range r.commits[keep:] {
		delete(r.index, c.hash)
	}
	r.commits = r.commits[:keep:keep]
	readme := fmt.Appendf(slices.Clone(r.tip().files["README.md"]), "rewritten %d\n", r.serial)
	c := w.commit(r, map[string][]byte{"README.md": readme}, author, "history", w.Now())
	w.tell("%s rewrites %s: the tip is %.8s", author, repo, c.hash)
}

// CutOff makes the git server unreachable for a while, for us and for Fleet.
func (w *World) CutOff(repo string, d time.Duration) {
	r := w.repo(repo)
	r.down = max(r.down, w.now+d)
	w.tell("the git server of %s cannot be reached for %s", repo, d)
	for _, g := range w.gitRepos {
		if g.repo == r {
			w.duePoll(g)
		}
	}
}

// History is every commit on the branch, oldest first.
func (w *World) History(repo string) []Commit {
	r := w.repo(repo)
	out := make([]Commit, len(r.commits))
	for i, c := range r.commits {
		out[i] = Commit{Hash: c.hash, Author: c.author, Message: c.message, Files: slices.Clone(c.changed), At: c.at, Merged: c.merged}
		for line := range strings.Lines(c.message) {
			out[i].trailer(strings.TrimSuffix(line, "\n"))
		}
	}
	return out
}

// trailer takes a line of the message in, if it is a trailer.
func (c *Commit) trailer(line string) {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "Rollout":
		c.Rollout = orchestrator.ID(value)
	case "Ring":
		c.Ring = rings.RingName(value)
	case "Actor":
		c.Actor = value
	case "Service":
		c.Services = append(c.Services, rings.ServiceName(value))
	}
}

// Tip is the newest commit on the branch.
func (w *World) Tip(repo string) string { return w.repo(repo).tip().hash }

// File is a file at a commit on the branch; nil when it is not there.
func (w *World) File(repo, commit, path string) []byte {
	r := w.repo(repo)
	if i, ok := r.index[commit]; ok {
		return slices.Clone(r.commits[i].files[path])
	}
	return nil
}
