package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rollout": func() { os.Exit(run(context.Background(), os.Args[1:], testEnvironment())) },
		"seed":    func() { exitOn(seed(os.Args[1:])) },
	})
}

// testEnvironment stands still at TEST_NOW, and TEST_TTY makes it a terminal.
func testEnvironment() environment {
	env := hostEnvironment()
	env.now = testNow
	env.running = func(int) bool { return true }
	env.host, env.pid = "host", 42
	env.terminal = os.Getenv("TEST_TTY") != ""
	env.questions = os.Getenv("TEST_QUESTIONS") != ""
	env.size = func() (int, int) { return 120, 40 }
	return env
}

func testNow() time.Time {
	now, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW"))
	exitOn(err)
	return now
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TEST_NOW", "2026-11-20T12:00:00Z")
			e.Setenv("ROLLOUT_STORE", e.WorkDir+"/rollout.db")
			e.Setenv("ROLLOUT_ACTOR", "ann@example.com")
			e.Setenv("HOME", e.WorkDir)
			for _, name := range []string{"CI", "KUBECONFIG", "NO_COLOR", "GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID"} {
				e.Setenv(name, "")
			}
			return startFleet(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"labels": labelsCommand, "envfile": envfileCommand},
	})
}
