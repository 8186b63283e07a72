// Command rollout rolls applications of many services out to rings of clusters,
// on an unmodified Rancher Fleet.
//
// One file is a group of commands: options, a constructor, a run function. What
// they share: args.go takes the command line apart, program.go holds the world
// outside, output.go prints, errors.go makes exit codes and hints, follow.go
// follows a rollout, drive.go drives one.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // the zones of windows, also where the host has none

	"golang.org/x/term"
)

// version is set by the linker.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal kills the process
	os.Exit(run(ctx, os.Args[1:], hostEnvironment()))
}

func hostEnvironment() environment {
	host, _ := os.Hostname() // a host without a name is ""
	return environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal:    term.IsTerminal(int(os.Stdout.Fd())),
		errTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		questions:   term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		size: func() (int, int) {
			width, height, _ := term.GetSize(int(os.Stdout.Fd())) // 0 is no limit
			return width, height
		},
		running: func(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) },
		getenv:  os.Getenv, now: time.Now, host: host, pid: os.Getpid(),
	}
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, env environment) int {
	p := &program{environment: env}
	app := p.app()
	line, err := parseLine(app, args)
	p.flags.output = line.output
	if err == nil {
		err = app.RunContext(ctx, line.argv())
	}
	if err == nil {
		return exitDone
	}
	return p.report(err)
}
