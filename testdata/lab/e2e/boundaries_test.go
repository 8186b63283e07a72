package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// kill -9 at every boundary of the journal, one after the other: each driver
// dies when it has written something that none before it had written. The
// rollout ends well all the same, with one commit for each service. Fleet goes
// on meanwhile, until the dead driver's lease has run out: a boundary that it
// passes by then is none.
func TestKillAtEveryBoundary(t *testing.T) {
	s := playFirst(t, "bounds", 2)
	s.setUp(pair...)
	s.ok("plan", "set", s.app, "db=v2-slow", "api=v2-slow")
	if code := s.killEverywhere("create", s.app, "ring-1"); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	s.runs("v2-slow", pair, "c1", "c2")
	s.images("db", map[string]string{"c3": "v1", "c4": "v1"})
	s.publishedTimes(1)
}

// The same for a rollout that takes itself back: one commit forward and one
// back for each service.
func TestKillAtEveryBoundaryOfARollback(t *testing.T) {
	s := playFirst(t, "backbounds", 4)
	s.setUp(pair...)
	s.ok("ring", "update", s.app, "ring-1", "--on-failure", "rollback-ring", "--deadline", "30s")
	s.ok("plan", "set", s.app, "db=v2", "api=v2-bad")
	if code := s.killEverywhere("create", s.app, "ring-1"); code != 6 {
		t.Errorf("exit code %d, want 6", code)
	}
	s.runs("v1", pair, "c1", "c2", "c3", "c4")
	s.publishedTimes(2)
}

// publishedTimes wants so many commits of rollout on each repository, and a
// store and a journal that are whole.
func (s *scenario) publishedTimes(n int) {
	s.Helper()
	for _, v := range pair {
		if got := s.commits(v.name); got != n {
			s.Errorf("%s has %d commits, want %d", v.name, got, n)
		}
	}
	s.ok("store", "check")
	s.says(s.ok("replay", s.app), "every decision the same")
}

// killEverywhere runs the command and kills it at its first event that is new
// to the rollout; then others that take the rollout up, likewise, until one
// comes to the end. It returns that one's exit code.
func (s *scenario) killEverywhere(args ...string) int {
	s.Helper()
	b := boundaries{passed: map[string]bool{}, asked: map[string]string{}}
	for s.ctx.Err() == nil {
		code, killed := s.killAtNew(&b, append(args, "--no-background", "-o", "jsonl"))
		if !killed {
			s.Logf("%d drivers were killed", b.kills)
			if b.kills < 12 {
				s.Errorf("only %d boundaries: a rollout of two services has more", b.kills)
			}
			return code
		}
		args = []string{"watch", s.app + "-1"}
	}
	s.Fatalf("it has not ended after %d kills", b.kills)
	return 0
}

// boundaries are those that a rollout has passed.
type boundaries struct {
	passed map[string]bool
	asked  map[string]string // the kind of each action, by its id
	kills  int
}

// killAtNew runs the command until it writes an event as a driver that none
// has written before it, and kills it there. What it prints of others' events
// is the past.
func (s *scenario) killAtNew(b *boundaries, args []string) (code int, killed bool) {
	s.Helper()
	cmd := s.command(args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	s.must(err)
	s.must(cmd.Start())
	drives := false
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e := &journalled{}
		s.must(json.Unmarshal(lines.Bytes(), e))
		drives = drives || e.Type == "driven" && strings.Contains(e.By, fmt.Sprintf("/%d/", cmd.Process.Pid))
		if b.pass(e) && drives {
			s.must(cmd.Process.Kill())
			b.kills++
			killed = true
			break
		}
	}
	_ = cmd.Wait() // the code is in ProcessState
	return cmd.ProcessState.ExitCode(), killed
}

// journalled is a line of `-o jsonl` with all that tells events apart.
type journalled struct {
	At   time.Time
	By   string
	Type string
	Data map[string]any
}

// pass notes an event and reports whether it is new: of its kind, and about
// this service, cluster or ring. Times, ids and what agents say of themselves
// change with every driver and make nothing new.
func (b *boundaries) pass(e *journalled) bool {
	switch e.Type {
	case "asked":
		id, _ := e.Data["id"].(string)
		b.asked[id] = fmt.Sprint(e.Data["kind"], e.Data["ring"], services(e.Data["items"]))
		e.Data = map[string]any{"action": b.asked[id]}
	case "answered", "dropped":
		id, _ := e.Data["action"].(string)
		e.Data = map[string]any{"action": b.asked[id], "result": e.Data["result"]}
	case "driven", "attempt-decided", "published", "ended", "step-ended":
		e.Data = map[string]any{"ring": e.Data["ring"], "service": e.Data["service"], "undo": e.Data["undo"], "phase": e.Data["phase"]}
	case "cluster-turned":
		e.Data = map[string]any{"service": e.Data["service"], "undo": e.Data["undo"], "cluster": e.Data["cluster"], "phase": e.Data["phase"]}
	case "observed":
		settle(e.Data)
	}
	text, err := json.Marshal(e.Data)
	if err != nil {
		panic(err) // it was JSON
	}
	key := e.Type + string(text)
	fresh := !b.passed[key]
	b.passed[key] = true
	return fresh
}

func services(items any) string {
	var out []string
	list, _ := items.([]any)
	for _, item := range list {
		one, _ := item.(map[string]any)
		out = append(out, fmt.Sprint(one["service"]))
	}
	return strings.Join(out, ",")
}

// settle takes out of a fact what changes while nothing happens.
func settle(fact map[string]any) {
	for _, part := range []string{"deployment", "gitRepo", "bundle"} {
		of, _ := fact[part].(map[string]any)
		for _, field := range []string{"heard", "readyAt", "words", "generation"} {
			delete(of, field)
		}
	}
}
