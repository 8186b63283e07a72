package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kevinburke/ssh_config"
	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"rollout/orchestrator"
)

// dialing is everything that is needed to connect, from where ssh(1) has it.
type dialing struct {
	addr   string
	name   string // host as in the URL
	config *ssh.ClientConfig
	agent  io.Closer
	tried  []string
}

var keyNames = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

const defaultPort = 22

func (l *sshLink) dialing(ctx context.Context) (*dialing, error) {
	home := l.getenv("HOME")
	file, err := readSSHConfig(filepath.Join(home, ".ssh", "config"))
	if err != nil {
		return nil, err
	}
	d := &dialing{name: l.remote.endpoint.Host}
	user, host, port := l.remote.endpoint.User, l.remote.endpoint.Host, l.remote.endpoint.Port
	if h := first(file, d.name, "Hostname"); h != "" {
		host = strings.ReplaceAll(h, "%h", d.name)
	}
	if n, err := strconv.Atoi(first(file, d.name, "Port")); err == nil && (port == 0 || port == defaultPort) {
		port = n
	}
	if port == 0 {
		port = defaultPort
	}
	for _, u := range []string{first(file, d.name, "User"), "git"} {
		if user == "" {
			user = u
		}
	}
	d.addr = joinHostPort(host, port)
	callback, algorithms, err := hostKeys(knownHostsFiles(home, l.getenv), d.addr)
	if err != nil {
		return nil, err
	}
	d.config = &ssh.ClientConfig{User: user, HostKeyCallback: callback, HostKeyAlgorithms: algorithms,
		Auth: []ssh.AuthMethod{ssh.PublicKeysCallback(d.signers(ctx, l.getenv, identityFiles(file, d.name, home)))}}
	return d, nil
}

// readSSHConfig returns nil when there is no file.
func readSSHConfig(path string) (*ssh_config.Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, refusal(orchestrator.CodeAuth, "", "ssh configuration: %v", err)
	}
	defer func() { _ = f.Close() }()
	c, err := ssh_config.Decode(f)
	if err != nil {
		return nil, refusal(orchestrator.CodeAuth,
			"Match blocks are not understood: use Host blocks, or an https:// URL", "%s: %v", path, err)
	}
	return c, nil
}

// first is a key's value for a host, "" when it has none.
func first(c *ssh_config.Config, host, key string) string {
	if c == nil {
		return ""
	}
	v, err := c.Get(host, key)
	if err != nil {
		return ""
	}
	return v
}

// identityFiles are those of the configuration, else the usual ones.
func identityFiles(c *ssh_config.Config, host, home string) []string {
	var out []string
	if c != nil {
		named, err := c.GetAll(host, "IdentityFile")
		if err == nil {
			for _, n := range named {
				out = append(out, expand(n, home))
			}
		}
	}
	if len(out) == 0 {
		for _, n := range keyNames {
			out = append(out, filepath.Join(home, ".ssh", n))
		}
	}
	return out
}

func expand(path, home string) string {
	path = strings.Trim(path, `"`)
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return strings.ReplaceAll(path, "%d", home)
}

// signers offers the agent's keys, then the key files. A file that cannot be
// used is named when the server takes none of them.
func (d *dialing) signers(ctx context.Context, getenv func(string) string, files []string) func() ([]ssh.Signer, error) {
	return func() ([]ssh.Signer, error) {
		d.tried = nil
		out := d.fromAgent(ctx, getenv("SSH_AUTH_SOCK"))
		for _, path := range files {
			if s := d.fromFile(path); s != nil {
				out = append(out, s)
			}
		}
		return out, nil
	}
}

func (d *dialing) fromAgent(ctx context.Context, socket string) []ssh.Signer {
	if socket == "" {
		d.tried = append(d.tried, "ssh-agent (SSH_AUTH_SOCK is not set)")
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		d.tried = append(d.tried, fmt.Sprintf("ssh-agent (%v)", err))
		return nil
	}
	d.agent = conn
	context.AfterFunc(ctx, func() { _ = conn.Close() }) // an agent may wait for a touch
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		d.tried = append(d.tried, fmt.Sprintf("ssh-agent (%v)", err))
		return nil
	}
	d.tried = append(d.tried, fmt.Sprintf("ssh-agent (%d keys)", len(signers)))
	return signers
}

func (d *dialing) fromFile(path string) ssh.Signer {
	pem, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		d.tried = append(d.tried, path+" (no such file)")
		return nil
	}
	if err != nil {
		d.tried = append(d.tried, fmt.Sprintf("%s (%v)", path, err))
		return nil
	}
	s, err := ssh.ParsePrivateKey(pem)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		d.tried = append(d.tried, path+" (protected by a passphrase: ssh-add it)")
		return nil
	}
	if err != nil {
		d.tried = append(d.tried, path+" (not a private key)")
		return nil
	}
	d.tried = append(d.tried, path)
	return s
}

func knownHostsFiles(home string, getenv func(string) string) []string {
	if list := filepath.SplitList(getenv("SSH_KNOWN_HOSTS")); len(list) > 0 {
		return list
	}
	return []string{filepath.Join(home, ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"}
}

// hostKeys reads the known hosts. Without any file every host is unknown.
func hostKeys(files []string, addr string) (ssh.HostKeyCallback, []string, error) {
	var there []string
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			there = append(there, f)
		}
	}
	db, err := knownhosts.NewDB(there...)
	if err != nil {
		return nil, nil, refusal(orchestrator.CodeAuth, "", "known hosts: %v", err)
	}
	return db.HostKeyCallback(), db.HostKeyAlgorithms(addr), nil
}

// explain names why the handshake failed.
func (d *dialing) explain(err error) error {
	host, port, _ := net.SplitHostPort(d.addr)
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return refusal(orchestrator.CodeAuth,
			fmt.Sprintf("if the server was set up anew: ssh-keygen -R %q, then ssh-keyscan -p %s %s >> ~/.ssh/known_hosts, and compare the fingerprint", hostLabel(host, port), port, host),
			"the key of host %s is not the one in known_hosts: the server changed, or somebody stands in between", d.addr)
	case knownhosts.IsHostUnknown(err):
		return refusal(orchestrator.CodeAuth,
			fmt.Sprintf("ssh-keyscan -p %s %s >> ~/.ssh/known_hosts, and compare the fingerprint", port, host),
			"host %s is not in known_hosts", d.addr)
	case strings.Contains(err.Error(), "unable to authenticate"):
		return refusal(orchestrator.CodeAuth,
			"tried in this order: "+strings.Join(d.tried, "; "), "the server took no key for user %q", d.config.User)
	}
	return err
}

func hostLabel(host, port string) string {
	if port == strconv.Itoa(defaultPort) {
		return host
	}
	return "[" + host + "]:" + port
}
