package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"rollout/orchestrator"
	"rollout/rings"
)

// publish fetches, applies the intent to the tip and pushes, until the push
// meets the tip that it was made for.
func (p *Publisher) publish(ctx context.Context, m *mirror, j orchestrator.Job, qs []*query) ([]orchestrator.Survey, error) {
	for try := range p.opts.Pushes {
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
		adv, err := m.meet(ctx)
		if err != nil {
			return nil, err
		}
		surveys, err := surveyAll(ctx, m, qs)
		if err != nil {
			return nil, err
		}
		open, err := unpublished(ctx, m, qs, surveys)
		if err != nil || len(open) == 0 {
			return surveys, err
		}
		err = p.attempt(ctx, m, j, open, adv)
		if err == nil {
			return surveyAll(ctx, m, qs)
		}
		if !errors.Is(err, errStale) {
			return nil, err
		}
	}
	return nil, m.contended(p.opts.Pushes)
}

// contended says that others were faster each time.
func (m *mirror) contended(pushes int) *Error {
	return refusal(orchestrator.CodeConflict, "somebody pushes to it all the time: try again later",
		"branch %q moved on during each of %d pushes", m.branch, pushes)
}

// pause waits before another try, so that two that meet do not meet again.
func pause(ctx context.Context, try int) error {
	if try == 0 {
		return nil
	}
	d := 20 * time.Millisecond << min(try, 6)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// meet opens git-receive-pack and brings the mirror to the tip that it
// advertises. So a push on an unchanged branch needs no fetch.
func (m *mirror) meet(ctx context.Context) (*packp.AdvRefs, error) {
	adv, err := m.link.refs(ctx, transport.ReceivePackServiceName)
	if err != nil {
		return nil, err
	}
	if m.refs = adv.References; m.refs[m.ref().String()] == m.tip {
		return adv, nil
	}
	return adv, m.fetch(ctx)
}

// unpublished returns the queries that are to be written. What the branch held
// since the base was published, even if it was taken away again.
func unpublished(ctx context.Context, m *mirror, qs []*query, surveys []orchestrator.Survey) ([]*query, error) {
	var open []*query
	for i, q := range qs {
		s := surveys[i]
		if s.Rewritten {
			return nil, q.refuse(orchestrator.CodeRewritten, "", "branch %q no longer holds commit %s, on which this was decided", m.branch, q.item.Base)
		}
		if s.Commit != "" && q.item.Base != "" || q.item.Commit != "" || s.Version == q.item.Version && s.Nonce == q.item.Nonce && q.item.Settings.In(s.Settings) {
			continue
		}
		if err := q.check(ctx, m, s); err != nil {
			return nil, err
		}
		open = append(open, q)
	}
	return open, nil
}

func (q *query) refuse(code orchestrator.Code, hint, format string, args ...any) *Error {
	e := refusal(code, hint, format, args...)
	e.Services = []rings.ServiceName{q.item.Service}
	return e
}

// check refuses what must be decided again, by the engine or by a person.
func (q *query) check(ctx context.Context, m *mirror, s orchestrator.Survey) error {
	if !q.asks() {
		return q.refuse(orchestrator.CodeUnexpected, "", "service %q: no version and nonce to publish", q.item.Service)
	}
	if err := q.manual(ctx, m, s); err != nil {
		return err
	}
	if s.MaxNonce >= q.item.Nonce {
		return q.refuse(orchestrator.CodeNonceTaken, "", "%s: service %q: the file has forceSyncGeneration %d by now, ours would be %d",
			m.branch, q.item.Service, s.MaxNonce, q.item.Nonce)
	}
	return nil
}

// manual refuses when somebody set another version for the ring after the
// attempt was decided: it would be overwritten unseen.
func (q *query) manual(ctx context.Context, m *mirror, now orchestrator.Survey) error {
	if q.item.Base == "" || q.item.Base == now.Tip || now.Version == q.item.Version && q.item.Settings.In(now.Settings) {
		return nil
	}
	base, err := m.node(plumbing.NewHash(q.item.Base))
	if err != nil {
		return err
	}
	then, err := q.state(ctx, m, base)
	if err != nil {
		return err
	}
	was, is := then.settings.Only(q.item.Settings), now.Settings.Only(q.item.Settings)
	if then.err != nil || then.version == now.Version && fmt.Sprint(then.versions) == fmt.Sprint(now.Versions) && maps.Equal(was, is) {
		return nil
	}
	tip, err := m.node(m.tip)
	if err != nil {
		return err
	}
	var last orchestrator.Survey
	if err := q.last(ctx, m, tip, &last); err != nil {
		return err
	}
	return q.refuse(orchestrator.CodeManual, "agree with its author, then create the rollout again",
		"commit %.8s by %s changed service %q of this ring from %s to %s meanwhile; it is not overwritten",
		last.Commit, last.Author, q.item.Service, said(then.version, then.versions, was), said(now.Version, now.Versions, is))
}

func said(v rings.Version, several []rings.Version, settings rings.Values) string {
	words := string(v)
	if len(several) > 0 {
		words = fmt.Sprint(several)
	}
	return strings.TrimSpace(words + " " + settings.String())
}

// attempt makes one commit for the queries and pushes it once. errStale means
// that the branch moved on.
func (p *Publisher) attempt(ctx context.Context, m *mirror, j orchestrator.Job, qs []*query, adv *packp.AdvRefs) error {
	files, changes, err := edits(ctx, m, qs)
	if err != nil {
		return err
	}
	d, err := p.draft(ctx, m, files, message(j, changes))
	if err != nil {
		return err
	}
	if _, err := m.push(ctx, onto(m.branch, m.tip, d), d, adv); err != nil {
		return proposable(err, j, qs[0])
	}
	return d.save(m)
}

// proposable says of a protected branch how to go on with it.
func proposable(err error, j orchestrator.Job, q *query) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Code == orchestrator.CodeProtected {
		e.Hint = fmt.Sprintf("\"rollout service set-publish %s %s branch\" has rollout propose its commits on branches of their own, for a person to merge; or %s", j.Scope.App, q.item.Service, e.Hint)
	}
	return err
}

// edits applies the intents to the files at the tip.
func edits(ctx context.Context, m *mirror, qs []*query) (map[string][]byte, []change, error) {
	tip, err := m.node(m.tip)
	if err != nil {
		return nil, nil, err
	}
	files, changes := map[string][]byte{}, []change(nil)
	for _, q := range qs {
		s, err := q.state(ctx, m, tip)
		if err != nil {
			return nil, nil, err
		}
		if _, twice := files[s.path]; twice {
			return nil, nil, q.refuse(orchestrator.CodeFile, "give each service a file of its own", "%s: two services share this file", s.path)
		}
		e, err := s.file.Edit(q.change())
		if err != nil {
			return nil, nil, q.about(err)
		}
		if err := q.ready(ctx, m, tip); err != nil {
			return nil, nil, err
		}
		files[s.path] = e.Bytes
		changes = append(changes, change{service: q.item.Service, from: s.version, to: q.item.Version,
			settings: orchestrator.ChangedSettings(s.settings, q.item.Settings)})
	}
	return files, changes, nil
}

// onto is the command that brings a branch from old to the draft's commit.
func onto(branch string, old plumbing.Hash, d *draft) *packp.Command {
	return &packp.Command{Name: plumbing.NewBranchReferenceName(branch), Old: old, New: d.commit}
}

// push sends a command with the draft's objects, and returns what the server
// said. go-git's own Push would walk the whole tree to find what is new; that is
// known here.
func (m *mirror) push(ctx context.Context, c *packp.Command, d *draft, adv *packp.AdvRefs) (said string, err error) {
	pack, err := d.pack()
	if err != nil {
		return "", err
	}
	words := &tail{}
	req := packp.NewReferenceUpdateRequestFromCapabilities(adv.Capabilities)
	if adv.Capabilities.Supports(capability.Sideband64k) {
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return "", fmt.Errorf("push: %w", err)
		}
		req.Progress = words
	}
	req.Commands = []*packp.Command{c}
	req.Packfile = io.NopCloser(pack)
	report, err := m.link.receive(ctx, req)
	if report == nil {
		return "", m.unanswered(ctx, err, words.String())
	}
	return words.String(), m.verdict(c.Name, report, words.String())
}

// pack holds the draft's objects.
func (d *draft) pack() (*bytes.Buffer, error) {
	var b bytes.Buffer
	if _, err := packfile.NewEncoder(&b, d.objects, false).Encode(d.hashes, 0); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return &b, nil
}

// unanswered names a push that came without a report.
func (m *mirror) unanswered(ctx context.Context, err error, words string) error {
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if !m.link.sent() {
		return err
	}
	named := m.remote.classify(ctx, err)
	if named.Result == orchestrator.Refused && named.Code != orchestrator.CodeUnexpected {
		return named
	}
	return &Error{Result: orchestrator.Unknown, err: err,
		Words: strings.TrimSpace("the push was sent, but its answer was lost: " + err.Error() + " " + oneLine(words)),
		Hint:  "the branch will be looked at before anything is pushed again"}
}

// verdict names the server's report on a push.
func (m *mirror) verdict(ref plumbing.ReferenceName, report *packp.ReportStatus, words string) error {
	status := statusOf(report)
	if status == "ok" {
		return nil
	}
	return m.rejected(ref, status, words)
}

// statusOf is what the report says of our one command, or of the pack.
func statusOf(report *packp.ReportStatus) string {
	switch {
	case report.UnpackStatus != "ok":
		return "unpack " + report.UnpackStatus
	case len(report.CommandStatuses) != 1:
		return fmt.Sprintf("a report on %d commands instead of one", len(report.CommandStatuses))
	}
	return report.CommandStatuses[0].Status
}

func (m *mirror) rejected(ref plumbing.ReferenceName, status, words string) error {
	kind, name := "branch", ref.Short()
	if ref.IsTag() {
		kind = "tag"
	}
	all := strings.ToLower(status + "\n" + words)
	said := oneLine(words)
	if said == "" {
		said = status
	}
	switch {
	case containsAny(all, "protected branch", "gh006", "gh013", "protected ref"):
		return refusal(orchestrator.CodeProtected,
			fmt.Sprintf("allow this account to push to %q in the server's %s protection", name, kind), "%s %q is protected: %s", kind, name, said)
	case containsAny(all, "not allowed to push", "permission denied", "not authorized", "access denied", "read-only", "read only"):
		return m.remote.denied(said)
	case containsAny(strings.ToLower(status), "hook declined", "hook"):
		return refusal(orchestrator.CodeHook, "the words are those of a hook on the server: ask whoever runs it", "%s: %s", status, said)
	case containsAny(strings.ToLower(status), "non-fast-forward", "fetch first", "stale", "incorrect old value", "lock", "failed to update ref", "but expected", "already exists"):
		return fmt.Errorf("%w: %s", errStale, said)
	}
	return refusal(orchestrator.CodeUnexpected, "", "the server refused the push: %s: %s", status, said)
}
