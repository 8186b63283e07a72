package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rollout/testdata/lab"
)

// The README's manifest is all that the main job needs. Without a rule of it,
// the program goes on and says so, or says which permission it misses before
// anything is done.
func TestPermissions(t *testing.T) {
	s := play(t, "permissions", 3)
	all := readRoles(t)
	all.sparesSecrets(t)

	s.as("all", all)
	warned := func(r result) bool {
		return strings.Contains(r.stderr, "warning") || strings.Contains(r.stderr, "forbidden")
	}
	for _, r := range s.mainJob() {
		if warned(r) {
			t.Errorf("it complains:\n%s", r.stderr)
		}
	}

	t.Run("no leases", func(t *testing.T) {
		s.goesOn(t, all.without("leases"), "v3", "warning: missing permission: get, create, update leases.coordination.k8s.io in namespace \"fleet-default\"")
	})
	t.Run("no hints", func(t *testing.T) {
		s.goesOn(t, all.without("gitrepos/status"), "v4", "warning: missing permission: patch gitrepos.fleet.cattle.io/status in namespace \"fleet-default\"")
	})
	t.Run("no bundledeployments", func(t *testing.T) {
		s.stops(t, all.without("bundledeployments"), `error: missing permissions on MANAGER: not permitted:
  list, watch bundledeployments.fleet.cattle.io in all namespaces (seeing what runs on the clusters)
hint: the README has a manifest with all the permissions
`, "create", s.app, "ring-1")
	})
	t.Run("no labels", func(t *testing.T) {
		s.stops(t, all.without("clusters", "patch"), `error: patch clusters.fleet.cattle.io in namespace "fleet-default": not permitted
hint: the README has a manifest with all the permissions
`, "cluster", "add", "c4", "--app", s.app, "--ring", "ring-1", "--yes")
	})
	t.Run("nothing", func(t *testing.T) {
		s.stops(t, roles{}, `error: manager MANAGER: list clusters.fleet.cattle.io in namespace "fleet-default": not permitted
hint: the README has a manifest with all the permissions
`, "create", s.app, "ring-1")
	})
}

// mainJob describes an application of one service and rolls v2 out.
func (s *scenario) mainJob() []result {
	s.Helper()
	s.repositories([]service{{name: "db"}})
	out := []result{
		s.ok("app", "create", s.app, "--ring-label", s.ringLabel(), "--selector", s.selector()+"=true"),
		s.ok("ring", "create", s.app, "ring-1", "--uptake-deadline", "90s", "--deadline", "2m"),
		s.ok("cluster", "add", "c1", "--app", s.app, "--ring", "ring-1", "--yes"),
	}
	s.addService(service{name: "db"})
	s.eventually(2*time.Minute, "db on c1 at v1", func() bool { return s.live("c1", "db") == "v1" })
	out = append(out, s.ok("plan", "set", s.app, "db=v2"), s.ok("create", s.app, "ring-1"))
	s.images("db", map[string]string{"c1": "v2"})
	return out
}

// goesOn rolls the version out with these permissions, and wants the missing
// one to be named once.
func (s *scenario) goesOn(t *testing.T, r roles, version, missing string) {
	own := s.with(t)
	own.as(strings.ReplaceAll(filepath.Base(t.Name()), "_", "-"), r)
	own.ok("plan", "set", s.app, "db="+version)
	got := own.ok("create", s.app, "ring-1")
	if n := strings.Count(got.stderr, missing); n != 1 {
		t.Errorf("%q is said %d times, want once:\n%s", missing, n, got.stderr)
	}
	own.images("db", map[string]string{"c1": version})
}

// stops wants the command to be refused with these words, and no rollout to be
// recorded.
func (s *scenario) stops(t *testing.T, r roles, want string, args ...string) {
	own := s.with(t)
	own.as(strings.ReplaceAll(filepath.Base(t.Name()), "_", "-"), r)
	own.ok("plan", "set", s.app, "db=v9")
	before := own.ok("history", s.app).stdout
	got := own.ends(1, args...)
	if said := own.anonymous(got.stderr); !strings.HasSuffix(said, want) {
		t.Errorf("it says\n%s\nwant\n%s", said, want)
	}
	if after := own.ok("history", s.app).stdout; after != before {
		t.Errorf("the history is\n%s\nwas\n%s", after, before)
	}
}

// with is the scenario in a subtest.
func (s *scenario) with(t *testing.T) *scenario {
	own := *s
	own.T, own.env = t, slices.Clone(s.env)
	return &own
}

// as makes a user with these permissions, and lets the commands that follow be
// that user's. Each has a name of its own: an API server may remember for some
// seconds what a user was allowed.
func (s *scenario) as(name string, r roles) {
	s.Helper()
	user := s.app + "-" + name
	r.bind(s, user)
	config, err := clientcmd.LoadFromFile(s.lab.Kubeconfig())
	s.must(err)
	config.AuthInfos[lab.Context].Impersonate = user
	s.useKubeconfig(config)
}

// roles are the rules of the README's manifest.
type roles struct {
	cluster, workspace []rbacv1.PolicyRule
}

// readRoles reads the manifest out of the README.
func readRoles(t *testing.T) roles {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "```yaml\napiVersion: rbac.authorization.k8s.io/v1\n")
	manifest, _, ends := strings.Cut(after, "```")
	if !found || !ends {
		t.Fatal("the README has no RBAC manifest")
	}
	var out roles
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte("apiVersion: rbac.authorization.k8s.io/v1\n"+manifest)), 4096)
	for {
		var role rbacv1.Role // a ClusterRole has the same fields
		if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case role.Kind == "ClusterRole":
			out.cluster = role.Rules
		case role.Kind == "Role" && role.Namespace == lab.Namespace:
			out.workspace = role.Rules
		default:
			t.Fatalf("the README's manifest has a %s in namespace %q", role.Kind, role.Namespace)
		}
	}
}

// sparesSecrets wants no secret to be readable, and no wildcard.
func (r roles) sparesSecrets(t *testing.T) {
	t.Helper()
	for _, rule := range slices.Concat(r.cluster, r.workspace) {
		for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
			if word == "*" || strings.HasPrefix(word, "secrets") {
				t.Errorf("the README's manifest gives %v on %v", rule.Verbs, rule.Resources)
			}
		}
	}
}

// without returns the rules without a resource, or without these verbs on it.
func (r roles) without(resource string, verbs ...string) roles {
	return roles{strip(r.cluster, resource, verbs), strip(r.workspace, resource, verbs)}
}

func strip(rules []rbacv1.PolicyRule, resource string, verbs []string) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, rule := range rules {
		for _, of := range rule.Resources {
			one := *rule.DeepCopy()
			one.Resources = []string{of}
			if of == resource {
				one.Verbs = slices.DeleteFunc(one.Verbs, func(v string) bool { return len(verbs) == 0 || slices.Contains(verbs, v) })
			}
			if len(one.Verbs) > 0 {
				out = append(out, one)
			}
		}
	}
	return out
}

// bind gives the rules to the user, until the end of the test.
func (r roles) bind(s *scenario, user string) {
	s.Helper()
	c, err := s.lab.Client()
	s.must(err)
	name, local := metav1.ObjectMeta{Name: user}, metav1.ObjectMeta{Name: user, Namespace: lab.Namespace}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: name, Rules: r.cluster},
		&rbacv1.ClusterRoleBinding{ObjectMeta: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user}},
		&rbacv1.Role{ObjectMeta: local, Rules: r.workspace},
		&rbacv1.RoleBinding{ObjectMeta: local, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user}},
	} {
		s.must(c.Create(s.ctx, object))
		s.Cleanup(func() { s.must(c.Delete(context.WithoutCancel(s.ctx), object)) })
	}
}
