package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rollout/testdata/lab"
)

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "lab",
		Short:         "A real Rancher Fleet on this machine, without Docker",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().String("dir", defaultDir(), "the lab's folder")
	cmd.AddCommand(buildCommand(), upCommand(), downCommand(), statusCommand(), stopCommand(), startCommand(), repoCommand(), sampleCommand(),
		envCommand(), clusterCommand(), serveGitCommand(), runJobsCommand(), runAgentCommand())
	return cmd
}

// defaultDir is one fixed place, so that every command finds the lab wherever it is called.
func defaultDir() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ".lab"
	}
	return filepath.Join(cache, "rollout-lab", "lab")
}

func dirOf(cmd *cobra.Command) string { return cmd.Flag("dir").Value.String() }

func open(cmd *cobra.Command) (*lab.Lab, error) { return lab.Open(dirOf(cmd)) }

func buildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build the programs that are missing (the first time takes about ten minutes)",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return lab.Build(cmd.Context(), cmd.ErrOrStderr()) },
	}
}

func upCommand() *cobra.Command {
	var count int
	var labels []string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a lab and leave it running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clusters, err := labelled(lab.Clusters(count), labels)
			if err != nil {
				return err
			}
			l, err := lab.Up(cmd.Context(), lab.Options{Dir: dirOf(cmd), Clusters: clusters, Out: cmd.ErrOrStderr()})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\n", l.Kubeconfig())
			return nil
		},
	}
	cmd.Flags().IntVar(&count, "clusters", 4, "how many clusters, named c1, c2, ...")
	cmd.Flags().StringArrayVar(&labels, "label", nil, "a label of a cluster, as c1:ring=ring-1; may be repeated")
	return cmd
}

// labelled gives the clusters the labels, each written CLUSTER:KEY=VALUE.
func labelled(clusters []lab.Cluster, labels []string) ([]lab.Cluster, error) {
	for _, text := range labels {
		name, label, _ := strings.Cut(text, ":")
		key, value, ok := strings.Cut(label, "=")
		c := find(clusters, name)
		if !ok || c == nil {
			return nil, fmt.Errorf("--label %s: want CLUSTER:KEY=VALUE with a cluster of the lab", text)
		}
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[key] = value
	}
	return clusters, nil
}

func find(clusters []lab.Cluster, name string) *lab.Cluster {
	for i := range clusters {
		if clusters[i].Name == name {
			return &clusters[i]
		}
	}
	return nil
}

func downCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "End everything that the lab started, and remove its folder",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			if keep {
				return l.Halt(cmd.Context())
			}
			return l.Down(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the folder, with the logs")
	return cmd
}

func statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the lab's parts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			parts, err := l.Status()
			if err != nil {
				return err
			}
			table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(table, "PART\tPID\tSTATE")
			for _, p := range parts {
				fmt.Fprintf(table, "%s\t%d\t%s\n", p.Part, p.PID, stateOf(p))
			}
			return table.Flush()
		},
	}
}

func stateOf(p lab.Status) string {
	switch {
	case p.Running:
		return "running"
	case p.PID == 0:
		return "stopped"
	}
	return "ended by itself"
}

func stopCommand() *cobra.Command {
	var kill bool
	cmd := &cobra.Command{
		Use:   "stop PART",
		Short: "Stop a part of the lab",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			if kill {
				return l.Kill9(cmd.Context(), args[0])
			}
			return l.Stop(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVar(&kill, "kill", false, "without asking, as a power cut would")
	return cmd
}

func startCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start PART",
		Short: "Start a part that was stopped",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			return l.Start(cmd.Context(), args[0])
		},
	}
}

func repoCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "repo", Short: "The lab's git repositories"}
	cmd.AddCommand(&cobra.Command{
		Use:   "create NAME FOLDER",
		Short: "Make a repository with the files of a folder",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			files, err := readFolder(args[1])
			if err != nil {
				return err
			}
			if err := l.CreateRepo(cmd.Context(), args[0], files); err != nil {
				return err
			}
			return printRepo(cmd, l, args[0])
		},
	})
	return cmd
}

func readFolder(dir string) (map[string]string, error) { return lab.ReadFiles(os.DirFS(dir)) }

func printRepo(cmd *cobra.Command, l *lab.Lab, name string) error {
	address, err := l.GitAuthURL(name)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), address)
	return nil
}

func clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Clusters that Fleet does not know"}
	cmd.AddCommand(&cobra.Command{
		Use:   "add NAME",
		Short: "Start a cluster that is not registered with Fleet; its agent runs once somebody installs it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			if err := l.AddCluster(cmd.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), l.DownstreamKubeconfig(args[0]))
			return nil
		},
	})
	return cmd
}
