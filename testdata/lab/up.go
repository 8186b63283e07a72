package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Options say what lab to start.
type Options struct {
	// Dir is the lab's folder. It is made; when it is there already it must be empty, or hold nothing but the logs of a
	// lab that failed to start.
	Dir string
	// Clusters are the clusters, each with an API server and an agent of its own. None: the lab has only a manager.
	Clusters []Cluster
	// Out takes a line for each step. Nil: they are dropped.
	Out io.Writer
}

// Up builds what is missing, starts a lab, and returns when all clusters are registered and their agents were seen: in
// about 20 s, once built. When it fails, or ctx ends before that, everything that it started is ended, and only the logs stay.
func Up(ctx context.Context, o Options) (*Lab, error) {
	l, err := newLab(o)
	if err != nil {
		return nil, err
	}
	if err := Build(ctx, l.out); err != nil {
		return nil, err
	}
	l.begun = time.Now()
	if err := l.prepare(ctx, o.Clusters); err != nil {
		return nil, errors.Join(err, l.abandon(ctx))
	}
	if err := l.boot(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the lab (logs: %s): %w", l.path("logs"), errors.Join(context.Cause(ctx), err)), l.abandon(ctx))
	}
	l.starting = false
	return l, nil
}

func newLab(o Options) (*Lab, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkFree(dir); err != nil {
		return nil, err
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return &Lab{dir: dir, out: o.Out, starting: true}, nil
}

// checkFree refuses a folder with anything in it, since the folder is removed when the lab ends.
func checkFree(dir string) error {
	if _, err := readState(dir); err == nil {
		return fmt.Errorf("%s: there is a lab already; end it first", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() != "logs" {
			return fmt.Errorf("%s is not empty (%s)", dir, e.Name())
		}
	}
	return nil
}

// abandon ends what was started and removes all but the logs. It works after ctx has ended.
func (l *Lab) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := l.Halt(ctx); err != nil && !errors.Is(err, ErrNoLab) {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	errs := []error{err}
	for _, e := range entries {
		if e.Name() != "logs" {
			errs = append(errs, os.RemoveAll(l.path(e.Name())))
		}
	}
	return errors.Join(errs...)
}

// prepare makes the folder and all in it that no process is needed for. The logs of a lab that failed to start go.
func (l *Lab) prepare(ctx context.Context, clusters []Cluster) error {
	if err := os.RemoveAll(l.path("logs")); err != nil {
		return err
	}
	for _, d := range []string{"bin", "logs", "home", "tmp", "git", "jobs", manager} {
		if err := os.MkdirAll(l.path(d), 0o755); err != nil {
			return err
		}
	}
	ports, err := freePorts(portNames(clusters))
	if err != nil {
		return err
	}
	charts, err := chartsDir(ctx)
	if err != nil {
		return err
	}
	s := &state{Schema: stateSchema, Clusters: clusters, Token: rand.Text(), Ports: ports, Charts: charts}
	return errors.Join(writeState(l.dir, s), l.writeTokens(s), l.writeStages(), l.linkPrograms())
}

func portNames(clusters []Cluster) []string {
	names := []string{"etcd", "etcd-peer", "git", "health", "webhook", manager}
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return names
}

// chartsDir returns the folder of Fleet's charts, which lie in its Go module.
func chartsDir(ctx context.Context) (string, error) {
	module, err := findModule()
	if err != nil {
		return "", err
	}
	dir, err := goCommand(ctx, module, "list", "-m", "-f", "{{.Dir}}", "github.com/rancher/fleet")
	return filepath.Join(strings.TrimSpace(dir), "charts"), err
}

func (l *Lab) writeTokens(s *state) error {
	line := s.Token + `,admin,admin,"system:masters"` + "\n"
	return os.WriteFile(l.path("tokens.csv"), []byte(line), 0o600)
}

// linkPrograms gives the lab the programs as they are now. Where the cache is on another disk, it follows the cache.
func (l *Lab) linkPrograms() error {
	bin, err := BinDir()
	if err != nil {
		return err
	}
	for _, p := range append([]program{own}, programs...) {
		from, to := filepath.Join(bin, p.name), l.program(p.name)
		if os.Link(from, to) == nil {
			continue
		}
		if err := os.Symlink(from, to); err != nil {
			return err
		}
	}
	return nil
}

// boot starts everything. The clusters' API servers start side by side once the manager's is up, which has the longer way
// to go; a cluster goes on as soon as the manager has a token for it.
func (l *Lab) boot(ctx context.Context) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if err := l.launch(ctx, l.etcd(s)); err != nil {
		return err
	}
	if err := l.startAPI(ctx, s, manager); err != nil {
		return err
	}
	l.say("the manager's API server is up")
	token := make(chan []byte)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return l.bootManager(ctx, s, token) })
	for _, c := range s.Clusters {
		group.Go(func() error { return l.bootCluster(ctx, s, c.Name, token) })
	}
	return group.Wait()
}

// bootManager starts Fleet in the manager and gives the token to as many clusters as there are.
func (l *Lab) bootManager(ctx context.Context, s *state, token chan<- []byte) error {
	c, err := l.bootFleet(ctx, s)
	if err != nil {
		return err
	}
	values, err := l.tokenValues(ctx, c)
	if err != nil {
		return err
	}
	for range s.Clusters {
		select {
		case token <- values:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *Lab) bootFleet(ctx context.Context, s *state) (client.Client, error) {
	if err := l.launch(ctx, l.controllerManager()); err != nil {
		return nil, err
	}
	if err := l.installFleet(ctx, s); err != nil {
		return nil, err
	}
	l.say("Fleet's charts are installed")
	parts := append([]*process{l.gitServer(s), l.jobRunner()}, l.fleetControllers(s)...)
	for _, p := range parts {
		if err := l.launch(ctx, p); err != nil {
			return nil, err
		}
	}
	c, err := l.Client()
	if err != nil {
		return nil, err
	}
	return c, errors.Join(l.createWorkspace(ctx, c, s.Clusters), l.waitGit(ctx))
}

func (l *Lab) bootCluster(ctx context.Context, s *state, name string, token <-chan []byte) error {
	if err := l.startAPI(ctx, s, name); err != nil {
		return err
	}
	if err := l.launch(ctx, l.kwok(name)); err != nil {
		return err
	}
	select {
	case values := <-token:
		if err := l.installAgent(ctx, name, values); err != nil {
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := l.Client()
	if err != nil {
		return err
	}
	if err := l.waitRegistered(ctx, c, name); err != nil {
		return err
	}
	l.say("%s is registered", name)
	return nil
}
