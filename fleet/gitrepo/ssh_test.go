package gitrepo_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"rollout/orchestrator"
)

// sshd is an SSH server that runs git's services on a site's repository.
type sshd struct {
	addr string
	key  ssh.Signer // the host's

	mu       sync.Mutex
	client   ssh.PublicKey // the only one that may enter
	readOnly bool
	mute     bool // accepts connections and says nothing
	cut      bool // ends the connection when a push was received
}

func (d *sshd) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func newKey(t testing.TB) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return private, signer
}

// overSSH serves the site over SSH, and lets the site's home enter.
func (s *site) overSSH() *sshd {
	s.t.Helper()
	private, signer := newKey(s.t)
	_, host := newKey(s.t)
	d := &sshd{key: host, client: signer.PublicKey()}
	s.privateKey("id_ed25519", private, "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.serve(conn, s) })
		}
	})
	s.t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	d.addr = listener.Addr().String()
	s.url = "ssh://git@" + d.addr + s.bare
	s.knows(d, host.PublicKey())
	return d
}

func (s *site) knows(d *sshd, key ssh.PublicKey) {
	s.homeFile(".ssh/known_hosts", knownhosts.Line([]string{d.addr}, key)+"\n", 0o600)
}

func (s *site) privateKey(name string, key ed25519.PrivateKey, passphrase string) {
	s.t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.homeFile(".ssh/"+name, string(pem.EncodeToMemory(block)), 0o600)
}

func (d *sshd) serve(conn net.Conn, s *site) {
	defer func() { _ = conn.Close() }()
	d.mu.Lock()
	mute := d.mute
	d.mu.Unlock()
	if mute {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if string(key.Marshal()) != string(d.client.Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return &ssh.Permissions{}, nil
	}}
	config.AddHostKey(d.key)
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	var wg sync.WaitGroup
	defer wg.Wait()
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		wg.Go(func() { d.session(channel, requests, conn, s) })
	}
}

// session runs one command.
func (d *sshd) session(channel ssh.Channel, requests <-chan *ssh.Request, conn net.Conn, s *site) {
	defer func() { _ = channel.Close() }()
	for req := range requests {
		if req.Type != "exec" {
			_ = req.Reply(false, nil)
			continue
		}
		_ = req.Reply(true, nil)
		var command struct{ Line string }
		if ssh.Unmarshal(req.Payload, &command) != nil {
			return
		}
		d.mu.Lock()
		readOnly, cut := d.readOnly, d.cut
		d.mu.Unlock()
		isPush := strings.HasPrefix(command.Line, "git-receive-pack")
		if isPush && readOnly {
			_, _ = io.WriteString(channel.Stderr(), "ERROR: The key you are authenticating with has been marked as read only.\n")
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ C uint32 }{1}))
			return
		}
		cmd := exec.Command("sh", "-c", command.Line)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.home}
		cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
		stdin, err := cmd.StdinPipe() // unlike Stdin, nobody waits for its end
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(stdin, channel)
			_ = stdin.Close()
		}()
		if isPush && cut {
			cmd.Stdout = &cutter{w: channel, conn: conn}
		}
		err = cmd.Run()
		status := uint32(0)
		if err != nil {
			status = 1
		}
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ C uint32 }{status}))
		return
	}
}

// cutter lets the advertisement through (it ends with a flush) and ends the
// connection at the report.
type cutter struct {
	w       io.Writer
	conn    net.Conn
	flushed bool
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.flushed {
		_ = c.conn.Close()
		return len(p), nil
	}
	c.flushed = strings.HasSuffix(string(p), "0000")
	return c.w.Write(p)
}

func TestPublisher_ssh(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	s.overSSH()
	dir, base := t.TempDir(), s.tip()
	p := s.open(dir)
	got := ok(t, p.Publish(t.Context(), s.job(item("db", "v2", 1, base))))
	if got.Commit != s.tip() {
		t.Errorf("%+v", got)
	}
	s.commit("theirs", "fleet.yaml", s.show("fleet.yaml")+"\n# x\n")
	if got := ok(t, p.Survey(t.Context(), s.job(item("db", "v2", 1, base)))); got.Superseded != nil || len(got.Lineage) != 2 {
		t.Errorf("%+v", got)
	}
	for i := range 60 {
		s.write("docs", fmt.Sprint(i))
		s.run(s.work, "add", "-A")
		s.run(s.work, "commit", "-qm", "elsewhere")
	}
	s.commit("last")
	if got := ok(t, s.publisher().Survey(t.Context(), s.job(item("db", "v2", 1, base)))); len(got.Lineage) != 63 {
		t.Errorf("%d of lineage, want 63", len(got.Lineage))
	}
	if err := p.CheckPush(t.Context(), s.url, "main"); err != nil {
		t.Error(err)
	}
}

func TestPublisher_ssh_refused(t *testing.T) {
	setup := func(t *testing.T) (*site, *sshd, orchestrator.Job) {
		s := newSite(t, "fleet.yaml", fleetYAML)
		d := s.overSSH()
		return s, d, s.job(item("db", "v2", 1, s.tip()))
	}
	t.Run("unknown host", func(t *testing.T) {
		s, d, j := setup(t)
		s.homeFile(".ssh/known_hosts", "", 0o600)
		_, port, _ := net.SplitHostPort(d.addr)
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeAuth, "not in known_hosts", "ssh-keyscan -p "+port+" 127.0.0.1")
	})
	t.Run("no known_hosts", func(t *testing.T) {
		s, _, j := setup(t)
		if err := os.Remove(filepath.Join(s.home, ".ssh/known_hosts")); err != nil {
			t.Fatal(err)
		}
		refused(t, s.publisher().Survey(t.Context(), j), orchestrator.Refused, orchestrator.CodeAuth, "ssh-keyscan")
	})
	t.Run("changed host", func(t *testing.T) {
		s, d, j := setup(t)
		_, other := newKey(t)
		s.knows(d, other.PublicKey())
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeAuth, "is not the one in known_hosts", "ssh-keygen -R")
	})
	t.Run("wrong key", func(t *testing.T) {
		s, _, j := setup(t)
		other, _ := newKey(t)
		s.privateKey("id_ed25519", other, "")
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeAuth, "took no key for user \"git\"",
			"ssh-agent (SSH_AUTH_SOCK is not set); ", "id_ed25519; ", "id_rsa (no such file)")
	})
	t.Run("passphrase", func(t *testing.T) {
		s, _, j := setup(t)
		other, _ := newKey(t)
		s.privateKey("id_ed25519", other, "secret")
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeAuth, "protected by a passphrase: ssh-add it")
	})
	t.Run("read-only key", func(t *testing.T) {
		s, d, j := setup(t)
		d.set(func() { d.readOnly = true })
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeDenied, "marked as read only")
	})
	t.Run("no repository", func(t *testing.T) {
		s, _, _ := setup(t)
		s.url += "x"
		refused(t, s.publisher().Survey(t.Context(), s.job(item("db", "v2", 1, ""))), orchestrator.Refused, orchestrator.CodeNotFound, "repository not found")
	})
	t.Run("hook", func(t *testing.T) {
		s, _, j := setup(t)
		s.hook("pre-receive", "echo 'no deploys on friday' >&2; exit 1")
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Refused, orchestrator.CodeHook, "no deploys on friday")
	})
	t.Run("hang", func(t *testing.T) {
		s, d, j := setup(t)
		d.set(func() { d.mute = true })
		refused(t, s.publisher().Survey(within(t, 200*time.Millisecond), j), orchestrator.Unreachable, orchestrator.CodeUnreach, "deadline")
	})
	t.Run("lost answer", func(t *testing.T) {
		s, d, j := setup(t)
		d.set(func() { d.cut = true })
		refused(t, s.publisher().Publish(t.Context(), j), orchestrator.Unknown, "", "answer was lost")
		d.set(func() { d.cut = false })
		if got := ok(t, s.publisher().Survey(t.Context(), j)); got.Commit != s.tip() || s.count() != "2" {
			t.Errorf("%+v, %s commits", got, s.count())
		}
	})
}

// The key is in an agent, and the host has another name in ~/.ssh/config.
func TestPublisher_ssh_agentAndConfig(t *testing.T) {
	s := newSite(t, "fleet.yaml", fleetYAML)
	d := s.overSSH()
	private, signer := newKey(t)
	d.set(func() { d.client = signer.PublicKey() })
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "agent") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	listener, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn) }()
		}
	}()
	host, port, _ := net.SplitHostPort(d.addr)
	s.homeFile(".ssh/config", fmt.Sprintf("Host forge\n  Hostname %s\n  Port %s\n  User git\n  IdentityFile ~/.ssh/none\n", host, port), 0o600)
	s.url = "forge:" + s.bare
	ok(t, s.publisher("SSH_AUTH_SOCK", filepath.Join(dir, "s")).Publish(t.Context(), s.job(item("db", "v2", 1, s.tip()))))

	// Without the agent, the configuration's key file.
	s.privateKey("none", private, "")
	ok(t, s.publisher().Survey(t.Context(), s.job(orchestrator.Item{Service: "db"})))
}
