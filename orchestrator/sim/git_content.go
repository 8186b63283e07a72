package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"rollout/fleet/fleetyaml"
	"rollout/orchestrator"
	"rollout/rings"
)

// content is what a service's folder says at a commit. Commits at which the
// folder is the same share it.
type content struct {
	missing  bool // there is no fleet.yaml
	file     *fleetyaml.File
	err      error // why the file cannot be read: Fleet's git job fails on it
	view     *fleetyaml.View
	viewErr  error    // why nobody can be targeted
	manifest string   // names all else in the folder, which Fleet deploys
	needs    []string // cluster labels that its templates ask for
	named    bool     // what a cluster gets may depend on its name
	effects  map[effectKey]effect
}

// effectKey is what an effect depends on.
type effectKey struct {
	labelSet int
	name     rings.ClusterName // "" unless it matters
}

type effect struct {
	fleetyaml.Effect
	err error // the version fields differ
}

// at is what the bundle's folder says at the commit.
func (b *bundle) at(c *commit) *content {
	if known := c.contents[b]; known != nil {
		return known
	}
	files := b.folder(c)
	key := digest(files)
	known := b.contents[key]
	if known == nil {
		known = b.read(files)
		b.contents[key] = known
	}
	c.contents[b] = known
	return known
}

// folder are the files in the service's folder, by their path below it. What
// lies in a folder of another service is not among them.
func (b *bundle) folder(c *commit) map[string][]byte {
	out := map[string][]byte{}
	for name, bytes := range c.files {
		if b.owner(name) {
			out[strings.TrimPrefix(strings.TrimPrefix(name, b.root()), "/")] = bytes
		}
	}
	return out
}

// root is the service's folder, "" for the repository's.
func (b *bundle) root() string { return strings.Trim(b.service.Path, "/") }

// owner reports whether the file is the service's: of all services whose
// folders it lies in, that with the deepest one. A README is nobody's.
func (b *bundle) owner(name string) bool {
	if path.Base(name) == "README.md" || !within(name, b.root()) {
		return false
	}
	for _, o := range b.repo.bundles {
		if o != b && len(o.root()) > len(b.root()) && within(name, o.root()) {
			return false
		}
	}
	return true
}

func within(name, folder string) bool { return folder == "" || strings.HasPrefix(name, folder+"/") }

// digest names files by their paths and bytes.
func digest(files map[string][]byte) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		h.Write([]byte(name + "\x00"))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

var clusterLabel = regexp.MustCompile(`\$\{[^}]*\.ClusterLabels\.([A-Za-z0-9_-]+)`)

// read reads the folder's fleet.yaml.
func (b *bundle) read(files map[string][]byte) *content {
	k := &content{effects: map[effectKey]effect{}}
	name := "fleet.yaml"
	if files[name] == nil {
		name = "fleet.yml"
	}
	src, rest := files[name], maps.Clone(files)
	if src == nil {
		k.missing = true
		return k
	}
	// Fleet keeps "fleet.yaml" out of what it deploys, but not "fleet.yml".
	delete(rest, "fleet.yaml")
	if k.file, k.err = fleetyaml.Parse(path.Join(b.root(), name), src); k.err != nil {
		return k
	}
	if k.err = k.withValues(rest); k.err != nil {
		return k
	}
	k.manifest = digest(rest)
	k.view, k.viewErr = k.file.View(b.gitRepo.targets, b.fields, fleetyaml.FieldsOf(b.service.Settings)...)
	for _, m := range clusterLabel.FindAllSubmatch(src, -1) {
		k.needs = append(k.needs, string(m[1]))
	}
	k.named = bytes.Contains(bytes.ToLower(src), []byte("clustername")) ||
		slices.ContainsFunc(b.gitRepo.targets, func(t fleetyaml.Target) bool { return t.ClusterName != "" })
	return k
}

// withValues hands the values files in, and takes them out of the rest: Fleet
// makes values of them, and does not deploy them.
func (k *content) withValues(rest map[string][]byte) error {
	values := map[string][]byte{}
	for _, name := range k.file.ValuesFiles() {
		if at := path.Clean(name); rest[at] != nil {
			values[name] = rest[at]
			delete(rest, at)
		}
	}
	if len(values) == 0 {
		return nil
	}
	var err error
	k.file, err = k.file.WithValuesFiles(values)
	return err
}

// effect is what the cluster gets from the content; nothing, if that cannot be
// told.
func (b *bundle) effect(k *content, c *cluster) effect {
	if k == nil || k.view == nil {
		return effect{Effect: fleetyaml.Effect{Why: "not deployed: there is no fleet.yaml that can be read"}}
	}
	key := effectKey{labelSet: c.labelSet}
	if k.named {
		key.name = c.name
	}
	e, ok := k.effects[key]
	if !ok {
		e.Effect, e.err = k.view.Effect(c.fleet())
		k.effects[key] = e
	}
	return e
}

// stateKey is what a ring's state depends on.
type stateKey struct {
	content *content
	ring    string // its labels
	shape   int
}

// state is what a content says for a ring.
type state struct {
	err       error // why nothing can be said
	version   rings.Version
	versions  []rings.Version
	nonce     int64
	settings  rings.Values                   // that all expected clusters get
	unsettled map[rings.SettingName][]string // the others
	expected  []rings.ClusterName
	excluded  []orchestrator.Excluded
}

// holds reports whether every expected cluster gets the item's version, settings
// and nonce.
func (s *state) holds(i orchestrator.Item) bool {
	return s.err == nil && len(s.expected) > 0 && s.version == i.Version && s.nonce == i.Nonce && i.Settings.In(s.settings)
}

// state is what the content says for the clusters with these labels.
func (w *World) state(b *bundle, k *content, labels map[string]string, ring string) *state {
	key := stateKey{k, ring, w.shape}
	if s := b.states[key]; s != nil {
		return s
	}
	s := &state{err: errors.Join(k.err, k.viewErr)}
	b.states[key] = s
	if k.missing || s.err != nil {
		return s
	}
	nonces := map[int64]bool{}
	for _, c := range w.clusters {
		if !carries(c.labels, labels) {
			continue
		}
		e := b.effect(k, c)
		if f, ok := errors.AsType[*fleetyaml.Error](e.err); ok && f.Code != fleetyaml.CodeDisagree {
			return &state{err: e.err}
		}
		if !e.Deployed {
			s.excluded = append(s.excluded, orchestrator.Excluded{Cluster: c.name, Why: why(e, b.gitRepo.name)})
			continue
		}
		s.take(c.name, e)
		s.takeSettings(b.service.Settings, e)
		nonces[e.Nonce] = true
		s.nonce = e.Nonce
	}
	s.sum(len(nonces))
	return s
}

// take notes one expected cluster. Clusters come in the order of their names.
func (s *state) take(name rings.ClusterName, e effect) {
	s.expected = append(s.expected, name)
	for v := range strings.SplitSeq(e.Version, ", ") {
		if !slices.Contains(s.versions, rings.Version(v)) {
			s.versions = append(s.versions, rings.Version(v))
		}
	}
}

// sum says what all expected clusters have in common.
func (s *state) sum(nonces int) {
	slices.Sort(s.versions)
	if len(s.versions) == 1 {
		s.version, s.versions = s.versions[0], nil
	}
	if nonces != 1 {
		s.nonce = 0
	}
}

func why(e effect, gitRepo string) string {
	if strings.Contains(e.Why, "doNotDeploy") {
		return strings.TrimPrefix(e.Why, "not deployed: ")
	}
	return "not targeted by GitRepo " + gitRepo
}
