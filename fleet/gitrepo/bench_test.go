package gitrepo_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rollout/orchestrator"
)

// bigSite holds 100,000 files in 1,000 folders; the service is in one of them.
func bigSite(b *testing.B) *site {
	b.Helper()
	s := newSite(b)
	var in strings.Builder
	in.WriteString("blob\nmark :1\ndata " + fmt.Sprint(len(fleetYAML)) + "\n" + fleetYAML + "\n")
	const folders, files = 1000, 100
	for i := range folders * files {
		text := fmt.Sprintf("key: %d\n", i)
		fmt.Fprintf(&in, "blob\nmark :%d\ndata %d\n%s\n", i+2, len(text), text)
	}
	in.WriteString("commit refs/heads/main\ncommitter Eve <eve@example.com> 1700000000 +0000\ndata 5\nstart\n")
	in.WriteString("M 100644 :1 apps/f500/db/fleet.yaml\n")
	for i := range folders * files {
		fmt.Fprintf(&in, "M 100644 :%d apps/f%d/file%d.yaml\n", i+2, i/files, i%files)
	}
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = s.bare, strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s.run(s.bare, "repack", "-adq")
	return s
}

func bigJob(s *site, version string, nonce int64, base string) orchestrator.Job {
	j := s.job(item("db", version, nonce, base))
	target := j.Targets["db"]
	target.Path = "apps/f500/db"
	j.Targets["db"] = target
	return j
}

// Mark: 20 ms.
func BenchmarkPublisher_draft(b *testing.B) {
	s := bigSite(b)
	p := s.publisher()
	ok(b, p.Survey(b.Context(), bigJob(s, "", 0, "")))
	j := bigJob(s, "v2", 1, s.tip())
	for b.Loop() {
		if n, err := p.Draft(b.Context(), j); err != nil || n != 6 {
			b.Fatalf("%d objects, %v; want 6", n, err)
		}
	}
}

// Mark: not slower than `git push` alone of that commit, beside it.
func BenchmarkPublisher_Publish(b *testing.B) {
	b.Run("fetch, edit, commit, push", func(b *testing.B) {
		s := bigSite(b)
		p := s.publisher()
		ok(b, p.Survey(b.Context(), bigJob(s, "", 0, "")))
		tip, n := s.tip(), int64(1)
		for b.Loop() {
			tip = ok(b, p.Publish(b.Context(), bigJob(s, fmt.Sprintf("v%d", n+1), n, tip))).Commit
			n++
		}
	})
	b.Run("after a foreign commit", func(b *testing.B) {
		s := bigSite(b)
		p := s.publisher()
		ok(b, p.Survey(b.Context(), bigJob(s, "", 0, "")))
		tip, n := s.tip(), int64(1)
		for b.Loop() {
			b.StopTimer()
			s.run(s.bare, "update-ref", "refs/heads/main", s.run(s.bare, "commit-tree", "-p", "main", "-m", "theirs", "main^{tree}"))
			b.StartTimer()
			tip = ok(b, p.Publish(b.Context(), bigJob(s, fmt.Sprintf("v%d", n+1), n, tip))).Commit
			n++
		}
	})
	b.Run("git push alone", func(b *testing.B) {
		s := bigSite(b)
		clone := filepath.Join(b.TempDir(), "clone.git")
		s.run("", "clone", "-q", "--bare", "--depth", "1", s.url, clone)
		for b.Loop() {
			b.StopTimer()
			c := s.run(clone, "commit-tree", "-p", "main", "-m", "ours", newTree(s, clone))
			s.run(clone, "update-ref", "refs/heads/main", c)
			b.StartTimer()
			s.run(clone, "push", "-q", "origin", "main")
		}
	})
}

// newTree changes the service's file in a bare clone, with an index.
func newTree(s *site, clone string) string {
	s.run(clone, "read-tree", "main")
	text := s.run(clone, "show", "main:apps/f500/db/fleet.yaml") + "\n# more\n"
	cmd := exec.Command("git", "hash-object", "-w", "--stdin")
	cmd.Dir, cmd.Stdin = clone, strings.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	s.run(clone, "update-index", "--cacheinfo", "100644,"+strings.TrimSpace(string(out))+",apps/f500/db/fleet.yaml")
	return s.run(clone, "write-tree")
}

// Mark: 1.5 times git's own partial clone, beside it.
func BenchmarkPublisher_firstContact(b *testing.B) {
	s := bigSite(b)
	b.Run("survey", func(b *testing.B) {
		for b.Loop() {
			ok(b, s.publisher().Survey(b.Context(), bigJob(s, "", 0, "")))
		}
	})
	b.Run("git clone", func(b *testing.B) {
		for b.Loop() {
			s.run("", "clone", "-q", "--filter=blob:none", "--depth", "1", "--bare", s.url, filepath.Join(b.TempDir(), "c.git"))
		}
	})
	s.run(s.bare, "config", "uploadpack.allowFilter", "false")
	b.Run("survey without a filter", func(b *testing.B) {
		for b.Loop() {
			ok(b, s.publisher().Survey(b.Context(), bigJob(s, "", 0, "")))
		}
	})
}

// 200 foreign commits that all touch the file, on a warm mirror.
func BenchmarkPublisher_Survey_lineage(b *testing.B) {
	s := newSite(b, "fleet.yaml", fleetYAML)
	base := s.tip()
	for i := range 200 {
		s.write("fleet.yaml", fleetYAML+fmt.Sprintf("# %d\n", i))
		s.run(s.work, "commit", "-qam", "theirs")
	}
	s.commit("last")
	p := s.publisher()
	j := s.job(item("db", "v1", 7, base))
	ok(b, p.Survey(b.Context(), j))
	for b.Loop() {
		ok(b, p.Survey(b.Context(), j))
	}
}
