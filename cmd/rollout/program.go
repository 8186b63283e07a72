package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/adrg/xdg"
	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/store"
)

// environment is everything outside of the program that is not a store, a
// Fleet or a repository.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool                       // stdout is one
	errTerminal    bool                       // stderr is one
	questions      bool                       // somebody can answer
	size           func() (width, height int) // of the terminal; 0: no limit
	getenv         func(string) string
	now            func() time.Time
	running        func(pid int) bool // whether there is such a process
	host           string
	pid            int
}

// globalFlags are the flags of every command.
type globalFlags struct {
	store, kubeconfig, context, namespace string
	as, link, logLevel, output            string
	yes, noColor                          bool
}

// program is what every command gets: the world outside, and the global flags.
type program struct {
	environment
	flags globalFlags
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name: "rollout", HelpName: "rollout", HideHelpCommand: true, HideVersion: true,
		Usage:     "Roll applications of many services out to rings of clusters, on Rancher Fleet",
		UsageText: "rollout COMMAND [SUBCOMMAND] [ARGUMENTS] [FLAGS]",
		Description: "Without a command: what is live, what waits for a person, and what nobody drives.\n" +
			"Flags may stand anywhere. Exit codes: \"rollout help exit-codes\".",
		Reader: p.stdin, Writer: p.stdout, ErrWriter: p.stderr,
		ExitErrHandler: func(*cli.Context, error) {},
		Flags:          p.globalFlags(),
		Action:         func(c *cli.Context) error { return p.runOverview(c.Context) },
		Commands: []*cli.Command{
			p.appCommand(), p.ringCommand(), p.clusterCommand(), p.serviceCommand(), p.windowCommand(), p.planCommand(), p.releaseCommand(),
			p.importCommand(), p.applyCommand(), p.exportCommand(), p.schemaCommand(),
			p.rehearseCommand(), p.createCommand(), p.deployCommand(), p.trainCommand(), p.retryCommand(), p.rollbackCommand(), p.listCommand(), p.showCommand(), p.watchCommand(), p.explainCommand(),
			p.pauseCommand(), p.resumeCommand(), p.approveCommand(), p.skipCommand(), p.cancelCommand(), p.haltCommand(), p.unhaltCommand(), p.lockCommand(), p.unlockCommand(), p.locksCommand(),
			p.whereCommand(), p.findCommand(), p.historyCommand(), p.logCommand(), p.replayCommand(), p.runCommand(),
			p.doctorCommand(), p.storeCommand(), p.completionCommand(), p.completeCommand(), p.referenceCommand(), p.versionCommand(), p.helpCommand(),
		},
	}
	walk(app.Commands, func(c *cli.Command) { c.HideHelpCommand = true })
	return app
}

func (p *program) globalFlags() []cli.Flag {
	f := &p.flags
	return []cli.Flag{
		&cli.StringFlag{Name: "store", Usage: "`FILE` with everything that rollout knows (ROLLOUT_STORE)", DefaultText: "in your data folder", Destination: &f.store},
		&cli.StringFlag{Name: "kubeconfig", Usage: "`FILE` that says how to reach the Fleet manager", DefaultText: "as kubectl finds it", Destination: &f.kubeconfig},
		&cli.StringFlag{Name: "context", Usage: "`NAME` of the context of the kubeconfig", Destination: &f.context},
		&cli.StringFlag{Name: "namespace", Usage: "`NAME` of the Fleet workspace", DefaultText: "the application's, or fleet-default", Destination: &f.namespace},
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FORMAT` of the result: text, json or yaml; jsonl where a rollout is followed, csv of where, find and history", Value: "text", Destination: &f.output},
		&cli.BoolFlag{Name: "yes", Usage: "Answer every question with yes", DisableDefaultText: true, Destination: &f.yes},
		&cli.StringFlag{Name: "as", Usage: "`NAME` of whoever does this, for the record (ROLLOUT_ACTOR)", DefaultText: "from the CI or git", Destination: &f.as},
		&cli.StringFlag{Name: "link", Usage: "`URL` of the run that does this, for the record", DefaultText: "from the CI", Destination: &f.link},
		&cli.StringFlag{Name: "log-level", Usage: "`LEVEL` of what is logged to stderr: debug, info, warn or error", Value: "warn", Destination: &f.logLevel},
		cli.HelpFlag,
		&cli.BoolFlag{Name: "no-color", Usage: "No colours (NO_COLOR)", DisableDefaultText: true, Destination: &f.noColor},
	}
}

// walk visits every command of the tree.
func walk(commands []*cli.Command, visit func(*cli.Command)) {
	for _, c := range commands {
		visit(c)
		walk(c.Subcommands, visit)
	}
}

// dataFolder holds the store, unless --store says otherwise.
func (p *program) dataFolder() string {
	return filepath.Join(cmp.Or(p.getenv("XDG_DATA_HOME"), xdg.DataHome), "rollout")
}

// cacheFolder holds what can be fetched again.
func (p *program) cacheFolder() string {
	return filepath.Join(cmp.Or(p.getenv("XDG_CACHE_HOME"), xdg.CacheHome), "rollout")
}

func (p *program) storePath() string {
	return cmp.Or(p.flags.store, p.getenv("ROLLOUT_STORE"), filepath.Join(p.dataFolder(), "rollout.db"))
}

// storeWait bounds how long a command waits for the store.
const storeWait = 10 * time.Second

// open returns the store, and a context for a command that only uses it.
func (p *program) open(ctx context.Context) (*store.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	return store.Open(ctx, p.storePath(), store.Options{})
}

// inStore calls fn with the store and a context that bounds the wait for it.
func (p *program) inStore(ctx context.Context, fn func(context.Context, *store.DB) error) error {
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	return fn(ctx, db)
}

// withApp calls fn with the store and the application as it is.
func (p *program) withApp(ctx context.Context, name rings.AppName, fn func(context.Context, *store.DB, *rings.Application) error) error {
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		app, err := db.App(ctx, name)
		if err != nil {
			return err
		}
		return fn(ctx, db, app)
	})
}

func (p *program) log(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.flags.logLevel)) // parseLine has checked it
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// say prints a line for people, beside the result.
func (p *program) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, format+"\n", args...)
}

// confirm returns nil when a person, or --yes, agrees. It does not wait for the
// answer when the context ends.
func (p *program) confirm(ctx context.Context, question string) error {
	if p.flags.yes {
		return nil
	}
	if !p.questions {
		return &usageError{what: "this needs a yes, and there is nobody to ask: " + question, hint: "add --yes"}
	}
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	answered := make(chan string, 1)
	go func() { // a terminal cannot be asked to stop reading: at Ctrl-C, the end of the process does it
		answer, _ := bufio.NewReader(p.stdin).ReadString('\n') // no answer is no
		answered <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.stderr)
		return &commandError{exit: exitInterrupted, code: "interrupted", err: ctx.Err(), what: "interrupted: nothing was changed"}
	case a := <-answered:
		if a == "y" || a == "yes" {
			return nil
		}
	}
	return &usageError{what: "not confirmed: nothing was changed"}
}
