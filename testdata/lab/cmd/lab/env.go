package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"rollout/testdata/lab"
)

func envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print what a shell needs to work with the lab: eval \"$(lab env)\"",
		Long: "Print what a shell needs to work with the lab: KUBECONFIG, the credentials for its git server (as rollout takes them),\n" +
			"LAB_GIT (the git server's address), and ROLLOUT_STORE, a store beside the lab.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			git, err := l.GitServer()
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "export KUBECONFIG=%s\nexport LAB_GIT=%s\nexport ROLLOUT_GIT_USERNAME=%s\nexport ROLLOUT_GIT_PASSWORD=%s\nexport ROLLOUT_STORE=%s/rollout.db\n",
				l.Kubeconfig(), git, lab.GitUser, lab.GitPassword, l.Dir())
			return nil
		},
	}
}
