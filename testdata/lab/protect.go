package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// protect is git's hook for each branch of a push: the protected one takes none, and for any other the server says, as
// forges do, where a merge is asked for.
const protect = `#!/bin/sh
case "$1" in
refs/heads/` + Branch + `)
	echo "You are not allowed to push code to protected branches on this project." >&2
	exit 1 ;;
*)
	printf '\nTo create a merge request for %%s, visit:\n  %s/merge_requests/new?source=%%s\n\n' "${1#refs/heads/}" "${1#refs/heads/}" >&2 ;;
esac
`

// Protect makes the git server take no pushes to Branch of a repository any more, as a protected branch of a forge does.
// Commit and Merge are past it.
func (l *Lab) Protect(repo string) error {
	address, err := l.GitURL(repo)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(l.repoDir(repo), "hooks", "update"), fmt.Appendf(nil, protect, strings.TrimSuffix(address, ".git")), 0o755)
}

// Merge merges a branch into Branch as a person does with a forge's button: with a commit of two parents, or squashed into
// one of their own. It returns the new commit. A conflict is an error.
func (l *Lab) Merge(ctx context.Context, repo, from string, squash bool) (hash string, err error) {
	tree, err := l.git(ctx, repo, nil, "merge-tree", "--write-tree", Branch, from)
	if err != nil {
		return "", err
	}
	parents := []string{"-p", Branch}
	if !squash {
		parents = append(parents, "-p", from)
	}
	args := append([]string{"-c", "user.name=Somebody Else", "-c", "user.email=somebody@example.com", "commit-tree", strings.TrimSpace(tree), "-m", "Merge " + from}, parents...)
	if hash, err = l.git(ctx, repo, nil, args...); err != nil {
		return "", err
	}
	hash = strings.TrimSpace(hash)
	_, err = l.git(ctx, repo, nil, "update-ref", "refs/heads/"+Branch, hash)
	return hash, err
}
