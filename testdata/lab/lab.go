package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// Namespace is the Fleet workspace that the lab's Cluster objects lie in, and where GitRepos belong.
	Namespace = "fleet-default"

	// Context is the name of the context in the manager's kubeconfig.
	Context = "lab"

	systemNamespace = "cattle-fleet-system"
	manager         = "manager"
)

// Cluster is a cluster of the lab: the name of its Cluster object on the manager, and the labels that it begins with.
type Cluster struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// Clusters returns n clusters without labels, named c1 to cn.
func Clusters(n int) []Cluster {
	var clusters []Cluster
	for i := range n {
		clusters = append(clusters, Cluster{Name: fmt.Sprintf("c%d", i+1)})
	}
	return clusters
}

// Lab is a running lab. Its methods may be called from several goroutines, and from several programs that opened the same
// folder: what they share lies in the folder's state file.
type Lab struct {
	dir     string
	out     io.Writer
	clients sync.Map // by server, a client.WithWatch

	mu       sync.Mutex // of out
	starting bool       // Up is at work: a part that ends is an error, and nobody's wish
	begun    time.Time  // when Up began
}

// Open returns the lab that runs in dir, which may have been started by another program. It returns ErrNoLab when there is none.
func Open(dir string) (*Lab, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := readState(dir); err != nil {
		return nil, err
	}
	return &Lab{dir: dir, out: io.Discard}, nil
}

// Dir returns the lab's folder.
func (l *Lab) Dir() string { return l.dir }

// Kubeconfig returns the file with the administrator's way into the manager; its only context is named lab.
func (l *Lab) Kubeconfig() string { return l.kubeconfig(manager) }

// DownstreamKubeconfig returns the file with the administrator's way into a cluster; its context is named like the cluster.
// For a cluster that the lab does not have there is no such file.
func (l *Lab) DownstreamKubeconfig(cluster string) string { return l.kubeconfig(cluster) }

func (l *Lab) kubeconfig(server string) string { return l.path(server + ".kubeconfig") }

// Clusters returns the clusters that the lab was started with, and the labels that they had then.
func (l *Lab) Clusters() ([]Cluster, error) {
	s, err := readState(l.dir)
	if err != nil {
		return nil, err
	}
	return s.Clusters, nil
}

// Log returns what a part has written so far.
func (l *Lab) Log(part string) (string, error) {
	content, err := os.ReadFile(logPath(l.dir, part))
	return string(content), err
}

// Down ends every process of the lab and removes its folder. It returns an error, and leaves the folder, when a process
// cannot be ended; it may be called again.
func (l *Lab) Down(ctx context.Context) error {
	if err := l.Halt(ctx); err != nil {
		return err
	}
	return os.RemoveAll(l.dir)
}

// Halt ends every process of the lab and leaves its folder, with the logs, as it is. The lab cannot be started again.
func (l *Lab) Halt(ctx context.Context) error {
	return updateState(ctx, l.dir, func(s *state) error { return endAll(ctx, s.Processes) })
}

// endAll ends the processes all at once: nothing that they would write on the way out is needed any more.
func endAll(ctx context.Context, processes []*process) error {
	errs := make([]error, len(processes))
	var group sync.WaitGroup
	for i, p := range processes {
		group.Go(func() {
			if errs[i] = p.end(ctx, 3*time.Second); errs[i] == nil {
				p.PID, p.Started = 0, ""
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// path returns the name of a file in the lab's folder.
func (l *Lab) path(elem ...string) string { return filepath.Join(append([]string{l.dir}, elem...)...) }

// say writes a line of progress, with the seconds since Up began.
func (l *Lab) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%4.1f s  %s\n", time.Since(l.begun).Seconds(), fmt.Sprintf(format, args...))
}

// until calls done every 100 ms until it returns nil, and gives up when ctx ends, after limit, or when a part has died
// while the lab starts.
// The error says what was awaited and why it was not so at last.
func (l *Lab) until(ctx context.Context, limit time.Duration, what string, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		err := done(ctx)
		if err == nil {
			return true, nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		if l.starting {
			return false, l.dead()
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait until %s: %w (last: %w)", what, err, last)
	}
	return nil
}

// dead returns an error when a part that should run has ended by itself.
func (l *Lab) dead() error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	for _, p := range s.Processes {
		if p.PID != 0 && !p.alive() {
			return fmt.Errorf("%s has ended: %s", p.Name, logTail(l.dir, p.Name))
		}
	}
	return nil
}

// Status is how a part of the lab is.
type Status struct {
	Part string
	// PID is the process's, 0 when it was stopped.
	PID int
	// Running is false for a part that was stopped, and for one that ended by itself (then PID is not 0).
	Running bool
}

// Status returns all parts, sorted by name.
func (l *Lab) Status() ([]Status, error) {
	s, err := readState(l.dir)
	if err != nil {
		return nil, err
	}
	var all []Status
	for _, p := range s.Processes {
		all = append(all, Status{Part: p.Name, PID: p.PID, Running: p.alive()})
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Part, b.Part) })
	return all, nil
}
