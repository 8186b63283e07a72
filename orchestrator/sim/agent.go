package sim

import (
	"time"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

// cluster is a downstream cluster with its agent, and its Cluster object.
type cluster struct {
	name     rings.ClusterName
	labels   map[string]string // not written once they are there
	labelSet int
	removed  bool

	paused, offSchedule bool // of the Cluster object
	dead                bool // its agent, or the way to it

	since       time.Duration // some check-in; later ones follow at an interval
	last        time.Duration // the last one before since; none before lastKnown
	lastKnown   bool
	deployments []*deployment // by the Bundle's index
}

// deployment is a BundleDeployment, with what is true of it on its cluster.
type deployment struct {
	bundle  *bundle
	cluster *cluster

	// What Fleet's controllers write.
	commit            string // its label
	staged, spec      *release
	awaits            bool // its Helm values
	deleting, removed bool

	status status // what the agent wrote
	agent  status // what it wants to write
	live   live

	turn   int           // of the agent: a later one makes an earlier one void
	tries  int           // in vain, for spec
	since  time.Duration // the agent is at it
	upset  Behaviour     // what faults made of it
	writes time.Duration // not before this is the next status written
}

// status are the fields that an agent reports.
type status struct {
	applied                            *release
	nonce                              int64
	ready, nonModified                 bool
	installError, deployError, problem string
	readyAt                            time.Duration // when the Ready condition last changed
	readyKnown                         bool
	moved                              time.Duration // when any of it did
	seen                               time.Duration // the same, by the clock of whoever watches
}

// live is what runs on the cluster.
type live struct {
	release *release // nil: nothing
	healthy bool
	half    bool // a failed upgrade changed some objects and not the others
	foreign bool // somebody changed an object by hand
	why     string
}

// fleet is the cluster as Fleet's matching sees it.
func (c *cluster) fleet() fleetyaml.Cluster {
	return fleetyaml.Cluster{Name: string(c.name), Labels: c.labels, Groups: defaultGroup}
}

// defaultGroup is what a GitRepo without targets deploys to.
var defaultGroup = []fleetyaml.Group{{Name: "default"}}

func (c *cluster) deployment(b *bundle) *deployment {
	if b.index >= len(c.deployments) {
		return nil
	}
	return c.deployments[b.index]
}

func (c *cluster) set(b *bundle, d *deployment) {
	for b.index >= len(c.deployments) {
		c.deployments = append(c.deployments, nil)
	}
	c.deployments[b.index] = d
}

func (w *World) newDeployment(b *bundle, c *cluster) *deployment {
	d := &deployment{bundle: b, cluster: c}
	c.set(b, d)
	return d
}

// unavailable is Fleet's word: it is not as it was told to be, or not ready.
func (d *deployment) unavailable() bool { return d.spec != d.status.applied || !d.status.ready }

// checkedIn is the agent's last check-in; false when there was none.
func (w *World) checkedIn(c *cluster) (time.Duration, bool) {
	if c.dead || w.now < c.since {
		return c.last, c.lastKnown
	}
	return c.since + (w.now-c.since)/w.Delays.CheckIn*w.Delays.CheckIn, true
}

// nextCheckIn is the one after that; the zero time when there will be none.
func (w *World) nextCheckIn(c *cluster) time.Duration {
	switch {
	case c.dead || c.removed:
		return 0
	case w.now < c.since:
		return c.since
	}
	return c.since + ((w.now-c.since)/w.Delays.CheckIn+1)*w.Delays.CheckIn
}

// loseCheckIn makes the Cluster say what it said before its agent's last
// check-in, until the next one.
func (w *World) loseCheckIn(c *cluster) {
	if c.dead || w.now < c.since {
		return
	}
	if at, _ := w.checkedIn(c); at > c.since {
		c.last, c.lastKnown = at-w.Delays.CheckIn, true
	}
	c.since = w.nextCheckIn(c)
	w.tell("the last check-in of %s is lost", c.name)
}

// KillAgent cuts a cluster's agent off: what runs there goes on, and what was
// said of it stands.
func (w *World) KillAgent(name rings.ClusterName) {
	c := w.mustCluster(name)
	if c.dead {
		return
	}
	c.last, c.lastKnown = w.checkedIn(c)
	c.dead = true
	w.tell("the agent of %s dies", name)
}

// ReviveAgent brings it back: it checks in, works off what it missed, and
// reports what it sees.
func (w *World) ReviveAgent(name rings.ClusterName) {
	c := w.mustCluster(name)
	if !c.dead {
		return
	}
	c.dead = false
	c.since = w.now + w.Delays.FirstSign
	w.tell("the agent of %s is back", name)
	for _, d := range c.deployments {
		if d != nil {
			w.wake(d)
			w.notice(d)
		}
	}
}

// Alive reports whether the cluster is there and its agent is not cut off.
func (w *World) Alive(name rings.ClusterName) bool {
	c := w.cluster(name)
	return c != nil && !c.dead
}

// PauseCluster holds a cluster, or lets it go on: what is new is staged, and
// not released.
func (w *World) PauseCluster(name rings.ClusterName, paused bool) {
	c := w.mustCluster(name)
	c.paused = paused
	w.tell("cluster %s paused: %t", name, paused)
	w.touchAll(c)
	for _, d := range c.deployments {
		if d != nil && !paused {
			w.letGo(d)
			w.wake(d)
		}
	}
}

// SetSchedule takes a cluster off its schedule, or puts it back: off schedule,
// its BundleDeployments change and its agent ignores them.
func (w *World) SetSchedule(name rings.ClusterName, off bool) {
	c := w.mustCluster(name)
	c.offSchedule = off
	w.tell("cluster %s off schedule: %t", name, off)
	w.touchAll(c)
	for _, d := range c.deployments {
		if d != nil && !off {
			w.wake(d)
		}
	}
}

// EditByHand is somebody's `kubectl` on what the service runs on the cluster:
// it shows after a while as modified, and the next upgrade hangs in a conflict
// that Fleet says nothing about, until it is undone.
func (w *World) EditByHand(service rings.ServiceName, cluster rings.ClusterName, undone bool) {
	d := w.mustCluster(cluster).deployment(w.bundle(service))
	if d == nil || d.live.release == nil || d.live.foreign == !undone {
		return
	}
	d.live.foreign = !undone
	w.tell("%s on %s differs by hand: %t", service, cluster, !undone)
	w.notice(d)
	if undone {
		w.wake(d)
	}
}
