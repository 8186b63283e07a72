package main

import (
	"github.com/spf13/cobra"
)

func sampleCommand() *cobra.Command {
	var apply bool
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Make the repositories of the sample application shop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := open(cmd)
			if err != nil {
				return err
			}
			names, err := l.CreateSample(cmd.Context())
			if err != nil {
				return err
			}
			for _, name := range names {
				if err := printRepo(cmd, l, name); err != nil {
					return err
				}
				if apply {
					if err := l.ApplyGitRepos(cmd.Context(), name); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&apply, "apply", false, "also give Fleet the GitRepos of each repo.yaml")
	return cmd
}
