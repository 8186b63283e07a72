package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is one part of a lab: how it is started, and, while it runs, who it is.
type process struct {
	Name string   `json:"name"`
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env,omitempty"`

	// PID and Started name the running process; a pid alone could be somebody else's by now. Zero when it was stopped.
	PID     int    `json:"pid,omitempty"`
	Started string `json:"started,omitempty"`
}

// start runs p in a session of its own, so that it outlives us and takes no signal that is meant for us. Its output goes
// to logs/NAME.log under dir, and its home and temporary folder are inside dir, so that nothing stays behind elsewhere.
func (p *process) start(dir string) error {
	log, err := os.OpenFile(logPath(dir, p.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir = dir
	cmd.Env = append(environment(dir), p.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	go cmd.Wait() // takes the exit status of a child that ends before us; alive() tells how it is
	p.PID = cmd.Process.Pid
	p.Started, err = startTime(p.PID)
	if err != nil {
		return fmt.Errorf("start %s: it ended at once: %s", p.Name, logTail(dir, p.Name))
	}
	return nil
}

// environment is what every process gets: nothing of the caller's but where programs are found.
func environment(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(dir, "home"),
		"TMPDIR=" + filepath.Join(dir, "tmp"),
		"GIT_CONFIG_NOSYSTEM=1",
	}
}

// alive tells whether the process that was started is still running: the same pid, started at the same time.
func (p *process) alive() bool {
	if p.PID == 0 {
		return false
	}
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// signal sends sig to the process and what it started, if it is still the one that we started.
func (p *process) signal(sig syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(-p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s to %s: %w", sig, p.Name, err)
	}
	return nil
}

// end asks the process to end, waits for grace, and then kills it. It returns nil when it is gone.
func (p *process) end(ctx context.Context, grace time.Duration) error {
	// A stopped process takes no SIGTERM, so it is woken first.
	if err := errors.Join(p.signal(syscall.SIGCONT), p.signal(syscall.SIGTERM)); err != nil {
		return err
	}
	if p.waitGone(ctx, grace) {
		return nil
	}
	return p.kill(ctx)
}

// kill ends the process without asking.
func (p *process) kill(ctx context.Context) error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if !p.waitGone(ctx, 10*time.Second) {
		return fmt.Errorf("%s (pid %d) does not end", p.Name, p.PID)
	}
	return nil
}

// waitGone waits until the process has ended and tells whether it has. Not being its parent, it can only look.
func (p *process) waitGone(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for p.alive() {
		select {
		case <-ctx.Done():
			return !p.alive()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// startTime returns a mark of when the process with this pid started, and an error when there is none or only its remains.
func startTime(pid int) (string, error) {
	if runtime.GOOS != "linux" {
		return startTimeByPS(pid)
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	ticks, err := parseStat(string(stat))
	return strings.TrimSpace(string(boot)) + "/" + ticks, err
}

// parseStat reads the start time, in ticks since the boot, from a line of /proc/PID/stat. The name of the program stands in
// brackets and may hold anything, so the fields are counted from the last bracket.
func parseStat(stat string) (string, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("unknown form of a process's stat file: %q", stat)
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return "", errors.New("the process has ended")
	}
	return fields[19], nil
}

func startTimeByPS(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return "", errors.New("the process has ended")
	}
	return started, nil
}

func logPath(dir, name string) string { return filepath.Join(dir, "logs", name+".log") }

// logTail returns the last lines that a part wrote, for an error message.
func logTail(dir, name string) string {
	content, err := os.ReadFile(logPath(dir, name))
	if err != nil {
		return err.Error()
	}
	return tail(string(content), 1024)
}
