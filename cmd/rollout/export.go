package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"rollout/rings"
	"rollout/rings/appfile"
	"rollout/store"
)

func (p *program) exportCommand() *cli.Command {
	return &cli.Command{
		Name: "export", Category: "Describe", Usage: "Print an application as the file that apply reads", ArgsUsage: "APP",
		Description: "The application, its rings with their policies and recorded clusters, groups of rings, services, windows and the\n" +
			"locks that stand. The plan is not in it, nor what was rolled out. \"rollout schema\" prints what such a file may say.\n\n" +
			examples("rollout export shop > shop.yaml", "rollout export shop -o json"),
		Action: func(c *cli.Context) error { return p.runExport(c.Context, rings.AppName(c.Args().First())) },
	}
}

func (p *program) runExport(ctx context.Context, name rings.AppName) error {
	return p.withApp(ctx, name, func(ctx context.Context, db *store.DB, a *rings.Application) error {
		clusters, err := db.Clusters(ctx, name)
		if err != nil {
			return err
		}
		locks, err := db.Locks(ctx, name, p.now())
		if err != nil {
			return err
		}
		windows, err := db.Windows(ctx, name)
		if err != nil {
			return err
		}
		f := appfile.Of(a, clusters)
		f.Hold(locks, windows, p.now())
		return p.printFile(f)
	})
}

// printFile prints the file in its own order, which -o yaml is, too.
func (p *program) printFile(f *appfile.File) error {
	if p.flags.output == "json" {
		return printJSON(p.stdout, f)
	}
	text, err := f.Bytes()
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}

func (p *program) schemaCommand() *cli.Command {
	return &cli.Command{
		Name: "schema", Category: "Describe", Usage: "Print the JSON Schema of the file that apply reads",
		Description: "Editors check and complete by it.\n\n" + examples("rollout schema > application.schema.json"),
		Action: func(*cli.Context) error {
			_, err := p.stdout.Write(appfile.Schema())
			return err
		},
	}
}
