package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rollout/orchestrator"
)

// credential is a user name and password for HTTP, and where it came from.
// Without a password it is the anonymous one.
type credential struct {
	source   string
	user     string
	password string
}

// String keeps the password out of every message.
func (c credential) String() string {
	if c.password == "" {
		return c.source
	}
	return fmt.Sprintf("%s (user %q: refused)", c.source, c.user)
}

// tokenUser goes with a bare token: GitHub, GitLab and Gitea take any name.
const tokenUser = "x-access-token"

// helperDeadline bounds `git credential fill`.
const helperDeadline = 5 * time.Second

// wallet hands out the credentials for one remote, one after the other, until
// the server takes one.
type wallet struct {
	publisher *Publisher
	remote    *remote
	at        int
	offered   map[[2]string]bool
	tried     []string // in words, for the hint
}

// source looks for a credential. It returns why there is none in words.
type source func(context.Context) (c credential, none string)

// next returns the next credential. What is at hand goes first; then nobody's,
// which reads public repositories; the helper, a process, comes last.
func (w *wallet) next(ctx context.Context) (credential, bool) {
	sources := []source{w.remembered, w.environment, w.netrc, w.anonymous, w.helper}
	for w.at < len(sources) {
		c, none := sources[w.at](ctx)
		w.at++
		switch {
		case none != "":
			w.tried = append(w.tried, none)
		case c.source != "" && !w.offered[[2]string{c.user, c.password}]:
			if w.offered == nil {
				w.offered = map[[2]string]bool{}
			}
			w.offered[[2]string{c.user, c.password}] = true
			return c, true
		}
	}
	return credential{}, false
}

func (w *wallet) reject(c credential) {
	if known, ok := w.publisher.recall(w.remote); ok && known == c {
		w.publisher.forget(w.remote)
		delete(w.offered, [2]string{c.user, c.password}) // it is named by its source
		return
	}
	w.tried = append(w.tried, c.String())
}

func (w *wallet) refused() *Error {
	return refusal(orchestrator.CodeAuth,
		fmt.Sprintf("tried in this order: %s. Set ROLLOUT_GIT_USERNAME and ROLLOUT_GIT_PASSWORD (or ROLLOUT_GIT_TOKEN), or add %s to ~/.netrc, or to git's credential helper: git ls-remote %s",
			strings.Join(w.tried, "; "), w.remote.endpoint.Host, w.remote.name),
		"the server asks for credentials and took none of those at hand")
}

func (w *wallet) remembered(context.Context) (credential, string) {
	c, _ := w.publisher.recall(w.remote)
	return c, ""
}

func (w *wallet) anonymous(context.Context) (credential, string) {
	return credential{source: "no credentials"}, ""
}

// environment is for CI: ROLLOUT_GIT_TOKEN holds one token, or HOST=TOKEN
// pairs with commas between them; ROLLOUT_GIT_USERNAME and _PASSWORD go to
// every host that has no token of its own.
func (w *wallet) environment(context.Context) (credential, string) {
	getenv := w.publisher.opts.Getenv
	user := getenv("ROLLOUT_GIT_USERNAME")
	if token := tokenFor(getenv("ROLLOUT_GIT_TOKEN"), w.remote.endpoint.Host); token != "" {
		if user == "" {
			user = tokenUser
		}
		return credential{"ROLLOUT_GIT_TOKEN", user, token}, ""
	}
	if password := getenv("ROLLOUT_GIT_PASSWORD"); password != "" {
		if user == "" {
			user = tokenUser
		}
		return credential{"ROLLOUT_GIT_PASSWORD", user, password}, ""
	}
	return credential{}, "ROLLOUT_GIT_TOKEN and ROLLOUT_GIT_PASSWORD (not set)"
}

// tokenFor finds the host's token. A token alone is for every host.
func tokenFor(value, host string) string {
	for _, part := range strings.Split(value, ",") {
		name, token, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok && strings.EqualFold(name, host) {
			return token
		}
	}
	if strings.ContainsAny(value, ",=") {
		return ""
	}
	return strings.TrimSpace(value)
}

func (w *wallet) netrc(context.Context) (credential, string) {
	path := w.publisher.opts.Getenv("NETRC")
	if path == "" {
		path = filepath.Join(w.publisher.opts.Getenv("HOME"), ".netrc")
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return credential{}, path + " (no such file)"
	}
	if err != nil {
		return credential{}, fmt.Sprintf("%s (%v)", path, err)
	}
	user, password, ok := netrcEntry(text, w.remote.endpoint.Host)
	if !ok {
		return credential{}, fmt.Sprintf("%s (no entry for %s)", path, w.remote.endpoint.Host)
	}
	return credential{path, user, password}, ""
}

// netrcEntry reads the format of ftp(1): machine NAME login L password P, or
// default for every other machine. Macros end at an empty line.
func netrcEntry(text []byte, host string) (user, password string, ok bool) {
	words, found := netrcWords(text), false
	for i := 0; i < len(words); i++ {
		switch key := words[i]; key {
		case "machine", "default":
			if found {
				return user, password, password != ""
			}
			if key == "machine" {
				i++
			}
			found = key == "default" || i < len(words) && strings.EqualFold(words[i], host)
		case "login", "password", "account":
			if i++; i < len(words) && found && key == "login" {
				user = words[i]
			} else if i < len(words) && found && key == "password" {
				password = words[i]
			}
		}
	}
	return user, password, found && password != ""
}

func netrcWords(text []byte) []string {
	var words []string
	macro := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			macro = macro && len(fields) > 0
			continue
		}
		if macro = macro || fields[0] == "macdef"; !macro {
			words = append(words, fields...)
		}
	}
	return words
}

// helper asks git's credential helpers, without a prompt and with a deadline.
// What it answers is not stored, approved or rejected.
func (w *wallet) helper(ctx context.Context) (credential, string) {
	const name = "git credential fill"
	git, err := exec.LookPath("git")
	if err != nil {
		return credential{}, name + " (git is not installed)"
	}
	ctx, cancel := context.WithTimeout(ctx, helperDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, git, "credential", "fill")
	cmd.Env = w.publisher.helperEnv()
	cmd.Stdin = strings.NewReader(w.question())
	cmd.WaitDelay = time.Second // a helper's child may hold the pipe
	answer, err := cmd.Output()
	if ctx.Err() != nil {
		return credential{}, fmt.Sprintf("%s (no answer in %s)", name, helperDeadline)
	}
	if err != nil {
		return credential{}, name + " (has none for the host)"
	}
	c := parseHelper(answer)
	if c.password == "" {
		return credential{}, name + " (has none for the host)"
	}
	c.source = name
	return c, ""
}

func (w *wallet) question() string {
	ep := w.remote.endpoint
	host := ep.Host
	if ep.Port != 0 {
		host = fmt.Sprintf("%s:%d", host, ep.Port)
	}
	q := fmt.Sprintf("protocol=%s\nhost=%s\npath=%s\n", ep.Protocol, host, strings.TrimPrefix(ep.Path, "/"))
	if ep.User != "" {
		q += "username=" + ep.User + "\n"
	}
	return q + "\n"
}

func parseHelper(answer []byte) credential {
	var c credential
	for _, line := range strings.Split(string(answer), "\n") {
		switch key, value, _ := strings.Cut(line, "="); key {
		case "username":
			c.user = value
		case "password":
			c.password = value
		}
	}
	return c
}

// helperEnv is the environment as Getenv has it, without anything that could
// ask a person.
func (p *Publisher) helperEnv() []string {
	names := map[string]bool{"HOME": true, "PATH": true, "XDG_CONFIG_HOME": true,
		"GIT_CONFIG_GLOBAL": true, "GIT_CONFIG_SYSTEM": true, "GIT_CONFIG_NOSYSTEM": true}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		names[name] = true
	}
	delete(names, "GIT_ASKPASS")
	delete(names, "SSH_ASKPASS")
	env := []string{"GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never"}
	for name := range names {
		if v := p.opts.Getenv(name); v != "" && name != "GIT_TERMINAL_PROMPT" && name != "GCM_INTERACTIVE" {
			env = append(env, name+"="+v)
		}
	}
	return env
}
