package fleetyaml

// Severity says what a finding means for a rollout.
type Severity string

// The severities.
const (
	Info    Severity = "info"    // as it is
	Warning Severity = "warning" // works, but probably not as its writer thinks
	Blocker Severity = "blocker" // Edit would refuse, or the rollout could never finish
)

// Finding is something that a person who sets a service up should see.
type Finding struct {
	Severity Severity
	Code     Code
	Line     int    // 0: no single place
	Entry    string // as in Error.Entry
	Field    Field
	Version  string   // CodeEntry, CodeNumber: what the field says now
	Nonce    int64    // CodeEntry: the entry's nonce, 0 if none
	Clusters []string // sorted; for CodeEntry the ring's clusters that get the entry
	Msg      string
	Hint     string
}

// Inspect tells what a rollout to the ring would find. Version and Nonce of the change are not looked at.
func (f *File) Inspect(c Change) []Finding { return nil }

// Strategy tells what the bundle's own rolloutStrategy does to a rollout of the ring.
func (f *File) Strategy(ring []Cluster, targets []Target) []Finding { return nil }
