package lab

import (
	"testing"
)

func TestFaultsCountDown(t *testing.T) {
	l := &Lab{dir: t.TempDir()}
	if err := l.SetGitFault(t.Context(), "db", GitFault{Status: 403, Only: Push, Times: 2}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		kind      string
		takesPush bool
		status    int
	}{
		{Fetch, false, 0}, {Push, false, 403}, {Push, true, 0}, {Push, false, 403}, {Push, false, 0},
	} {
		f, err := takeGitFault(t.Context(), l.dir, "db", want.kind, want.takesPush)
		if err != nil || f.Status != want.status {
			t.Errorf("request %d: status %d, %v; want %d", i, f.Status, err, want.status)
		}
	}
}

func TestFaultOfOneGoesBeforeThatOfAll(t *testing.T) {
	l := &Lab{dir: t.TempDir()}
	set := func(name, words string, times int) {
		t.Helper()
		if err := l.SetJobFault(t.Context(), name, JobFault{Fail: words, Times: times}); err != nil {
			t.Fatal(err)
		}
	}
	set(Any, "all", 0)
	set("db", "one", 1)
	for _, want := range []string{"one", "all", "all"} {
		if f, err := takeJobFault(t.Context(), l.dir, "db"); err != nil || f.Fail != want {
			t.Errorf("fault %q, %v; want %q", f.Fail, err, want)
		}
	}
	if err := l.ClearFaults(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, err := takeJobFault(t.Context(), l.dir, "db"); err != nil || f != (JobFault{}) {
		t.Errorf("fault %+v after all were lifted, %v", f, err)
	}
}

func TestHangIsNotCounted(t *testing.T) {
	l := &Lab{dir: t.TempDir()}
	if err := l.SetGitFault(t.Context(), Any, GitFault{Hang: true, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := takeGitFault(t.Context(), l.dir, "db", Fetch, false); err != nil {
		t.Fatal(err)
	}
	if hangs, err := stillHangs(l.dir, "db"); err != nil || !hangs {
		t.Errorf("hangs=%v, %v; want it until it is lifted", hangs, err)
	}
}
