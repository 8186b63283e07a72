package fleet

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"

	fleetv1 "github.com/rancher/fleet/pkg/apis/fleet.cattle.io/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"rollout/rings"
)

const (
	// ManagedLabel marks the GitRepos that were made here.
	ManagedLabel = "rollout/managed-by"
	// ManagedValue is the label's value.
	ManagedValue = "rollout"
)

// GitRepo returns a GitRepo of the workspace. The error wraps rings.ErrUnknown
// when there is none of that name.
func (m *Manager) GitRepo(ctx context.Context, name string) (*fleetv1.GitRepo, error) {
	return m.gitRepo(ctx, m.workspace, name)
}

// Managed reports whether the GitRepo was made here.
func Managed(g *fleetv1.GitRepo) bool { return g.Labels[ManagedLabel] == ManagedValue }

// GitRepos returns the workspace's GitRepos, sorted by name.
func (m *Manager) GitRepos(ctx context.Context) ([]fleetv1.GitRepo, error) {
	var list fleetv1.GitRepoList
	req := request{verb: "list", resource: resource("gitrepos"), namespace: m.workspace}
	if err := m.client.List(ctx, &list, client.InNamespace(m.workspace)); err != nil {
		return nil, req.fail(err)
	}
	slices.SortFunc(list.Items, func(a, b fleetv1.GitRepo) int { return cmp.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// FindGitRepos returns the workspace's GitRepos that deploy the folder of that
// repository and branch, sorted by name. How a URL is written does not matter:
// see [SameRepository]. A GitRepo that follows a revision is none of them: the
// branch does not move it.
func (m *Manager) FindGitRepos(ctx context.Context, repo, branch, dir string) ([]fleetv1.GitRepo, error) {
	all, err := m.GitRepos(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(g fleetv1.GitRepo) bool {
		return g.Spec.Revision != "" || cmp.Or(g.Spec.Branch, "master") != cmp.Or(branch, "master") ||
			!SameRepository(g.Spec.Repo, repo) || !Covers(g.Spec, dir)
	}), nil
}

// Covers reports whether Fleet makes a Bundle of the folder, if it has a
// fleet.yaml: the folder is, or lies below, one of the paths, which may be
// globs and are "/" when there are none (internal/cmd/cli/apply/apply.go:105-170,
// 800-828). With spec.bundles only the very folders count.
func Covers(s fleetv1.GitRepoSpec, dir string) bool {
	dir = cleanPath(dir)
	if len(s.Bundles) > 0 {
		return slices.ContainsFunc(s.Bundles, func(b fleetv1.BundlePath) bool { return cleanPath(b.Base) == dir })
	}
	return len(s.Paths) == 0 || slices.ContainsFunc(s.Paths, func(p string) bool { return below(cleanPath(p), dir) })
}

// below reports whether the glob matches dir or a folder above it.
func below(glob, dir string) bool {
	if glob == "." {
		return true
	}
	for ; dir != "."; dir = path.Dir(dir) {
		if ok, err := path.Match(glob, dir); ok && err == nil {
			return true
		}
	}
	return false
}

// SameRepository reports whether two URLs name one repository: scheme, user,
// the host's case, a default port, a trailing slash and ".git" do not matter, and
// git@host:path is ssh://git@host/path.
func SameRepository(a, b string) bool { return normalURL(a) == normalURL(b) }

func normalURL(s string) string {
	host, dir := "", s
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		host, dir = u.Host, u.Path
		if port := u.Port(); port == map[string]string{"https": "443", "http": "80", "ssh": "22"}[u.Scheme] {
			host = u.Hostname()
		}
	} else if before, after, ok := strings.Cut(s, ":"); ok && !strings.Contains(before, "/") {
		host, dir = before[strings.LastIndex(before, "@")+1:], after
	}
	dir = strings.TrimSuffix(strings.Trim(dir, "/"), ".git")
	return strings.ToLower(host) + "/" + strings.Trim(dir, "/")
}

// CreateGitRepo makes the GitRepo in the workspace, with [ManagedLabel]. One
// that is there with the same spec is returned as it is, whoever made it; one
// with another is an error that wraps rings.ErrExists.
func (m *Manager) CreateGitRepo(ctx context.Context, g *fleetv1.GitRepo) (*fleetv1.GitRepo, error) {
	if g.Namespace != "" && g.Namespace != m.workspace {
		return nil, fmt.Errorf("GitRepo %q: its namespace is %q, the workspace %q", g.Name, g.Namespace, m.workspace)
	}
	made := g.DeepCopy()
	made.Namespace = m.workspace
	made.Labels = maps.Clone(g.Labels)
	if made.Labels == nil {
		made.Labels = map[string]string{}
	}
	made.Labels[ManagedLabel] = ManagedValue
	req := request{verb: "create", resource: resource("gitrepos"), namespace: m.workspace, name: g.Name}
	err := m.client.Create(ctx, made)
	if !apierrors.IsAlreadyExists(err) {
		return made, req.fail(err)
	}
	there, err := m.GitRepo(ctx, g.Name)
	if err != nil {
		return nil, err
	}
	if fields := differing(there.Spec, g.Spec); len(fields) > 0 {
		return there, fmt.Errorf("GitRepo %q in workspace %q: %w, with another %s", g.Name, m.workspace, rings.ErrExists,
			strings.Join(fields, ", "))
	}
	return there, nil
}

// differing names the fields of the spec that are not the same, as YAML names them.
func differing(a, b fleetv1.GitRepoSpec) []string {
	var out []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		// Nil and empty are the same to Fleet.
		if f, g := x.Field(i), y.Field(i); f.Kind() == reflect.Slice && f.Len()+g.Len() == 0 {
			continue
		} else if !reflect.DeepEqual(f.Interface(), g.Interface()) {
			name, _, _ := strings.Cut(x.Type().Field(i).Tag.Get("json"), ",")
			out = append(out, name)
		}
	}
	return out
}

// ParseGitRepoManifests reads the GitRepos of a YAML or JSON text with one
// document or several. Anything else in it is an error, and so are fields
// that a GitRepo does not have: Fleet would ignore them silently.
func ParseGitRepoManifests(text []byte) ([]*fleetv1.GitRepo, error) {
	var out []*fleetv1.GitRepo
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		g, err := parseGitRepo(doc)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", n, err)
		}
		if g != nil {
			out = append(out, g)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there is no GitRepo in it")
	}
	return out, nil
}

// parseGitRepo returns nil for a document that says nothing.
func parseGitRepo(doc []byte) (*fleetv1.GitRepo, error) {
	var any map[string]any
	if err := yaml.Unmarshal(doc, &any); err != nil {
		return nil, err
	}
	if len(any) == 0 {
		return nil, nil
	}
	want := fleetv1.SchemeGroupVersion.String()
	if any["apiVersion"] != want || any["kind"] != "GitRepo" {
		return nil, fmt.Errorf("apiVersion %v, kind %v: only %s, kind GitRepo can be used", any["apiVersion"], any["kind"], want)
	}
	var g fleetv1.GitRepo
	if err := yaml.UnmarshalStrict(doc, &g); err != nil {
		return nil, err
	}
	if g.Name == "" || g.Spec.Repo == "" {
		return nil, fmt.Errorf("GitRepo %q: metadata.name and spec.repo are needed", g.Name)
	}
	return &g, nil
}

// BundleOf returns the name of the Bundle of a folder that the GitRepo deploys,
// "" if Fleet has not made it yet; named is the `name:` of its fleet.yaml, or
// "". The error wraps ErrBundle when it cannot be told.
func (m *Manager) BundleOf(ctx context.Context, g *fleetv1.GitRepo, dir, named string) (string, error) {
	var names []string
	err := listAll(ctx, m, "bundles", g.Namespace, fleetv1.RepoLabel+"="+g.Name, func(w *wireBundle) {
		names = append(names, w.Metadata.Name)
	})
	if err != nil {
		return "", err
	}
	listed := g.Spec.Paths
	for _, b := range g.Spec.Bundles {
		listed = append(listed, drivenPath(b.Base, b.Options))
	}
	return pickBundle(g.Name, dir, named, names, listed)
}
