package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Branch is the branch that every repository of the lab begins with.
const Branch = "main"

// refusalEnv carries the words of GitFault.Refuse to the hook.
const refusalEnv = "LAB_REFUSE"

const preReceive = `#!/bin/sh
[ -z "$` + refusalEnv + `" ] && exit 0
printf '%s\n' "$` + refusalEnv + `" >&2
exit 1
`

// A client may ask for any commit, and for less than everything, as on the big git hosts.
var repoConfig = map[string]string{
	"http.receivepack":              "true",
	"uploadpack.allowAnySHA1InWant": "true",
	"uploadpack.allowFilter":        "true",
	"gc.auto":                       "0",
}

// GitServer returns the address of the git server, without a password.
func (l *Lab) GitServer() (string, error) {
	s, err := readState(l.dir)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("http://127.0.0.1:%d", s.Ports["git"]), nil
}

// GitURL returns the address of a repository, without the password: what a GitRepo object says. The repository may not exist.
func (l *Lab) GitURL(repo string) (string, error) {
	server, err := l.GitServer()
	if err != nil {
		return "", err
	}
	return server + "/" + repo + ".git", nil
}

// GitAuthURL returns the address of a repository with the user and the password in it.
func (l *Lab) GitAuthURL(repo string) (string, error) {
	plain, err := l.GitURL(repo)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(plain)
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword(GitUser, GitPassword)
	return u.String(), nil
}

// CreateRepo makes a bare repository with one commit of these files, given by their paths, on Branch. The text REPO_URL in
// repo.yaml stands for the repository's own address. A repository that is there already is an error.
func (l *Lab) CreateRepo(ctx context.Context, name string, files map[string]string) error {
	address, err := l.GitURL(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat(l.repoDir(name)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("repository %s: %w", name, errors.Join(fs.ErrExist, err))
	}
	if _, err := l.git(ctx, "", nil, "init", "--quiet", "--bare", "--initial-branch="+Branch, l.repoDir(name)); err != nil {
		return err
	}
	for k, v := range repoConfig {
		if _, err := l.git(ctx, name, nil, "config", k, v); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(l.repoDir(name), "hooks", "pre-receive"), []byte(preReceive), 0o755); err != nil {
		return err
	}
	files = maps.Clone(files)
	if manifest, found := files["repo.yaml"]; found {
		files["repo.yaml"] = strings.ReplaceAll(manifest, "REPO_URL", address)
	}
	_, err = l.Commit(ctx, name, "Seed", files)
	return err
}

// Commit puts a commit by somebody else on Branch, past the HTTP server and its faults, and returns its hash. Files that
// are not named stay as they are.
func (l *Lab) Commit(ctx context.Context, repo, message string, files map[string]string) (hash string, err error) {
	parent, err := l.Head(ctx, repo)
	if err != nil {
		return "", err
	}
	if _, err := l.git(ctx, repo, commitStream(message, parent, files), "fast-import", "--quiet"); err != nil {
		return "", err
	}
	return l.Head(ctx, repo)
}

// commitStream is a commit in the language of git fast-import.
func commitStream(message, parent string, files map[string]string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "commit refs/heads/%s\ncommitter Somebody Else <somebody@example.com> %d +0000\n", Branch, time.Now().Unix())
	fmt.Fprintf(&b, "data %d\n%s\n", len(message), message)
	if parent != "" {
		fmt.Fprintf(&b, "from %s\n", parent)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", path, len(files[path]), files[path])
	}
	return b.Bytes()
}

// Head returns the hash of the last commit on Branch, or "" when there is none.
func (l *Lab) Head(ctx context.Context, repo string) (string, error) {
	out, err := l.git(ctx, repo, nil, "for-each-ref", "--format=%(objectname)", "refs/heads/"+Branch)
	return strings.TrimSpace(out), err
}

// ReadFile returns a file as the last commit on Branch has it.
func (l *Lab) ReadFile(ctx context.Context, repo, path string) (string, error) {
	return l.git(ctx, repo, nil, "show", Branch+":"+path)
}

// Git runs a git command in the bare repository and returns what it printed.
func (l *Lab) Git(ctx context.Context, repo string, args ...string) (string, error) {
	return l.git(ctx, repo, nil, args...)
}

func (l *Lab) git(ctx context.Context, repo string, stdin []byte, args ...string) (string, error) {
	if repo != "" {
		args = append([]string{"--git-dir", l.repoDir(repo)}, args...)
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env, cmd.Stdin = l.dir, environment(l.dir), bytes.NewReader(stdin)
	return output(cmd)
}

func (l *Lab) repoDir(name string) string { return l.path("git", name+".git") }

// waitGit returns when the git server answers.
func (l *Lab) waitGit(ctx context.Context) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("http://127.0.0.1:%d/healthz", s.Ports["git"])
	return l.until(ctx, readyLimit, "the git server answers", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
}
