package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"rollout/orchestrator"
)

// fixture is a Runner in a synctest bubble. A bubble ends only when all its
// goroutines have: so every test here also shows that Drive leaves none.
type fixture struct {
	t     *testing.T
	store *memory
	ports *ports
}

const shop1 orchestrator.ID = "shop-1"

// inBubble runs f with a store that holds one rollout of three services.
func inBubble(t *testing.T, f func(*testing.T, *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w, created := shop(t, time.Now().UTC())
		x := &fixture{t: t, store: newMemory(t), ports: newPorts(t, w)}
		x.store.create(shop1, time.Now().UTC(), "ann", created)
		f(t, x)
	})
}

func (x *fixture) runner(name string) *orchestrator.Runner {
	return &orchestrator.Runner{Store: x.store, Publisher: x.ports, Fleet: x.ports, Claim: x.ports, Clock: bubble{},
		Driver: orchestrator.Driver{Name: name, Host: "here", PID: 1}}
}

// succeeded asserts the end: one commit for each repository's wave, no lease,
// no claim.
func (x *fixture) succeeded() {
	x.t.Helper()
	s := x.store.state(shop1)
	if s.Phase != orchestrator.Succeeded {
		x.t.Fatalf("phase %s: %s", s.Phase, s.Explain(time.Now()))
	}
	if n := x.ports.commits(); n != 2 {
		x.t.Errorf("%d commits, want 2: db's, and one for api and worker", n)
	}
	if len(x.store.leases) > 0 || x.ports.claimed != 0 {
		x.t.Errorf("leases %v and %d claims are left", x.store.leases, x.ports.claimed)
	}
}

func TestRunner_Drive(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		r := x.runner("one")
		notified := 0
		r.Notify = func(s *orchestrator.State, events []orchestrator.Event) {
			notified += len(events)
			if got := len(x.store.state(shop1).Steps); got != 3 || x.store.state(shop1).Version != s.Version {
				t.Errorf("told of version %d, on disk is %d", s.Version, x.store.state(shop1).Version)
			}
		}
		if err := r.Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		x.succeeded()
		if want := len(x.store.journals[shop1]) - 1; notified != want {
			t.Errorf("told of %d events, %d were written", notified, want)
		}
		for repo, n := range x.ports.most {
			if repo != "" && n > 1 {
				t.Errorf("%d actions at a time in repository %s", n, repo)
			}
		}
	})
}

// A driver that dies at a write, before or after it took effect, is followed
// by another one; every write in turn.
func TestRunner_Drive_crash(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := 1; ; n++ {
			reached := false
			t.Run(fmt.Sprintf("write=%d,after=%t", n, after), func(t *testing.T) {
				inBubble(t, func(t *testing.T, x *fixture) { reached = crashAt(t, x, n, after) })
			})
			if !reached || t.Failed() {
				break
			}
		}
	}
}

// crashAt crashes the first driver at its nth write, and reports whether it
// came to that.
func crashAt(t *testing.T, x *fixture, n int, after bool) bool {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	dead, writes := errors.New("killed"), 0
	x.store.fail = func(string) (error, error) {
		writes++
		switch {
		case writes < n:
			return nil, nil
		case writes == n && after:
			kill()
			return nil, dead
		}
		kill()
		return dead, dead
	}
	err := x.runner("one").Drive(ctx, orchestrator.UntilEnded, shop1)
	reached := writes >= n
	if reached && err == nil && x.store.state(shop1).Phase != orchestrator.Succeeded {
		t.Fatal("killed, and said nothing")
	}
	x.store.fail = func(string) (error, error) { return nil, nil }
	time.Sleep(orchestrator.LeaseTTL) // nobody released the lease
	if err := x.runner("two").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
		t.Fatal(err)
	}
	x.succeeded()
	return reached
}

func TestRunner_Drive_handOver(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		err := x.runner("one").Drive(ctx, orchestrator.UntilEnded, shop1)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v, want the context's", err)
		}
		if len(x.store.leases) > 0 {
			t.Fatalf("lease %v is not released", x.store.leases)
		}
		if err := x.runner("two").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		x.succeeded()
	})
}

// A driver whose lease was taken over stops at its next write, and pushes
// nothing any more.
func TestRunner_Drive_fenced(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		go func() {
			time.Sleep(1500 * time.Millisecond)
			x.store.mu.Lock()
			defer x.store.mu.Unlock()
			x.store.epochs++
			x.store.leases[shop1] = orchestrator.Lease{Rollout: shop1, Driver: orchestrator.Driver{Name: "other"}, Epoch: x.store.epochs, Expires: time.Now().Add(time.Hour)}
		}()
		err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1)
		if !errors.Is(err, orchestrator.ErrFenced) {
			t.Fatalf("err = %v, want ErrFenced", err)
		}
		written := len(x.store.journals[shop1])
		pushed := x.ports.pushes
		time.Sleep(time.Minute)
		if len(x.store.journals[shop1]) != written || x.ports.pushes != pushed {
			t.Error("a fenced driver goes on")
		}
	})
}

func TestRunner_Drive_leased(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- x.runner("one").Drive(ctx, orchestrator.UntilEnded, shop1) }()
		time.Sleep(time.Second)
		err := x.runner("two").Drive(t.Context(), orchestrator.UntilEnded, shop1)
		var leased *orchestrator.LeasedError
		if !errors.As(err, &leased) || leased.Lease.Driver.Name != "one" {
			t.Errorf("err = %v, want a LeasedError about one", err)
		}
		stop()
		<-done
	})
}

// Two Runners that drive everything share one store: one of them drives the
// rollout, and the other takes over when it is gone.
func TestRunner_Drive_twoOnOneStore(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
		defer stop()
		done := make(chan error)
		go func() { done <- x.runner("one").Drive(ctx, orchestrator.Forever) }()
		go func() { done <- x.runner("two").Drive(t.Context(), orchestrator.UntilIdle) }()
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v, want the context's", err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		x.succeeded()
	})
}

func TestRunner_Drive_cancelFromAnotherProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		var said time.Time
		go func() {
			time.Sleep(2 * time.Second)
			said = time.Now()
			x.store.command(shop1, orchestrator.Command{Kind: orchestrator.CommandCancel, By: "bob", At: said})
		}()
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		s := x.store.state(shop1)
		if s.Phase != orchestrator.Cancelled || len(x.store.commands[shop1]) > 0 {
			t.Fatalf("phase %s, commands left %v", s.Phase, x.store.commands[shop1])
		}
		if took := s.FinishedAt.Sub(said); took > 2*time.Second {
			t.Errorf("obeyed after %s", took)
		}
	})
}

// While the store cannot be written nothing happens outside; it is tried
// again until the lease has run out.
func TestRunner_Drive_storeFailsForAWhile(t *testing.T) {
	full := errors.New("no space left on device")
	for _, what := range []string{"append", "commands", "renew"} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T, x *fixture) {
				begin := time.Now()
				broken := func() bool { d := time.Since(begin); return d > 400*time.Millisecond && d < 6*time.Second }
				x.store.fail = func(write string) (error, error) {
					if write == what && broken() {
						return full, nil
					}
					return nil, nil
				}
				x.ports.before = func(k orchestrator.ActionKind) error {
					if what == "append" && k == orchestrator.ActPublish && broken() {
						t.Error("a push while nothing can be written")
					}
					return nil
				}
				go func() {
					time.Sleep(time.Second)
					x.store.changed <- struct{}{} // commands must be read
				}()
				if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
					t.Fatal(err)
				}
				x.succeeded()
			})
		})
	}
}

func TestRunner_Drive_storeFailsForGood(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		full := errors.New("no space left on device")
		x.store.fail = func(write string) (error, error) {
			if write == "append" || write == "renew" {
				return full, nil
			}
			return nil, nil
		}
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); !errors.Is(err, full) {
			t.Fatalf("err = %v, want the store's", err)
		}
		if x.ports.pushes > 0 || x.ports.claimed > 0 {
			t.Error("something was done that is not on record")
		}
	})
}

// An append that took effect is reported as failed, each in turn, and with
// more trouble behind it: the driver goes on from what is on disk, and repeats
// nothing that can be seen.
func TestRunner_Drive_appendHides(t *testing.T) {
	for _, then := range []int{0, 3} {
		for n := 1; ; n++ {
			reached := false
			t.Run(fmt.Sprintf("append=%d,then=%d", n, then), func(t *testing.T) {
				inBubble(t, func(t *testing.T, x *fixture) { reached = hideAppend(t, x, n, then) })
			})
			if !reached || t.Failed() {
				break
			}
		}
	}
}

// hideAppend hides that the nth append took effect, fails as many more as then
// says, and reports whether it came to that.
func hideAppend(t *testing.T, x *fixture, n, then int) bool {
	appends, broken := 0, errors.New("input/output error")
	x.store.fail = func(write string) (error, error) {
		if write != "append" {
			return nil, nil
		}
		appends++
		switch {
		case appends == n:
			return nil, broken
		case appends > n && appends <= n+then:
			return broken, nil
		}
		return nil, nil
	}
	r, told := x.runner("one"), map[uint64]int{}
	r.Notify = func(_ *orchestrator.State, events []orchestrator.Event) {
		for _, e := range events {
			told[e.Seq]++
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Hour)
	defer stop()
	if err := r.Drive(ctx, orchestrator.UntilEnded, shop1); err != nil {
		t.Fatal(err)
	}
	x.succeeded()
	for _, e := range x.store.journals[shop1][1:] {
		if told[e.Seq] != 1 {
			t.Errorf("told %d times of event %d", told[e.Seq], e.Seq)
		}
	}
	for repo, n := range x.ports.most {
		if repo != "" && n > 1 {
			t.Errorf("%d actions at a time in repository %s", n, repo)
		}
	}
	return appends > n
}

func TestRunner_Drive_fleetCannotBeWatched(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		x.ports.watched = errors.New("bundledeployments are forbidden")
		err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1)
		if !errors.Is(err, x.ports.watched) {
			t.Fatalf("err = %v, want the watch's", err)
		}
		if len(x.store.leases) > 0 {
			t.Errorf("lease %v is left", x.store.leases)
		}
	})
}

// An answer that never comes is ended by the action's deadline.
func TestRunner_Drive_actionsHaveDeadlines(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		x.ports.take = time.Hour
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		s := x.store.state(shop1)
		if s.Phase != orchestrator.Failed || s.Failure.Code != orchestrator.CodeUnreach {
			t.Errorf("%s: %+v", s.Phase, s.Failure)
		}
	})
}

func TestRunner_Drive_lostClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		go func() {
			time.Sleep(time.Second)
			x.ports.world(func(w *world) { w.claimed = "held by ann for shop-7" })
		}()
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		s := x.store.state(shop1)
		if s.Phase != orchestrator.Failed || s.Failure.Code != orchestrator.CodeClaimed {
			t.Errorf("%s: %+v", s.Phase, s.Failure)
		}
	})
}

// The manager is away for a while when a push is due: it is not done without
// the claim's confirmation, and done later.
func TestRunner_Drive_claimCannotBeConfirmedForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		x.ports.confirm = errors.New("connection refused")
		go func() {
			time.Sleep(20 * time.Second)
			if n := x.ports.commits(); n > 0 {
				t.Errorf("%d commits without a claim", n)
			}
			x.ports.world(func(*world) { x.ports.confirm = nil })
		}()
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilEnded, shop1); err != nil {
			t.Fatal(err)
		}
		x.succeeded()
	})
}

// A driver of everything that lost a lease, because its machine slept, takes
// the rollout up again when nobody else drives it any more.
func TestRunner_Drive_takesUpAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, x *fixture) {
		go func() {
			time.Sleep(1500 * time.Millisecond)
			x.store.mu.Lock()
			defer x.store.mu.Unlock()
			x.store.epochs++
			x.store.leases[shop1] = orchestrator.Lease{Rollout: shop1, Driver: orchestrator.Driver{Name: "other"}, Epoch: x.store.epochs, Expires: time.Now().Add(20 * time.Second)}
		}()
		if err := x.runner("one").Drive(t.Context(), orchestrator.UntilIdle); err != nil {
			t.Fatal(err)
		}
		x.succeeded()
	})
}
