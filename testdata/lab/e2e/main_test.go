package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"rollout/testdata/lab"
)

// floor is what Fleet itself needs for a wave with changed Helm values and
// fast pods: 5 s for its values secret, 5 s for its debounce of readiness, the
// rest for the job and the agents.
const floor = 11 * time.Second

var (
	keep = flag.Bool("keep", false, "leave the lab running, and say where it is")
	in   = flag.String("lab", "", "use the lab of five clusters that runs in this folder, and leave it running")

	shared  *lab.Lab // where the scenarios run side by side
	binary  string   // the program under test
	scratch string   // for stores and the binary; removed at the end
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if scratch, err = os.MkdirTemp("", "rollout-e2e-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, cleanUp(ctx)) }()
	onInterrupt(ctx)
	if err := buildBinary(ctx); err != nil {
		return 1, err
	}
	if *in != "" {
		shared, err = lab.Open(*in)
	} else {
		shared, err = up(ctx, "shared", 5)
	}
	if err != nil {
		return 1, err
	}
	code = m.Run()
	return max(code, report()), nil
}

// labs are those that were started here, to be ended here.
var labs struct {
	mu  sync.Mutex
	all []*lab.Lab
}

// up starts a lab of so many clusters; cleanUp ends it.
func up(ctx context.Context, name string, clusters int) (*lab.Lab, error) {
	l, err := lab.Up(ctx, lab.Options{Dir: filepath.Join(scratch, name), Clusters: lab.Clusters(clusters), Out: os.Stderr})
	if err != nil {
		return nil, err
	}
	labs.mu.Lock()
	defer labs.mu.Unlock()
	labs.all = append(labs.all, l)
	return l, nil
}

// cleanUp ends all labs that were started, and removes everything; it may be
// called again.
func cleanUp(ctx context.Context) error {
	labs.mu.Lock()
	defer labs.mu.Unlock()
	var err error
	for _, l := range labs.all {
		if *keep {
			fmt.Fprintln(os.Stderr, "the lab stays in", l.Dir())
			continue
		}
		err = errors.Join(err, l.Down(ctx))
	}
	labs.all = nil
	if *keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(scratch))
}

// onInterrupt cleans up when somebody ends the tests: they would leave the
// labs running.
func onInterrupt(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-signals
		fmt.Fprintf(os.Stderr, "e2e: %s; ending the labs\n", s)
		if err := cleanUp(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
		os.Exit(1)
	}()
}

// buildBinary builds the program as `make build` does.
func buildBinary(ctx context.Context) error {
	binary = filepath.Join(scratch, "rollout")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/rollout")
	cmd.Dir = filepath.Join("..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build rollout: %w\n%s", err, out)
	}
	return nil
}

// results are the scenarios that ran, for the table at the end.
var results struct {
	mu    sync.Mutex
	lines []string
	bad   bool
}

// note records how a scenario fared.
func note(t *testing.T, waves int, took time.Duration) {
	results.mu.Lock()
	defer results.mu.Unlock()
	word := "ok"
	switch {
	case t.Skipped():
		word, results.bad = "SKIPPED", true
	case t.Failed():
		word = "FAILED"
	}
	results.lines = append(results.lines, fmt.Sprintf("%-34s %6.1f s   floor %5.1f s (%d waves)   %s",
		t.Name(), took.Seconds(), (time.Duration(waves)*floor).Seconds(), waves, word))
}

// report prints the table, and returns 1 when a scenario was skipped.
func report() int {
	results.mu.Lock()
	defer results.mu.Unlock()
	slices.Sort(results.lines)
	for _, l := range results.lines {
		fmt.Println(l)
	}
	if results.bad {
		fmt.Println("a scenario was skipped")
		return 1
	}
	return 0
}
