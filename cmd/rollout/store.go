package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"rollout/store"
)

func (p *program) storeCommand() *cli.Command {
	return &cli.Command{
		Name: "store", Category: "Look after", Usage: "Check, back up and prune the store",
		Description: "The store is the one file with everything that rollout knows. It belongs to one host.\n\n" + examples("rollout store check"),
		Subcommands: []*cli.Command{p.storeCheckCommand(), p.storeBackupCommand(), p.storePruneCommand()},
	}
}

func (p *program) storeCheckCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Usage: "Look for damage in the store", Description: examples("rollout store check"),
		Action: func(c *cli.Context) error { return p.runStoreCheck(c.Context) },
	}
}

type checkView struct {
	Store  string   `json:"store"`
	Faults []string `json:"faults"`
}

func (p *program) runStoreCheck(ctx context.Context) error {
	if _, err := os.Stat(p.storePath()); err != nil {
		return notFound("", "store %s: not found", p.storePath())
	}
	db, err := p.open(ctx)
	if err != nil {
		return err
	}
	v := checkView{Store: db.Path(), Faults: []string{}}
	faults := db.Check(ctx)
	for _, f := range faults {
		v.Faults = append(v.Faults, f.Error())
	}
	if len(faults) == 0 {
		return p.done(v, "store %s: sound", db.Path())
	}
	if p.flags.output != "text" {
		if err := p.done(v, ""); err != nil {
			return err
		}
	}
	return fmt.Errorf("store %s: %w", db.Path(), errors.Join(faults...))
}

func (p *program) storeBackupCommand() *cli.Command {
	return &cli.Command{
		Name: "backup", Usage: "Copy the store, while it is in use, to a new file", ArgsUsage: "FILE",
		Description: "The copy is a store: --store FILE uses it.\n\n" + examples("rollout store backup rollout-backup.db"),
		Action:      func(c *cli.Context) error { return p.runStoreBackup(c.Context, c.Args().Get(0)) },
	}
}

type backupView struct {
	Store  string `json:"store"`
	Backup string `json:"backup"`
}

func (p *program) runStoreBackup(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return p.inStore(ctx, func(ctx context.Context, db *store.DB) error {
		if err := db.Backup(ctx, file); err != nil {
			return err
		}
		return p.done(backupView{db.Path(), file}, "copied to %s", file)
	})
}
