package fleetyaml_test

import (
	"strings"
	"testing"

	"rollout/fleet/fleetyaml"
	"rollout/rings"
)

const settingFile = `# the web of the shop
namespace: shop
helm:
  chart: ./chart
  values:
    autoscaling: {maxReplicas: 2}
targetCustomizations:
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  helm:
    values:
      image: {tag: v1}   # ours
      autoscaling:
        maxReplicas: 3
        ratio: 0.5
      debug: false
      mode: "fast"   # quoted
      plain: slow
- name: ring-2
  clusterSelector: {matchLabels: {ring: ring-2}}
  helm:
    values:
      image: {tag: v1}
      autoscaling: {maxReplicas: 3, ratio: 1}
      debug: true
      mode: fast
`

func settingChange(settings ...fleetyaml.Setting) fleetyaml.Change {
	one := fleetyaml.Cluster{Name: "c1", Labels: map[string]string{"ring": "ring-1"}}
	two := fleetyaml.Cluster{Name: "c2", Labels: map[string]string{"ring": "ring-2"}}
	return fleetyaml.Change{Ring: []fleetyaml.Cluster{one}, All: []fleetyaml.Cluster{one, two}, Targets: everything,
		Version: "v2", Nonce: 7, Settings: settings}
}

// TestEdit_settings: version, settings and nonce change together, each setting
// keeps its type, and every other byte stays.
func TestEdit_settings(t *testing.T) {
	at := func(name string) fleetyaml.Field { return fleetyaml.Field("helm.values." + name) }
	f, err := fleetyaml.Parse("fleet.yaml", []byte(settingFile))
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.Edit(settingChange(
		fleetyaml.Setting{at("autoscaling.maxReplicas"), rings.SettingInt, "5"}, fleetyaml.Setting{at("autoscaling.ratio"), rings.SettingNumber, "1"},
		fleetyaml.Setting{at("debug"), rings.SettingBool, "true"}, fleetyaml.Setting{at("mode"), rings.SettingString, "5"}, fleetyaml.Setting{at("plain"), rings.SettingString, "yes"}))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer("tag: v1}   # ours", "tag: v2}   # ours", "maxReplicas: 3\n", "maxReplicas: 5\n", "ratio: 0.5", "ratio: 1", "debug: false", "debug: true",
		`mode: "fast"   # quoted`, `mode: "5"   # quoted`, "plain: slow", `plain: "yes"`).Replace(settingFile)
	want = strings.Replace(want, "  helm:\n    values:\n      image: {tag: v2}", "  forceSyncGeneration: 7\n  helm:\n    values:\n      image: {tag: v2}", 1)
	if got := string(e.Bytes); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if old := e.Entries[0].Settings[0]; old.Old != "3" || old.New != "5" || old.Line != 14 {
		t.Errorf("the first setting is %+v", old)
	}
}

// TestEdit_settingsSame: a file that says version, settings and nonce is not
// touched.
func TestEdit_settingsSame(t *testing.T) {
	f, err := fleetyaml.Parse("fleet.yaml", []byte(settingFile))
	if err != nil {
		t.Fatal(err)
	}
	c := settingChange(fleetyaml.Setting{"helm.values.autoscaling.maxReplicas", rings.SettingInt, "5"})
	first, err := f.Edit(c)
	if err != nil {
		t.Fatal(err)
	}
	f, err = fleetyaml.Parse("fleet.yaml", first.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Edit(c); err != nil || again.Changed {
		t.Errorf("Changed is %v, error %v", again != nil && again.Changed, err)
	}
}

// TestEdit_settingsRefused: what cannot be set exactly is refused, with its
// place.
func TestEdit_settingsRefused(t *testing.T) {
	edit := func(old, now string) string { return strings.Replace(settingFile, old, now, 1) }
	five := fleetyaml.Setting{"helm.values.autoscaling.maxReplicas", rings.SettingInt, "5"}
	for _, test := range []struct {
		name, file string
		setting    fleetyaml.Setting
		code       fleetyaml.Code
		want       string
	}{
		{"no such value", edit("        maxReplicas: 3\n", ""), five, fleetyaml.CodeMissingField, "add to the entry, with the value that the ring has now: helm: {values: {autoscaling: {maxReplicas: VALUE}}}"},
		{"a string there", edit("maxReplicas: 3\n", "maxReplicas: \"3\"\n"), five, fleetyaml.CodeScalar, "is 3, which is not of type int"},
		{"a template there", edit("maxReplicas: 3\n", "maxReplicas: ${ .ClusterLabels.max }\n"), five, fleetyaml.CodeTemplate, "is a template"},
		{"a block there", edit("plain: slow", "plain: |\n        slow"), fleetyaml.Setting{"helm.values.plain", rings.SettingString, "x"}, fleetyaml.CodeScalar, "block scalar"},
		{"nothing there", edit("plain: slow", "plain:"), fleetyaml.Setting{"helm.values.plain", rings.SettingString, "x"}, fleetyaml.CodeScalar, "has no value"},
		{"an anchor", edit("maxReplicas: 3\n        ratio: 0.5", "maxReplicas: &n 3\n        ratio: *n"), five, fleetyaml.CodeShared, "anchor &n"},
		{"not below helm.values", settingFile, fleetyaml.Setting{"namespace", rings.SettingString, "x"}, fleetyaml.CodeField, "cannot carry a setting"},
		{"with a format", settingFile, fleetyaml.Setting{"helm.values.mode=a{version}", rings.SettingString, "x"}, fleetyaml.CodeField, "cannot carry a setting"},
		{"not of its type", settingFile, fleetyaml.Setting{"helm.values.debug", rings.SettingBool, "maybe"}, fleetyaml.CodeVersion, `"maybe" is not of type bool`},
		{"hidden", edit("  helm:\n    values:\n", "  helm:\n    templateValues: {autoscaling: \"{}\"}\n    values:\n"), five, fleetyaml.CodeOverridden, "would still get"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := fleetyaml.Parse("fleet.yaml", []byte(test.file))
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Edit(settingChange(test.setting))
			for _, e := range fleetyaml.FaultsOf(err) {
				if e.Code == test.code && strings.Contains(e.Error()+e.Hint, test.want) {
					return
				}
			}
			t.Errorf("got %v, want %s with %q", err, test.code, test.want)
		})
	}
}

// TestEdit_settingElsewhere: a setting that an entry of several rings says is
// not changed for one of them.
func TestEdit_settingElsewhere(t *testing.T) {
	src := `targetCustomizationMode: AllMatches
targetCustomizations:
- name: all
  clusterSelector: {}
  helm: {values: {replicas: 2}}
- name: ring-1
  clusterSelector: {matchLabels: {ring: ring-1}}
  helm: {values: {image: {tag: v1}}}
- name: ring-2
  clusterSelector: {matchLabels: {ring: ring-2}}
  helm: {values: {image: {tag: v1}}}
`
	f, err := fleetyaml.Parse("fleet.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Edit(settingChange(fleetyaml.Setting{"helm.values.replicas", rings.SettingInt, "5"}))
	if fs := fleetyaml.FaultsOf(err); len(fs) == 0 || fs[0].Code != fleetyaml.CodeOutsideRing {
		t.Errorf("got %v, want %s", err, fleetyaml.CodeOutsideRing)
	}
}

// TestInspect_settings: what a setting is now, and of which type.
func TestInspect_settings(t *testing.T) {
	f, err := fleetyaml.Parse("fleet.yaml", []byte(settingFile))
	if err != nil {
		t.Fatal(err)
	}
	c := settingChange(fleetyaml.Setting{Field: "helm.values.autoscaling.maxReplicas"}, fleetyaml.Setting{Field: "helm.values.debug"}, fleetyaml.Setting{Field: "helm.values.mode"})
	got := map[fleetyaml.Field]rings.SettingType{}
	for _, found := range f.Inspect(c) {
		if found.Severity == fleetyaml.Blocker {
			t.Errorf("%+v", found)
		}
		if found.Code == fleetyaml.CodeSetting {
			got[found.Field] = found.Type
		}
	}
	if len(got) != 3 || got["helm.values.autoscaling.maxReplicas"] != rings.SettingInt || got["helm.values.debug"] != rings.SettingBool || got["helm.values.mode"] != rings.SettingString {
		t.Errorf("found %v", got)
	}
	c = settingChange(fleetyaml.Setting{Field: "helm.values.debug", Type: rings.SettingInt})
	found := f.Inspect(c)
	if len(found) == 0 || found[len(found)-1].Code != fleetyaml.CodeScalar && found[1].Code != fleetyaml.CodeScalar {
		t.Errorf("found %+v", found)
	}
}
