package checks_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollout/checks"
	"rollout/orchestrator"
	"rollout/rings"
)

func shell(command string) rings.Check {
	return rings.Check{Name: "smoke", Kind: rings.CheckCommand, Command: command}
}

// fifo is a named pipe: it ends for its reader when the last process that
// holds it for writing has ended.
type fifo struct {
	t    *testing.T
	path string
	file *os.File
	read *bufio.Reader
}

func newFIFO(t *testing.T) *fifo {
	t.Helper()
	f := &fifo{t: t, path: filepath.Join(t.TempDir(), "fifo")}
	if err := syscall.Mkfifo(f.path, 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	// Non-blocking, so that reads have a deadline.
	if f.file, err = os.OpenFile(f.path, os.O_RDWR|syscall.O_NONBLOCK, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.file.Close() })
	if err := f.file.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	f.read = bufio.NewReader(f.file)
	return f
}

// line is the next that is written.
func (f *fifo) line() string {
	f.t.Helper()
	line, err := f.read.ReadString('\n')
	if err != nil {
		f.t.Errorf("reading what the command says: %v", err)
	}
	return strings.TrimSpace(line)
}

// rest is what is written until no process holds the pipe any more.
func (f *fifo) rest() string {
	f.t.Helper()
	reader, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer reader.Close()
	f.file.Close() // it holds the pipe for writing
	if err := reader.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		f.t.Errorf("a process is left that holds the pipe: %v", err)
	}
	return string(text)
}

func TestChecker_command(t *testing.T) {
	long := strings.Repeat("0123456789", 1000)
	tests := []struct {
		name, command string
		want          orchestrator.Outcome
	}{
		{"well", "true", ok("exit 0")},
		{"well, with words", "echo 12 of 12 probes", ok("exit 0: 12 of 12 probes")},
		{"badly", "exit 3", refused("exit 3")},
		{"badly, on both outputs", "echo probing; echo 2 of 12 probes >&2; exit 1", refused("exit 1: probing 2 of 12 probes")},
		{"the end of much output", "echo " + long + "; echo and then; exit 1", refused("exit 1: ..." + long[len(long)-(240-9):] + " and then")},
		{"unprintable output", `printf 'a\000\033\r\n\377\tb\n'; exit 1`, refused("exit 1: a b")},
		{"a URL in the output", "echo 'got 500 from https://ann:secret@shop.example/health?token=abc#x'; exit 1",
			refused("exit 1: got 500 from https://shop.example/health")},
		{"a URL that cannot be read", "echo 'no https://ann:secret here'; exit 1", refused("exit 1: no https://... here")},
		{"no input", "read line || echo none", ok("exit 0: none")},
		{"a pipeline", "false | true && test $((1 + 1)) = 2", ok("exit 0")},
		{"killed from outside", "kill -9 $$", unknown("ended by signal: killed")},
		{"its own timeout does not count when it answers", "echo done; exit 4", refused("exit 4: done")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { same(t, test.want, sample(t, shell(test.command))) })
	}
}

// What the shell cannot start says nothing about the ring.
func TestChecker_command_notStartable(t *testing.T) {
	folder := t.TempDir()
	for command, code := range map[string]string{filepath.Join(folder, "absent"): "127", folder: "126"} {
		got := sample(t, shell(command))
		if prefix := "exit " + code + ", the shell could not run it: "; got.Result != orchestrator.Unknown || !strings.HasPrefix(got.Words, prefix) || !strings.Contains(got.Words, folder) {
			t.Errorf("%q: %+v, want unknown, %q and the shell's words", command, got, prefix)
		}
	}
}

func TestChecker_command_tooLong(t *testing.T) {
	got := sample(t, shell(strings.Repeat("x", 4<<20)))
	if got.Result != orchestrator.Unknown || !strings.HasPrefix(got.Words, "cannot be started: ") {
		t.Errorf("outcome %+v, want that it cannot be started", got)
	}
}

func TestChecker_command_environment(t *testing.T) {
	t.Setenv("SHOP_TOKEN", "from the driver")
	t.Setenv("ROLLOUT_RING", "of somebody else")
	got := sample(t, shell(`echo "$ROLLOUT_ID|$ROLLOUT_APP|$ROLLOUT_RING|$ROLLOUT_CHECK|$ROLLOUT_PLAN|$SHOP_TOKEN"`))
	same(t, ok("exit 0: shop-12|shop|ring-1|smoke|api=v7,db=v2,web=v1.10|from the driver"), got)
}

func TestChecker_command_environment_emptyPlan(t *testing.T) {
	j := job(shell(`echo "plan=$ROLLOUT_PLAN."`))
	j.Versions = nil
	same(t, ok("exit 0: plan=."), checks.New().Check(t.Context(), j))
}

// family starts children of children, all of which hold the pipe and ignore
// what can be ignored.
const family = `trap '' TERM HUP INT; exec 3>"$FIFO"; sleep 300 & sh -c 'sleep 300 & sleep 300' & echo up >&3; `

func TestChecker_command_leavesNothing_whenTheDriverStops(t *testing.T) {
	f := newFIFO(t)
	t.Setenv("FIFO", f.path)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		f.line()
		stop()
	}()
	same(t, unknown("stopped before there was an answer: so far so good"), checks.New().Check(ctx, job(shell("echo so far so good; "+family+"wait"))))
	if rest := f.rest(); rest != "" {
		t.Errorf("the pipe says %q", rest)
	}
}

func TestChecker_command_leavesNothing_whenItAnswered(t *testing.T) {
	f := newFIFO(t)
	t.Setenv("FIFO", f.path)
	same(t, refused("exit 5"), sample(t, shell(family+"exit 5")))
	if up := f.line(); up != "up" {
		t.Errorf("the family said %q, not that it is up", up)
	}
	if rest := f.rest(); rest != "" {
		t.Errorf("the pipe says %q", rest)
	}
}

// A child that keeps the output open does not keep the answer back.
func TestChecker_command_outputHeldOpen(t *testing.T) {
	begin := time.Now()
	same(t, ok("exit 0: done"), sample(t, shell("sleep 300 & echo done")))
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}
