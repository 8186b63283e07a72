package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store"
	"rollout/store/storetest"
)

// children are what the test binary does when a test starts it as another
// process on the store at path.
var children = map[string]func(path string) error{
	"driver":     driveForEver,
	"people":     actLikePeople,
	"full-disk":  fillDisk,
	"read-only":  useReadOnly,
	"first-open": openFirst,
	"keeper":     keepForEver,
}

// child prepares the test binary as a process on the store.
func child(t testing.TB, name, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+name, "STORE_TEST_FILE="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// driveForEver appends to the rollout shop-1, as fast as it can, and says which
// event was acknowledged, until it is killed.
func driveForEver(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	me := orchestrator.Driver{Name: fmt.Sprint("child/", os.Getpid())}
	lease, err := db.Acquire(ctx, "shop-1", me, time.Now(), 0)
	if err != nil {
		return err
	}
	s, err := db.Rollout(ctx, "shop-1")
	if err != nil {
		return err
	}
	tape := storetest.Resume(s, "driver")
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	for n := 0; ; n++ {
		var bodies []orchestrator.Body
		for i := range 20 {
			bodies = append(bodies, storetest.Turning(ref, storetest.Cluster(i), 1, n%2 == 0)...)
		}
		if err := db.Append(ctx, []orchestrator.Batch{tape.Batch(lease, bodies...)}); err != nil {
			return err
		}
		fmt.Println(tape.State.Version)
	}
}

const actions = 20

// actLikePeople changes the plan, sends a command and lists, and prints how
// long each took.
func actLikePeople(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{})
	for n := 0; n < actions && err == nil; n++ {
		begun := time.Now()
		switch n % 4 {
		case 0, 1:
			err = db.UpdateApp(ctx, "shop", func(a *rings.Application) error {
				a.Services[0].LastNonce++
				return nil
			})
		case 2:
			err = db.Send(ctx, "shop-1", orchestrator.Command{Kind: orchestrator.CommandCancel})
		case 3:
			_, err = db.Rollouts(ctx, store.Filter{Limit: 50})
		}
		fmt.Println(time.Since(begun).Microseconds())
	}
	return err
}

// crowd lets 20 processes work against a driver and returns how long each
// operation took, and the number of the driver's last acknowledged event.
func crowd(t testing.TB, db *store.DB) ([]time.Duration, uint64) {
	t.Helper()
	busy, acks := startDriver(t, db.Path())
	var mu sync.Mutex
	var wg sync.WaitGroup
	var took []time.Duration
	for range 20 {
		wg.Go(func() {
			out, err := child(t, "people", db.Path()).Output()
			if err != nil {
				t.Error("refused: ", err)
			}
			mu.Lock()
			defer mu.Unlock()
			for line := range strings.Lines(string(out)) {
				us, _ := strconv.Atoi(strings.TrimSpace(line))
				took = append(took, time.Duration(us)*time.Microsecond)
			}
		})
	}
	wg.Wait()
	must(t, busy.Process.Kill())
	return took, <-acks
}

// startDriver starts a driver and waits for its first acknowledgement. The
// channel gives the last one, once it was killed.
func startDriver(t testing.TB, path string) (*exec.Cmd, <-chan uint64) {
	t.Helper()
	cmd := child(t, "driver", path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines, last := bufio.NewScanner(out), make(chan uint64, 1)
	if !lines.Scan() {
		t.Fatal("the driver acknowledged nothing")
	}
	go func() {
		seen := lines.Text()
		for lines.Scan() {
			seen = lines.Text()
		}
		cmd.Wait()
		n, _ := strconv.ParseUint(seen, 10, 64)
		last <- n
	}()
	return cmd, last
}

// openDriven opens a new store with the live rollout shop-1.
func openDriven(t testing.TB) *store.DB {
	t.Helper()
	db := openShop(t)
	tape, lease := start(t, db, "shop", "ring-1", storetest.Start)
	ref := orchestrator.Ref{Ring: "ring-1", Service: "db"}
	appendAll(t, db, tape.Batch(lease, storetest.Publishing(ref, "v2", 1, 20)...))
	must(t, db.Release(t.Context(), lease))
	return db
}

// TestCrowd lets 20 processes work at once against a busy driver: none is
// refused, nothing is lost, and the driver goes on too.
func TestCrowd(t *testing.T) {
	db := openDriven(t)
	took, acked := crowd(t, db)
	if len(took) != 20*actions {
		t.Errorf("%d operations, want %d", len(took), 20*actions)
	}
	app, err := db.App(t.Context(), "shop")
	must(t, err)
	if want := int64(20*actions/2 + 1); app.Services[0].LastNonce != want {
		t.Errorf("nonce %d, want %d", app.Services[0].LastNonce, want)
	}
	waiting, err := db.Commands(t.Context(), "shop-1")
	must(t, err)
	if len(waiting) != 20*actions/4 {
		t.Errorf("%d commands, want %d", len(waiting), 20*actions/4)
	}
	if turns := (acked - 8) / 40; turns < actions/2 {
		t.Errorf("the driver had %d turns while each of the others had %d", turns, actions)
	}
}

// BenchmarkCrowd reports how long the others wait. The mark is 500 ms at p99.
func BenchmarkCrowd(b *testing.B) {
	db := openDriven(b)
	var all []time.Duration
	for b.Loop() {
		took, _ := crowd(b, db)
		all = append(all, took...)
	}
	slices.Sort(all)
	at := func(p int) float64 { return float64(all[len(all)*p/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), "ms-p50")
	b.ReportMetric(at(99), "ms-p99")
	b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, "ms-max")
}

// TestKill kills a driver at random moments: what it was told is written is
// there, and the store is sound.
func TestKill(t *testing.T) {
	db := openDriven(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 8 {
		cmd, acks := startDriver(t, db.Path())
		moment := time.After(time.Duration(random.IntN(60_000)) * time.Microsecond)
		<-moment
		must(t, cmd.Process.Kill())
		acked := <-acks
		s, err := db.Rollout(t.Context(), "shop-1")
		must(t, err)
		if s.Version < acked {
			t.Errorf("event %d was acknowledged, the journal ends at %d", acked, s.Version)
		}
		for _, err := range db.Check(t.Context()) {
			t.Errorf("after %d events: %v", s.Version, err)
		}
	}
}

// openFirst opens a store that may not be there yet, and uses it.
func openFirst(path string) error {
	db, err := store.Open(context.Background(), path, store.Options{})
	if err != nil {
		return err
	}
	return db.CreateApp(context.Background(), storetest.App(rings.AppName(fmt.Sprint("app-", os.Getpid()))))
}

// TestFirstOpen lets several processes make the store at once.
func TestFirstOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "rollout.db")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if out, err := child(t, "first-open", path).Output(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	apps, err := open(t, path).Apps(t.Context())
	must(t, err)
	if len(apps) != 8 {
		t.Errorf("%d applications, want 8", len(apps))
	}
}

// fillDisk writes until a file may not grow any more, which is what a full
// quota looks like.
func fillDisk(path string) error {
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{NoSync: true, NoWait: true})
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 256 << 10, Max: 256 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	for n := range 10_000 {
		name := rings.ClusterName(fmt.Sprint("eu-", n))
		err := db.PutCluster(ctx, rings.Cluster{App: "shop", Name: name, AddedBy: strings.Repeat("x", 500)})
		if errors.Is(err, store.ErrNoSpace) && strings.Contains(err.Error(), path) {
			fmt.Println(n)
			return db.PutCluster(ctx, rings.Cluster{App: "shop", Name: "eu-0"}) // fits
		}
		if err != nil {
			return err
		}
	}
	return errors.New("the disk was never full")
}

func TestNoSpace(t *testing.T) {
	db := openShop(t)
	out, err := child(t, "full-disk", db.Path()).Output()
	must(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	must(t, err)
	clusters, err := db.Clusters(t.Context(), "shop")
	must(t, err)
	if len(clusters) != n {
		t.Errorf("%d clusters were written, %d are there", n, len(clusters))
	}
}

// useReadOnly becomes a user who may only read, if it is root, and does.
func useReadOnly(path string) error {
	if os.Getuid() == 0 {
		if err := syscall.Setuid(65534); err != nil {
			return err
		}
	}
	ctx := context.Background()
	db, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	if _, err := db.App(ctx, "shop"); err != nil {
		return err
	}
	err = db.DeleteApp(ctx, "shop", rings.Note{})
	if !errors.Is(err, store.ErrReadOnly) || !strings.Contains(err.Error(), path) {
		return fmt.Errorf("got %v, want ErrReadOnly with the path", err)
	}
	_, err = store.Open(ctx, filepath.Join(filepath.Dir(path), "new.db"), store.Options{})
	if !errors.Is(err, store.ErrReadOnly) {
		return fmt.Errorf("new store: got %v, want ErrReadOnly", err)
	}
	return nil
}

// TestReadOnly reads a store that must not be written, with and without its
// lock file.
func TestReadOnly(t *testing.T) {
	for _, locked := range []bool{true, false} {
		t.Run(fmt.Sprint("lock-file=", locked), func(t *testing.T) {
			db := openShop(t)
			dir := filepath.Dir(db.Path())
			if !locked {
				must(t, os.Remove(db.Path()+".lock"))
			}
			for d, n := dir, 0; n < 3; d, n = filepath.Dir(d), n+1 {
				must(t, os.Chmod(d, 0o755)) // also the test's own folders, for the other user
			}
			must(t, os.Chmod(db.Path(), 0o444))
			must(t, os.Chmod(dir, 0o555))
			if locked {
				must(t, os.Chmod(db.Path()+".lock", 0o444))
			}
			defer os.Chmod(dir, 0o755)
			if out, err := child(t, "read-only", db.Path()).Output(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
