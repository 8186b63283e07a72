package sim

import (
	"fmt"
	"slices"
	"time"
)

// chunks is into how many groups Fleet's workers part the clusters of a large
// Bundle; those of a small one are written one by one.
const chunks = 24

// writeBundle is what `fleet apply` does: the Bundle gets label and content at
// once. The Secret with its values comes after it, and until then the targets
// cannot be computed: old labels, and old words, stand.
func (w *World) writeBundle(b *bundle, commit string, k *content) {
	b.commit = commit
	b.pass++
	pass, wait := b.pass, time.Duration(0)
	if w.valuesDiffer(b, k) {
		wait = w.Delays.Values
	}
	if k.file != nil {
		b.maxNonce = max(b.maxNonce, k.file.MaxNonce())
	}
	w.touchBundle(b)
	w.After(wait, func() {
		if b.pass == pass {
			w.computeTargets(b, commit, k)
		}
	})
}

// valuesDiffer reports whether anybody's values differ from what is deployed.
func (w *World) valuesDiffer(b *bundle, k *content) bool {
	if b.content == k {
		return false
	}
	for _, c := range w.clusters {
		x, y := b.effect(b.content, c), b.effect(k, c)
		if x.Version != y.Version || !slices.Equal(x.Settings, y.Settings) || x.Digest != y.Digest {
			return true
		}
	}
	return false
}

// computeTargets is a pass of the Bundle's controller. One that fails touches no
// BundleDeployment.
func (w *World) computeTargets(b *bundle, commit string, k *content) {
	was := b.err
	b.err = w.targetingError(b, k)
	if b.err != was {
		w.touchBundle(b)
	}
	if b.err != "" {
		if b.err != was {
			w.tell("Bundle %s at %.8s: %s", b.service.Bundle, commit, b.err)
		}
		return
	}
	b.deployed, b.content = commit, k
	size := max(1, len(w.clusters)/chunks)
	for group := range slices.Chunk(slices.Clone(w.clusters), size) {
		w.After(w.draw(w.Delays.Bundle), func() {
			for _, c := range group {
				w.target(b, c)
			}
		})
	}
}

// targetingError is why the targets cannot be computed, "" when they can. One
// cluster's template fails the whole Bundle.
func (w *World) targetingError(b *bundle, k *content) string {
	switch {
	case b.fails != "":
		return "targeting error: " + b.fails
	case k.viewErr != nil:
		return "targeting error: " + k.viewErr.Error()
	}
	for _, c := range w.clusters {
		for _, label := range k.needs {
			if _, has := c.labels[label]; !has && b.effect(k, c).Deployed {
				return fmt.Sprintf("targeting error: cluster %s in namespace clusters: failed to render helm values template: "+
					"template: values: executing \"values\" at <.ClusterLabels.%s>: map has no entry for key %q", c.name, label, label)
			}
		}
	}
	return ""
}

// retarget has Fleet look at a cluster whose object changed, Bundle by Bundle.
func (w *World) retarget(c *cluster) {
	if !w.begun {
		return
	}
	for _, b := range w.bundles {
		w.After(w.draw(w.Delays.Relabel), func() { w.target(b, c) })
	}
}

// target brings one BundleDeployment to what its Bundle says: its label always,
// its options when it may go.
func (w *World) target(b *bundle, c *cluster) {
	if c.removed || b.deployed == "" {
		return
	}
	e, d := b.effect(b.content, c), c.deployment(b)
	if !e.Deployed {
		if d != nil {
			w.drop(d)
		}
		return
	}
	if d == nil {
		d = w.newDeployment(b, c)
		w.touch(d)
	}
	r := b.release(b.content, e)
	if d.commit == b.deployed && d.staged == r {
		return
	}
	d.commit, d.staged = b.deployed, r
	w.touch(d)
	w.letGo(d)
}

// letGo moves what is staged to what the agent acts on, unless something holds
// the cluster back: a pause, or the Bundle's own rolloutStrategy.
func (w *World) letGo(d *deployment) {
	if d.spec == d.staged || d.cluster.paused || !w.mayGo(d) {
		return
	}
	d.spec = d.staged
	b := d.bundle
	if d.spec.nonce > b.maxNonce {
		b.maxNonce = d.spec.nonce
		w.touchBundle(b)
	}
	d.awaits = w.happens(w.Faults.AwaitsValues)
	if d.awaits {
		w.After(w.draw(Delay{time.Second, time.Minute}), func() {
			d.awaits = false
			w.touch(d)
			w.wake(d)
		})
	}
	w.touch(d)
	w.wake(d)
}

// mayGo applies maxUnavailable: a cluster goes while fewer than that many are
// unavailable, and always when it is unavailable itself.
func (w *World) mayGo(d *deployment) bool {
	if d.bundle.limit == 0 || d.unavailable() {
		return true
	}
	n := 0
	for _, c := range w.clusters {
		if o := c.deployment(d.bundle); o != nil && o.unavailable() {
			n++
		}
	}
	return n < d.bundle.limit
}

// rollOn lets clusters go that were held back, by name.
func (w *World) rollOn(b *bundle) {
	if b.rolling || !w.begun {
		return
	}
	b.rolling = true
	w.After(w.draw(w.Delays.Bundle), func() {
		b.rolling = false
		for _, c := range w.clusters {
			if d := c.deployment(b); d != nil {
				w.letGo(d)
			}
		}
	})
}

// drop deletes a BundleDeployment; its agent uninstalls what it deployed.
func (w *World) drop(d *deployment) {
	if d.deleting {
		return
	}
	d.deleting = true
	w.touch(d)
	w.After(w.draw(w.Delays.Bundle), func() {
		d.removed = true
		d.cluster.set(d.bundle, nil)
		w.touch(d)
		w.target(d.bundle, d.cluster) // it may be wanted again
	})
}
