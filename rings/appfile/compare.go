package appfile

import (
	"fmt"
	"time"

	"rollout/rings"
)

// State is what there is of an application.
type State struct {
	App      *rings.Application // as it is stored; nil: it is not
	Clusters []rings.Cluster    // the records of its clusters
	// On is the ring that each cluster with the application's labels is on by
	// its label now; "" is none. nil means that nobody has looked: then the
	// records are believed.
	On      map[rings.ClusterName]rings.RingName
	Locks   []rings.Lock
	Windows []rings.Window
	Now     time.Time // until when locks may have run out
	// SameRepo tells whether two URLs name one repository; nil: when they are
	// equal.
	SameRepo func(a, b string) bool
}

// ChangeKind is what a [Change] does; each is what one command does.
type ChangeKind string

// The kinds of changes, in the order in which they are made.
const (
	CreateApp     ChangeKind = "create-app"
	CreateRing    ChangeKind = "create-ring"    // Ring, After
	UpdateRing    ChangeKind = "update-ring"    // Ring: its policy
	MoveRing      ChangeKind = "move-ring"      // Ring.Name, After
	SetGroup      ChangeKind = "set-group"      // Group
	AddCluster    ChangeKind = "add-cluster"    // Cluster, Ring.Name: set its labels
	SetRing       ChangeKind = "set-ring"       // Cluster, From, Ring.Name: change its ring label
	RecordCluster ChangeKind = "record-cluster" // Cluster, Ring.Name: it carries the labels already
	AddService    ChangeKind = "add-service"    // Service
	SetPublish    ChangeKind = "set-publish"    // Service: how it is published
	SetSettings   ChangeKind = "set-settings"   // Service: its settings
	SetDeps       ChangeKind = "set-deps"       // Deps
	SetWindow     ChangeKind = "set-window"     // Window
	SetLock       ChangeKind = "set-lock"       // Lock
	RemoveLock    ChangeKind = "remove-lock"    // Lock
	RemoveWindow  ChangeKind = "remove-window"  // Window.Name
	RemoveService ChangeKind = "remove-service" // Service.Name
	RemoveGroup   ChangeKind = "remove-group"   // Group.Name
	RemoveRing    ChangeKind = "remove-ring"    // Ring.Name
)

// Change is one thing to be done. Which fields say what depends on the kind.
type Change struct {
	Kind    ChangeKind
	Words   []string // what it does, for people; the first line names it, more are details
	Ring    rings.Ring
	After   rings.RingName // "": at the end
	Cluster rings.ClusterName
	From    rings.RingName
	Service rings.Service
	Group   rings.Group
	Lock    rings.Lock
	Window  rings.Window
	// Deps is for all services whose dependencies change, since what lies
	// between two orders could be a cycle.
	Deps map[rings.ServiceName][]rings.ServiceName
}

// Fixed is something that the file says differently, and that no command can
// change.
type Fixed struct {
	What           string // `service "db": path`
	Stored, Wanted string
	Help           string // how to come to it nevertheless
}

// Extra is something that there is, and that the file does not name.
type Extra struct {
	Kind    string // ring, ring group, service, cluster, lock or window
	Name    string
	Words   string // more about it, or ""
	Command string // that removes it; "": there is none
	Keep    string // why pruning does not remove it; "": it does
}

// Difference is what lies between what there is and a file. The zero value is
// no difference.
type Difference struct {
	Changes []Change // in the order in which they must be made
	Fixed   []Fixed
	Extra   []Extra
}

// section is one part of the file: how it is written, and how it is compared.
type section struct {
	write   func(f *File, a *rings.Application, clusters []rings.Cluster)
	compare func(d *Difference, s State, f *File, wanted *rings.Application)
}

// sections are the parts in the order in which their changes are made.
var sections = []section{
	{writeApp, compareApp},
	{writeRings, compareRings},
	{writeGroups, compareGroups},
	{writeClusters, compareClusters},
	{writeServices, compareServices},
	{nothing, compareWindows},
	{nothing, compareLocks},
}

// nothing writes nothing: see [File.Hold].
func nothing(*File, *rings.Application, []rings.Cluster) {}

// Compare says what makes of the state what the file, which Parse has read,
// wants. When all its changes have been made, or those up to any of them, and
// it is asked again, only the rest is left.
func Compare(s State, f *File) Difference {
	var d Difference
	wanted, _ := f.Application() // Parse has checked it
	for _, part := range sections {
		part.compare(&d, s, f, wanted)
	}
	return d
}

// Prune returns the changes that remove what the file does not name, without
// what says itself why it is kept: locks and windows, services before what they
// depend on, then groups and rings.
func (d Difference) Prune(s State) []Change {
	out := d.pruneHold(s)
	for _, name := range backwards(s.App) {
		if d.prunes("service", string(name)) {
			out = append(out, Change{Kind: RemoveService, Service: rings.Service{Name: name}, Words: []string{fmt.Sprintf("forget service %q", name)}})
		}
	}
	out = append(out, d.pruneGroups()...)
	for _, e := range d.Extra {
		if e.Kind == "ring" && e.Keep == "" {
			out = append(out, Change{Kind: RemoveRing, Ring: rings.Ring{Name: rings.RingName(e.Name)}, Words: []string{fmt.Sprintf("forget ring %q", e.Name)}})
		}
	}
	return out
}

func (d Difference) prunes(kind, name string) bool {
	for _, e := range d.Extra {
		if e.Kind == kind && e.Name == name {
			return e.Keep == ""
		}
	}
	return false
}

// backwards are the services, those that depend on others first.
func backwards(a *rings.Application) []rings.ServiceName {
	if a == nil {
		return nil
	}
	var out []rings.ServiceName
	for _, s := range inOrder(a) {
		out = append([]rings.ServiceName{s.Name}, out...)
	}
	return out
}

// inOrder are the services, each after what it depends on, and otherwise in
// their own order. The application is valid: there is no cycle.
func inOrder(a *rings.Application) []rings.Service {
	var out []rings.Service
	placed := map[rings.ServiceName]bool{}
	var place func(s *rings.Service)
	place = func(s *rings.Service) {
		if placed[s.Name] {
			return
		}
		placed[s.Name] = true
		for _, d := range s.DependsOn {
			if on, err := a.Service(d); err == nil {
				place(on)
			}
		}
		out = append(out, *s)
	}
	for i := range a.Services {
		place(&a.Services[i])
	}
	return out
}

// fix notes what cannot be changed.
func (d *Difference) fix(help, what, stored, wanted string) {
	if stored != wanted {
		d.Fixed = append(d.Fixed, Fixed{What: what, Stored: stored, Wanted: wanted, Help: help})
	}
}
