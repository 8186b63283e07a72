package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"golang.org/x/crypto/ssh"
)

// sshLink reaches a remote over SSH, with one connection for a call and one
// session for a service. go-git's own SSH transport cannot end at a deadline
// while it connects, and keeps one line of what the server says.
type sshLink struct {
	remote *remote
	getenv func(string) string

	client *ssh.Client
	stop   func() bool // of the watch on the context
	agent  io.Closer   // connection to the agent, may be nil
	open   map[string]*sshSession
	began  bool
}

// sshSession is one git service that runs on the server.
type sshSession struct {
	session *ssh.Session
	in      io.WriteCloser
	out     io.Reader
	words   *tail // what the server says on stderr
	used    bool
}

func (l *sshLink) refs(ctx context.Context, service string) (*packp.AdvRefs, error) {
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	if old := l.open[service]; old != nil {
		_ = old.session.Close() // servers allow few at a time
	}
	s, err := l.start(service)
	if err != nil {
		return nil, err
	}
	l.open[service] = s
	adv := packp.NewAdvRefs()
	err = adv.Decode(s.out)
	if errors.Is(err, packp.ErrEmptyAdvRefs) {
		return nil, transport.ErrEmptyRemoteRepository
	}
	if err != nil {
		return nil, s.explain(err)
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// connect dials and authenticates, once. At the context's end the connection
// is closed, which ends whatever waits on it.
func (l *sshLink) connect(ctx context.Context) error {
	if l.client != nil {
		return nil
	}
	d, err := l.dialing(ctx)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, d.addr, d.config)
	l.agent = d.agent
	if err != nil {
		stop()
		_ = conn.Close()
		return d.explain(err)
	}
	l.client, l.stop, l.open = ssh.NewClient(c, chans, reqs), stop, map[string]*sshSession{}
	return nil
}

func (l *sshLink) start(service string) (*sshSession, error) {
	session, err := l.client.NewSession()
	if err != nil {
		return nil, fmt.Errorf("ssh session: %w", err)
	}
	s := &sshSession{session: session, words: &tail{}}
	session.Stderr = s.words
	if s.in, err = session.StdinPipe(); err != nil {
		return nil, fmt.Errorf("ssh session: %w", err)
	}
	if s.out, err = session.StdoutPipe(); err != nil {
		return nil, fmt.Errorf("ssh session: %w", err)
	}
	if err := session.Start(service + " " + quote(l.remote.endpoint.Path)); err != nil {
		return nil, fmt.Errorf("ssh command %s: %w", service, err)
	}
	return s, nil
}

// quote is git's sq_quote_buf.
func quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(s) + "'"
}

// explain adds what the server said when it closed the session on us.
func (s *sshSession) explain(err error) error {
	_ = s.in.Close()
	_ = s.session.Wait() // its error says less than its words
	if words := s.words.String(); words != "" {
		return errors.New(oneLine(words))
	}
	return err
}

func (l *sshLink) upload(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	s := l.open[transport.UploadPackServiceName]
	if s == nil || s.used {
		if _, err := l.refs(ctx, transport.UploadPackServiceName); err != nil {
			return nil, err
		}
		s = l.open[transport.UploadPackServiceName]
	}
	s.used = true
	if err := writeUpload(s.in, req); err != nil {
		return nil, s.explain(err)
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(s.out)); err != nil {
		return nil, s.explain(err)
	}
	return res, nil
}

func writeUpload(w io.Writer, req *packp.UploadPackRequest) error {
	var b bytes.Buffer
	if err := req.UploadRequest.Encode(&b); err != nil {
		return fmt.Errorf("upload request: %w", err)
	}
	if err := req.UploadHaves.Encode(&b, false); err != nil {
		return fmt.Errorf("upload request: %w", err)
	}
	if err := pktline.NewEncoder(&b).EncodeString("done\n"); err != nil {
		return fmt.Errorf("upload request: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (l *sshLink) receive(_ context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	s := l.open[transport.ReceivePackServiceName]
	l.began = true
	if err := req.Encode(s.in); err != nil {
		return nil, err
	}
	if err := s.in.Close(); err != nil {
		return nil, err
	}
	out := s.out
	if req.Capabilities.Supports(capability.Sideband64k) {
		d := sideband.NewDemuxer(sideband.Sideband64k, out)
		d.Progress = req.Progress
		out = d
	}
	report := packp.NewReportStatus()
	if err := report.Decode(out); err != nil {
		return nil, err
	}
	return report, nil
}

func (l *sshLink) sent() bool { return l.began }

func (l *sshLink) close() {
	if l.agent != nil {
		_ = l.agent.Close()
	}
	if l.client != nil {
		l.stop()
		_ = l.client.Close()
	}
	l.client, l.agent = nil, nil // it may be opened again
}

// tail keeps the first 4 KiB that are written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailSize = 4 << 10

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p[:min(len(p), tailSize-len(t.b))]...)
	return len(p), nil
}

// String returns what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

func joinHostPort(host string, port int) string {
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}
