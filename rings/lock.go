package rings

import (
	"fmt"
	"strings"
	"time"
)

// Lock keeps automation and new starts away from a part of an application. An
// empty Ring, Service or Cluster means all of them. Several holders may lock
// the same part: it is free when none does.
type Lock struct {
	App     AppName     `json:"app"`
	Ring    RingName    `json:"ring,omitempty"`
	Service ServiceName `json:"service,omitempty"`
	// Cluster holds every ring that the cluster is on: a change of a ring is one
	// commit for all of its clusters.
	Cluster ClusterName `json:"cluster,omitempty"`
	// Group is a ClusterGroup of Fleet, and holds like each of the clusters that
	// are in it now. Who knows which these are makes one lock for each of them,
	// with its Cluster set: see Barriers.Spread. Alone it covers nothing.
	Group  string    `json:"group,omitempty"`
	Holder string    `json:"holder"` // whose lock it is; one a holder and part
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	Link   string    `json:"link,omitempty"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is released
}

// Stands reports whether the lock has not run out.
func (l Lock) Stands(now time.Time) bool { return l.Until.IsZero() || now.Before(l.Until) }

// Covers reports whether the lock holds the service on the ring with these
// clusters. An empty service asks whether it holds the ring as a whole.
func (l Lock) Covers(ring RingName, service ServiceName, clusters []ClusterName) bool {
	if !l.Reaches(ring, service) {
		return false
	}
	if l.Cluster == "" {
		return l.Group == ""
	}
	for _, c := range clusters {
		if c == l.Cluster {
			return true
		}
	}
	return false
}

// Reaches reports whether the lock may hold the service on the ring: whether it
// does depends on the ring's clusters, if the lock is on clusters.
func (l Lock) Reaches(ring RingName, service ServiceName) bool {
	return (l.Ring == "" || l.Ring == ring) && (l.Service == "" || l.Service == service)
}

// Same reports whether both are the lock of one holder on one part, whenever
// it was set. What a lock on a group was made into is the same lock.
func (l Lock) Same(o Lock) bool {
	return l.App == o.App && l.Ring == o.Ring && l.Service == o.Service && l.Group == o.Group && (l.Cluster == o.Cluster || l.Group != "") && l.Holder == o.Holder
}

// Part is what is locked, for people: "service web on ring-1".
func (l Lock) Part() string {
	var words []string
	if l.Service != "" {
		words = append(words, "service "+string(l.Service))
	}
	switch {
	case l.Ring != "" && l.Service != "":
		words = append(words, "on "+string(l.Ring))
	case l.Ring != "":
		words = append(words, string(l.Ring))
	case l.clusters() != "" && l.Service != "":
		words = append(words, "on "+l.clusters())
	case l.clusters() != "":
		words = append(words, l.clusters())
	}
	if len(words) == 0 {
		return "application " + string(l.App)
	}
	return strings.Join(words, " ")
}

// clusters is on which clusters the lock is: "cluster eu-7", "cluster group
// prod", and once it is known "cluster eu-7 of group prod"; "" for all.
func (l Lock) clusters() string {
	switch {
	case l.Group != "" && l.Cluster != "":
		return fmt.Sprintf("cluster %s of group %s", l.Cluster, l.Group)
	case l.Group != "":
		return "cluster group " + l.Group
	case l.Cluster != "":
		return "cluster " + string(l.Cluster)
	}
	return ""
}

// Validate returns an *InvalidError that names every fault, or nil. Whether the
// ring and the service are there is not asked.
func (l Lock) Validate() error {
	var faults []string
	if l.Ring != "" && l.Cluster != "" {
		faults = append(faults, fmt.Sprintf("ring %q and cluster %q exclude each other: a locked cluster holds every ring that it is on", l.Ring, l.Cluster))
	}
	if l.Group != "" && (l.Ring != "" || l.Cluster != "") {
		faults = append(faults, fmt.Sprintf("cluster group %q excludes a ring and a cluster: it holds every ring that one of its clusters is on", l.Group))
	}
	if strings.TrimSpace(l.Holder) == "" {
		faults = append(faults, "the holder is missing")
	}
	if strings.TrimSpace(l.Reason) == "" {
		faults = append(faults, "the reason is missing")
	}
	if HasControl(l.Holder + l.Reason + l.Link) {
		faults = append(faults, "the holder, the reason or the link has a control character")
	}
	if !l.Until.IsZero() && !l.At.Before(l.Until) {
		faults = append(faults, fmt.Sprintf("it ends at %s, which is over", l.Until.UTC().Format(time.RFC3339)))
	}
	return invalid("lock of "+l.Part(), faults...)
}

// Words say who locked what, since when, until when and why.
func (l Lock) Words() string {
	until := "until it is released"
	if !l.Until.IsZero() {
		until = "until " + l.Until.UTC().Format(time.RFC3339)
	}
	words := fmt.Sprintf("%s is locked by %s", l.Part(), l.Holder)
	if l.By != l.Holder {
		words += fmt.Sprintf(" (set by %s)", l.By)
	}
	words += fmt.Sprintf(" since %s, %s: %s", l.At.UTC().Format(time.RFC3339), until, l.Reason)
	if l.Link != "" {
		words += " (" + l.Link + ")"
	}
	return words
}

// Release is the command that releases the lock.
func (l Lock) Release() string {
	words := "rollout unlock " + string(l.App)
	cluster := string(l.Cluster)
	if l.Group != "" {
		cluster = ""
	}
	for _, f := range []struct{ flag, value string }{{"ring", string(l.Ring)}, {"service", string(l.Service)}, {"cluster", cluster}, {"cluster-group", l.Group}} {
		if f.value != "" {
			words += fmt.Sprintf(" --%s %s", f.flag, f.value)
		}
	}
	holder := l.Holder
	if strings.ContainsAny(holder, " \t'\"$&|;<>()`\\*?") {
		holder = "'" + strings.ReplaceAll(holder, "'", `'\''`) + "'"
	}
	return words + " --holder " + holder
}
