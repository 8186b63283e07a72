package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/orchestrator"
	"rollout/rings"
)

var _ orchestrator.Claim = (*Claims)(nil)

const (
	// claimRollout is the annotation with the rollout's id.
	claimRollout = "rollout/rollout"

	// DefaultClaimDuration is how long a claim holds after it was last renewed.
	DefaultClaimDuration = time.Minute
	// renewals is how often a claim is renewed within its duration.
	renewals = 4
	// claimTries bounds how often a write is tried again when others write at
	// the same time.
	claimTries = 5
)

// ClaimOptions are for NewClaims.
type ClaimOptions struct {
	// Store is the id of the store that the claims are taken for. A process
	// with the same store takes over at once.
	Store string
	// Holder is what people know the store by: "user@host:/path". "" means Store.
	Holder string
	// Duration is how long a claim holds after it was last renewed; 0 means
	// DefaultClaimDuration.
	Duration time.Duration
}

// Claims are Leases in the workspace, one for an application's ring: its holder
// is the store, leaseTransitions its epoch, which grows with every taking, and
// an annotation names the rollout. All times in it are the API server's. A
// Lease that was given up stays, without a holder, so that no epoch comes twice.
// Safe for concurrent use.
type Claims struct {
	m *Manager
	o ClaimOptions

	mu      sync.Mutex
	held    map[claimKey]*hold
	watched map[claimKey]sighting // other stores' claims
	without bool                  // leases are forbidden here
	closed  bool
	renewer sync.WaitGroup
}

type claimKey struct{ namespace, name string }

// hold is a claim that this process took.
type hold struct {
	epoch   int32
	rollout orchestrator.ID
	stop    context.CancelFunc
	renewed time.Time // local, monotonic: when the last renewal that arrived was begun
}

// sighting is when somebody else's renewal was first seen.
type sighting struct {
	renewed time.Time // as the Lease says
	at      time.Time // local, monotonic
	moved   bool      // it changed while we looked, so its holder is alive
}

// NewClaims prepares for taking claims; it does not speak with the manager.
// Close must be called at the end.
func NewClaims(m *Manager, o ClaimOptions) *Claims {
	o.Duration = cmp.Or(o.Duration, DefaultClaimDuration)
	return &Claims{m: m, o: o, held: map[claimKey]*hold{}, watched: map[claimKey]sighting{}}
}

// claimName has a dot because neither an application's nor a ring's name has:
// so no two pairs make the same. It is at most 135 bytes of the 253 allowed.
func claimName(s orchestrator.Scope, ring rings.RingName) claimKey {
	return claimKey{s.Workspace, fmt.Sprintf("rollout-%s.%s", s.App, ring)}
}

func (k claimKey) request(verb string) request {
	return request{verb: verb, resource: "leases.coordination.k8s.io", namespace: k.namespace, name: k.name}
}

// Take implements orchestrator.Claim.
func (c *Claims) Take(ctx context.Context, s orchestrator.Scope, ring rings.RingName, id orchestrator.ID) orchestrator.Outcome {
	k := claimName(s, ring)
	if c.holds(k, id) && c.Confirm(ctx, s, ring) == nil {
		return orchestrator.Outcome{Result: orchestrator.OK}
	}
	var err error
	for range claimTries {
		if err = c.try(ctx, k, id); !isConflict(err) && !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return c.taken(err)
}

// taken is the outcome of a taking.
func (c *Claims) taken(err error) orchestrator.Outcome {
	taken, isTaken := errors.AsType[*claimedError](err)
	switch {
	case err == nil:
		return orchestrator.Outcome{Result: orchestrator.OK}
	case isTaken:
		return orchestrator.Outcome{Result: orchestrator.Refused, Code: orchestrator.CodeClaimed, Words: taken.Error(),
			Hint: "wait for that rollout, or end it where it was started"}
	case errors.Is(err, ErrForbidden):
		out := orchestrator.Outcome{Result: orchestrator.OK}
		if c.giveUp() {
			out.Words = fmt.Sprintf("%v: another store's rollout on this ring would not be noticed", err)
		}
		return out
	}
	return Outcome(err)
}

// giveUp notes that there are no leases here, and reports whether that is news.
func (c *Claims) giveUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	news := !c.without
	c.without = true
	return news
}

func (c *Claims) holds(k claimKey, id orchestrator.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[k]
	return h != nil && h.rollout == id
}

// claimedError says who holds a claim.
type claimedError struct {
	key            claimKey
	holder         string
	rollout        string
	since, expires time.Time
}

// Error names the holder.
func (e *claimedError) Error() string {
	return fmt.Sprintf("claimed by %s for rollout %q since %s, at least until %s (Lease %q in namespace %q)", e.holder,
		e.rollout, e.since.UTC().Format(time.RFC3339), e.expires.UTC().Format(time.RFC3339), e.key.name, e.key.namespace)
}

// try takes the claim once; a conflict means that somebody else wrote.
func (c *Claims) try(ctx context.Context, k claimKey, id orchestrator.ID) error {
	began := c.m.now()
	lease, err := c.read(ctx, k)
	if apierrors.IsNotFound(err) {
		lease = &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: k.name}}
		c.write(lease, id)
		if err := c.m.client.Create(ctx, lease); err != nil {
			return k.request("create").fail(err)
		}
		return c.hold(k, id, lease, began)
	}
	if err != nil {
		return k.request("get").fail(err)
	}
	if err := c.refuses(k, lease); err != nil {
		return err
	}
	c.write(lease, id)
	if err := c.m.client.Update(ctx, lease); err != nil {
		return k.request("update").fail(err)
	}
	return c.hold(k, id, lease, began)
}

func (c *Claims) read(ctx context.Context, k claimKey) (*coordv1.Lease, error) {
	var lease coordv1.Lease
	err := c.m.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: k.name}, &lease)
	return &lease, err
}

// serverNow is the API server's time, or ours before its first answer.
func (c *Claims) serverNow() time.Time {
	if now, ok := c.m.clock.Now(); ok {
		return now
	}
	return c.m.now()
}

// write makes the lease ours, with the next epoch.
func (c *Claims) write(lease *coordv1.Lease, id orchestrator.ID) {
	now := metav1.NewMicroTime(c.serverNow())
	lease.Spec.HolderIdentity = ptr.To(c.o.Store)
	lease.Spec.LeaseDurationSeconds = ptr.To(int32((c.o.Duration + time.Second - 1) / time.Second))
	lease.Spec.AcquireTime, lease.Spec.RenewTime = &now, &now
	lease.Spec.LeaseTransitions = ptr.To(ptr.Deref(lease.Spec.LeaseTransitions, 0) + 1)
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	lease.Annotations[claimRollout] = string(id)
	lease.Annotations[claimHolder] = cmp.Or(c.o.Holder, c.o.Store)
}

// claimHolder is the annotation with what people know the store by.
const claimHolder = "rollout/holder"

// refuses returns a claimedError while another store holds the lease.
func (c *Claims) refuses(k claimKey, lease *coordv1.Lease) error {
	holder := ptr.Deref(lease.Spec.HolderIdentity, "")
	if holder == "" || holder == c.o.Store {
		return nil
	}
	expires := c.expiry(k, lease)
	if !c.serverNow().Before(expires) {
		return nil
	}
	return &claimedError{key: k, holder: cmp.Or(lease.Annotations[claimHolder], holder),
		rollout: lease.Annotations[claimRollout], since: timeOf(lease.Spec.AcquireTime), expires: expires}
}

// expiry is when another store's lease runs out, in the API server's time: its
// duration after the time of its last renewal. If it was renewed while we
// looked, it is also its duration after that, whatever clock its holder has.
func (c *Claims) expiry(k claimKey, lease *coordv1.Lease) time.Time {
	duration := time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0)) * time.Second
	renewed := timeOf(lease.Spec.RenewTime)
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.watched[k]
	if !known || !before.renewed.Equal(renewed) {
		before = sighting{renewed: renewed, at: c.m.now(), moved: known}
		c.watched[k] = before
	}
	expires := renewed.Add(duration)
	if left := duration - c.m.now().Sub(before.at); before.moved && left > 0 {
		if seen := c.serverNow().Add(left); seen.After(expires) {
			return seen
		}
	}
	return expires
}

func timeOf(t *metav1.MicroTime) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// hold notes the claim and starts its renewing.
func (c *Claims) hold(k claimKey, id orchestrator.ID, lease *coordv1.Lease, began time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("%s: %w: closed", k.request("take"), ErrClaimLost)
	}
	if old := c.held[k]; old != nil {
		old.stop()
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &hold{epoch: ptr.Deref(lease.Spec.LeaseTransitions, 0), rollout: id, stop: stop, renewed: began}
	c.held[k] = h
	delete(c.watched, k)
	c.renewer.Go(func() { c.keep(ctx, k, h) })
	return nil
}

// keep renews the claim until it is stopped or lost.
func (c *Claims) keep(ctx context.Context, k claimKey, h *hold) {
	for sleep(ctx, c.o.Duration/renewals) {
		if errors.Is(c.renew(ctx, k, h), ErrClaimLost) {
			return
		}
	}
}

// renew writes the present time. A conflict or an outage is made up for by the
// next renewal.
func (c *Claims) renew(ctx context.Context, k claimKey, h *hold) error {
	ctx, cancel := context.WithTimeout(ctx, c.o.Duration/renewals)
	defer cancel()
	began := c.m.now()
	lease, err := c.read(ctx, k)
	if err != nil && !apierrors.IsNotFound(err) {
		return k.request("get").fail(err)
	}
	if err := c.ours(k, lease, h); err != nil {
		return err
	}
	now := metav1.NewMicroTime(c.serverNow())
	lease.Spec.RenewTime = &now
	if err := c.m.client.Update(ctx, lease); err != nil {
		return k.request("update").fail(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	h.renewed = began
	return nil
}

// ours returns ErrClaimLost unless the lease is the one that was taken.
func (c *Claims) ours(k claimKey, lease *coordv1.Lease, h *hold) error {
	holder, epoch := ptr.Deref(lease.Spec.HolderIdentity, ""), ptr.Deref(lease.Spec.LeaseTransitions, 0)
	if holder == c.o.Store && epoch == h.epoch {
		return nil
	}
	by := cmp.Or(lease.Annotations[claimHolder], holder, "nobody")
	return fmt.Errorf("%s: %w: it is held by %s for rollout %q, epoch %d, ours was %d", k.request("confirm"), ErrClaimLost,
		by, lease.Annotations[claimRollout], epoch, h.epoch)
}

// Confirm implements orchestrator.Claim. The error wraps ErrClaimLost when the
// claim is not held, ErrUnreachable when that cannot be found out.
func (c *Claims) Confirm(ctx context.Context, s orchestrator.Scope, ring rings.RingName) error {
	k := claimName(s, ring)
	c.mu.Lock()
	h, without := c.held[k], c.without
	c.mu.Unlock()
	if h == nil && without {
		return nil
	}
	if h == nil {
		return fmt.Errorf("%s: %w: it was not taken", k.request("confirm"), ErrClaimLost)
	}
	lease, err := c.read(ctx, k)
	if err != nil && !apierrors.IsNotFound(err) {
		return k.request("get").fail(err)
	}
	return c.ours(k, lease, h)
}

// Release implements orchestrator.Claim.
func (c *Claims) Release(ctx context.Context, s orchestrator.Scope, ring rings.RingName) error {
	k := claimName(s, ring)
	c.mu.Lock()
	h := c.held[k]
	delete(c.held, k)
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	h.stop()
	for {
		err := c.vacate(ctx, k, h)
		if !isConflict(err) {
			return err
		}
	}
}

// vacate empties the lease if it is the one that was taken.
func (c *Claims) vacate(ctx context.Context, k claimKey, h *hold) error {
	lease, err := c.read(ctx, k)
	if err != nil {
		return k.request("get").fail(client.IgnoreNotFound(err))
	}
	if c.ours(k, lease, h) != nil {
		return nil
	}
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = nil, nil
	delete(lease.Annotations, claimRollout)
	delete(lease.Annotations, claimHolder)
	return k.request("update").fail(c.m.client.Update(ctx, lease))
}

// Holder says who holds the claim on (application, ring) now, and false when
// nobody else's store does, or when it cannot be found out.
func (c *Claims) Holder(ctx context.Context, s orchestrator.Scope, ring rings.RingName) (string, bool) {
	k := claimName(s, ring)
	lease, err := c.read(ctx, k)
	if err != nil {
		return "", false
	}
	if err := c.refuses(k, lease); err != nil {
		return err.Error(), true
	}
	return "", false
}

// Close stops the renewing and waits for it. Claims that were not released run
// out by themselves; the same store may take them before.
func (c *Claims) Close() {
	c.mu.Lock()
	c.closed = true
	for _, h := range c.held {
		h.stop()
	}
	c.mu.Unlock()
	c.renewer.Wait()
}
