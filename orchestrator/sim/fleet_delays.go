package sim

import "time"

// Delay is how long something takes: from Min to Max, all equally likely.
type Delay struct{ Min, Max time.Duration }

// Exactly is a delay without a spread.
func Exactly(d time.Duration) Delay { return Delay{d, d} }

func (w *World) draw(d Delay) time.Duration {
	if d.Max <= d.Min {
		return d.Min
	}
	return d.Min + time.Duration(w.rand.Int64N(int64(d.Max-d.Min)+1))
}

// Delays are how long the parts of a fleet take.
type Delays struct {
	// Our side.
	Fetch   Delay // fetching a branch
	Push    Delay // pushing a commit, after the fetch
	Call    Delay // a call of the manager's API: the claim, a hint
	Check   Delay // a sample of an external check
	Timeout Delay // until what cannot be reached is given up

	// From the branch to the Bundle.
	Hint       Delay         // from a hint to the git job
	Poll       time.Duration // between two looks at the branch; 10 % more or less for each GitRepo
	JobStart   Delay         // from the choice of the commit to the clone: a Pod is scheduled, its image pulled
	JobRun     Delay         // from the clone to the Bundle
	JobRestart time.Duration // a new job waits so long when the object of the last one is still there

	// From the Bundle to the clusters.
	Values  time.Duration // the Secret with changed Helm values comes so long after the Bundle
	Bundle  Delay         // from the Bundle to a BundleDeployment
	Relabel Delay         // from a Cluster's label to its BundleDeployments
	Apply   Delay         // until an agent acts on a BundleDeployment
	Ready   Delay         // until a workload runs
	Notice  time.Duration // until an agent sees that a workload changed (its debounce)

	// Back to us.
	CheckIn   time.Duration // between two check-ins of an agent
	FirstSign time.Duration // from an agent's start to its first check-in
	List      Delay         // until a watch has listed all there is
	Watch     Delay         // from a change to the watcher; what changes meanwhile comes with it
	Heard     time.Duration // signs of life alone are sent so often
	Resync    time.Duration // until a watch that lost something finds out
}

// DefaultDelays are those of a real Fleet, as measured.
func DefaultDelays() Delays {
	ms := time.Millisecond
	return Delays{
		Fetch: Delay{100 * ms, 600 * ms}, Push: Delay{100 * ms, 800 * ms}, Call: Delay{5 * ms, 80 * ms},
		Check: Delay{50 * ms, 2 * time.Second}, Timeout: Delay{time.Second, 20 * time.Second},
		Hint: Delay{150 * ms, 300 * ms}, Poll: 15 * time.Second, JobStart: Delay{500 * ms, 4 * time.Second},
		JobRun: Delay{200 * ms, 1500 * ms}, JobRestart: 5 * time.Second,
		Values: 5 * time.Second, Bundle: Delay{100 * ms, 900 * ms}, Relabel: Delay{100 * ms, 3500 * ms},
		Apply: Delay{150 * ms, 1200 * ms}, Ready: Delay{time.Second, 20 * time.Second}, Notice: 5 * time.Second,
		CheckIn: 15 * time.Minute, FirstSign: 15 * time.Second, List: Delay{50 * ms, 800 * ms},
		Watch: Delay{5 * ms, 60 * ms}, Heard: 5 * time.Second, Resync: 5 * time.Minute,
	}
}

// InstantDelays are those of a fleet that does everything at once.
func InstantDelays() Delays {
	return Delays{Poll: 15 * time.Second, CheckIn: time.Minute, Heard: 5 * time.Second, Resync: time.Minute}
}
