package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// httpLink reaches a remote over HTTP(S). Each session goes with the first
// credential that the server takes.
type httpLink struct {
	publisher *Publisher
	remote    *remote
	client    transport.Transport
	up        transport.UploadPackSession
	down      transport.ReceivePackSession
	began     atomic.Bool
}

func newHTTPLink(p *Publisher, r *remote) *httpLink {
	return &httpLink{publisher: p, remote: r, client: githttp.NewClient(&http.Client{Transport: p.transport})}
}

func (l *httpLink) refs(ctx context.Context, service string) (*packp.AdvRefs, error) {
	wallet := &wallet{publisher: l.publisher, remote: l.remote}
	for {
		cred, ok := wallet.next(ctx)
		if !ok {
			return nil, wallet.refused()
		}
		adv, err := l.open(ctx, service, cred)
		if !errors.Is(err, transport.ErrAuthenticationRequired) {
			if err == nil {
				l.publisher.remember(l.remote, cred)
			}
			return adv, err
		}
		wallet.reject(cred)
	}
}

func (l *httpLink) open(ctx context.Context, service string, cred credential) (*packp.AdvRefs, error) {
	ep := l.remote.endpoint // a copy: a redirect changes the session's
	ep.User = ""
	var auth transport.AuthMethod
	if cred.password != "" {
		auth = &githttp.BasicAuth{Username: cred.user, Password: cred.password}
	}
	var err error
	if service == transport.UploadPackServiceName {
		if l.up, err = l.client.NewUploadPackSession(&ep, auth); err != nil {
			return nil, fmt.Errorf("session: %w", err)
		}
		adv, err := l.up.AdvertisedReferencesContext(ctx)
		return adv, bare(err)
	}
	if l.down, err = l.client.NewReceivePackSession(&ep, auth); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	adv, err := l.down.AdvertisedReferencesContext(ctx)
	return adv, bare(err)
}

// bare takes off go-git's wrapper, which hides what it wraps from errors.As.
func bare(err error) error {
	if e, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		return e.Err
	}
	return err
}

func (l *httpLink) upload(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	res, err := l.up.UploadPack(ctx, req)
	return res, bare(err)
}

func (l *httpLink) receive(ctx context.Context, req *packp.ReferenceUpdateRequest) (*packp.ReportStatus, error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { l.began.Store(true) },
	})
	report, err := l.down.ReceivePack(ctx, req)
	err = bare(err)
	if status, ok := httpStatus(err); ok && status < 500 || isRefusedByHTTP(err) {
		l.began.Store(false) // the server answered that it did not take it
	}
	return report, err
}

func isRefusedByHTTP(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) ||
		errors.Is(err, transport.ErrAuthorizationFailed) ||
		errors.Is(err, transport.ErrRepositoryNotFound)
}

func (l *httpLink) sent() bool { return l.began.Load() }

func (l *httpLink) close() {}

// remember keeps the credential that worked, for this process's life.
func (p *Publisher) remember(r *remote, c credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[r.origin()] = c
}

func (p *Publisher) forget(r *remote) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, r.origin())
}

func (p *Publisher) recall(r *remote) (credential, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.known[r.origin()]
	return c, ok
}
