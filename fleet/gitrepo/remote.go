package gitrepo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"rollout/orchestrator"
)

// remote is a repository's address, without a password.
type remote struct {
	name     string // for people, and part of the mirror's name
	endpoint transport.Endpoint
}

func parseRemote(url string) (*remote, error) {
	ep, err := transport.NewEndpoint(url)
	if err != nil {
		return nil, refusal(orchestrator.CodeNotFound, "", "%q is no clone URL", redact(url))
	}
	switch ep.Protocol {
	case "http", "https", "ssh":
	default:
		return nil, refusal(orchestrator.CodeNotFound, "use the https:// or ssh:// URL of the repository",
			"%q: repositories are reached over https and ssh only", redact(url))
	}
	// A password in a URL would end in logs and in Fleet's objects; one is
	// never used. The user name of an ssh URL is no secret.
	ep.Password = ""
	r := &remote{endpoint: *ep, name: redact(url)}
	if ep.Protocol == "ssh" && !strings.Contains(url, "://") {
		r.name = url
	}
	return r, nil
}

func (r *remote) ssh() bool { return r.endpoint.Protocol == "ssh" }

// origin is what credentials are for.
func (r *remote) origin() string {
	ep := r.endpoint
	ep.Path, ep.User = "", ""
	return ep.String()
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// slug names the mirror: readable, and unique by its hash.
func (r *remote) slug(branch string) string {
	ep := r.endpoint
	ep.User = ""
	sum := sha256.Sum256([]byte(ep.String() + "\x00" + branch))
	last := strings.TrimSuffix(ep.Path[strings.LastIndex(ep.Path, "/")+1:], ".git")
	return notInNames.ReplaceAllString(last, "-") + "-" + hex.EncodeToString(sum[:8])
}

// link is the way to one remote during one call. It is not safe for
// concurrent use. Every method ends when ctx does.
type link interface {
	// refs opens the service (git-upload-pack or git-receive-pack) and returns
	// what it advertises.
	refs(ctx context.Context, service string) (*packp.AdvRefs, error)
	// upload asks the opened git-upload-pack for a pack; it may be called
	// again. The caller closes the answer.
	upload(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error)
	// receive sends commands and pack to the opened git-receive-pack, once.
	receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error)
	// sent reports whether a part of a receive may have left this machine.
	sent() bool
	close()
}

func (p *Publisher) dial(r *remote) link {
	if r.ssh() {
		return &sshLink{remote: r, getenv: p.opts.Getenv}
	}
	return newHTTPLink(p, r)
}
