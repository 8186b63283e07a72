package main

import (
	"github.com/spf13/cobra"

	"rollout/testdata/lab"
)

// The commands below are parts of a running lab; the lab starts them itself.

func serveGitCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:    "serve-git",
		Short:  "Serve the lab's repositories",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return lab.ServeGit(cmd.Context(), dirOf(cmd), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "the address")
	return cmd
}

func runJobsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "run-jobs",
		Short:  "Run Fleet's Jobs in place of a kubelet",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return lab.RunJobs(cmd.Context(), dirOf(cmd)) },
	}
}

func runAgentCommand() *cobra.Command {
	var cluster string
	cmd := &cobra.Command{
		Use:    "run-agent",
		Short:  "Run a cluster's agent while its Deployment is there, in place of a kubelet",
		Args:   cobra.NoArgs,
		Hidden: true,
		RunE:   func(cmd *cobra.Command, _ []string) error { return lab.RunAgent(cmd.Context(), dirOf(cmd), cluster) },
	}
	cmd.Flags().StringVar(&cluster, "cluster", "", "the cluster")
	return cmd
}
