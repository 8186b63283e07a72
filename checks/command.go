package checks

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"rollout/orchestrator"
)

const (
	// outputGrace is how long output may be held open after the shell ended.
	outputGrace = time.Second
	// maxOutput is how much of the end of a command's output is kept, in bytes.
	maxOutput = 4 << 10
)

// command runs the check's command, and leaves nothing of its process group
// behind.
func command(ctx context.Context, j orchestrator.Job) orchestrator.Outcome {
	var out ending
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", j.Action.Check.Command)
	cmd.Env = append(os.Environ(), variables(j)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = outputGrace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = killGroup(cmd.Process.Pid) // mostly there is nobody left
	}
	switch late, state := outOfTime(ctx), cmd.ProcessState; {
	case state != nil && state.Exited():
		return exited(state.ExitCode(), out.said())
	case late != "":
		return silent("%s%s", late, out.said())
	case state != nil:
		return silent("ended by %s%s", state, out.said())
	}
	return silent("cannot be started: %v", err)
}

// variables tell the command what it is asked about.
func variables(j orchestrator.Job) []string {
	var plan []string
	for service, version := range j.Versions {
		plan = append(plan, fmt.Sprintf("%s=%s", service, version))
	}
	slices.Sort(plan)
	return []string{
		"ROLLOUT_ID=" + string(j.Rollout),
		"ROLLOUT_APP=" + string(j.Scope.App),
		"ROLLOUT_RING=" + string(j.Action.Ring),
		"ROLLOUT_CHECK=" + j.Action.Check.Name,
		"ROLLOUT_PLAN=" + strings.Join(plan, ","),
	}
}

// killGroup returns os.ErrProcessDone when the group has no process.
func killGroup(pgid int) error {
	err := syscall.Kill(-pgid, syscall.SIGKILL)
	if err == syscall.ESRCH {
		return os.ErrProcessDone
	}
	return err
}

// exited judges an exit code. With 126 and 127 the shell says that it did not
// find, or could not run, what it was told to.
func exited(code int, said string) orchestrator.Outcome {
	switch code {
	case 0:
		return well("exit 0%s", said)
	case 126, 127:
		return silent("exit %d, the shell could not run it%s", code, said)
	}
	return badly("exit %d%s", code, said)
}

// ending keeps the end of what is written to it.
type ending struct{ kept []byte }

// Write never fails.
func (e *ending) Write(p []byte) (int, error) {
	e.kept = append(e.kept, p...)
	if over := len(e.kept) - maxOutput; over > 0 {
		e.kept = slices.Delete(e.kept, 0, over)
	}
	return len(p), nil
}

// said is the end of the output, to follow other words; "" when there is none.
func (e *ending) said() string {
	return after(last(plain(string(e.kept))))
}
