package lab

import (
	"os/exec"
	"strings"
	"testing"
)

func TestProtect(t *testing.T) {
	l := host(t)
	if err := l.Protect("db"); err != nil {
		t.Fatal(err)
	}
	before, err := l.Head(t.Context(), "db")
	if err != nil {
		t.Fatal(err)
	}
	if words, ok := pushOne(t, l, 1); ok || !strings.Contains(words, "protected branches") {
		t.Errorf("push to the branch ok=%v with words %q", ok, words)
	}
	address, err := l.GitAuthURL("db")
	if err != nil {
		t.Fatal(err)
	}
	push := exec.CommandContext(t.Context(), "git", "--git-dir", l.repoDir("db"), "push", address, before+":refs/heads/rollout/shop/ring-1/shop-1")
	push.Env = environment(l.dir)
	if out, err := push.CombinedOutput(); err != nil || !strings.Contains(string(out), "/db/merge_requests/new?source=rollout/shop/ring-1/shop-1") {
		t.Errorf("push to another branch: %v, %s", err, out)
	}
}

func TestMerge(t *testing.T) {
	for _, squash := range []bool{false, true} {
		l := host(t)
		git := func(args ...string) string {
			out, err := l.Git(t.Context(), "db", args...)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(out)
		}
		commit := func(path string) {
			if _, err := l.Commit(t.Context(), "db", path, map[string]string{path: "x\n"}); err != nil {
				t.Fatal(err)
			}
		}
		base := git("rev-parse", Branch)
		commit("ours")
		git("branch", "other", Branch)
		git("update-ref", "refs/heads/"+Branch, base)
		commit("theirs")
		hash, err := l.Merge(t.Context(), "db", "other", squash)
		if err != nil {
			t.Fatal(err)
		}
		if git("rev-parse", Branch) != hash || git("show", Branch+":ours")+git("show", Branch+":theirs") != "xx" {
			t.Errorf("squash=%v: %s is not the tip, or has not both", squash, hash)
		}
		if n, want := len(strings.Fields(git("log", "-1", "--format=%P", Branch))), map[bool]int{false: 2, true: 1}[squash]; n != want {
			t.Errorf("squash=%v: %d parents, want %d", squash, n, want)
		}
	}
}
