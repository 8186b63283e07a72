package discover

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet"
	"rollout/fleet/fleetyaml"
)

// clusters reads "NAME K=V,K=V" lines; a label group=G puts it into that group.
func clusters(lines ...string) []fleetyaml.Cluster {
	var out []fleetyaml.Cluster
	for _, l := range lines {
		name, rest, _ := strings.Cut(l, " ")
		c := fleetyaml.Cluster{Name: name, Labels: map[string]string{}}
		for _, kv := range strings.Split(rest, ",") {
			k, v, _ := strings.Cut(kv, "=")
			c.Labels[k] = v
			if k == "group" {
				c.Groups = append(c.Groups, fleetyaml.Group{Name: v})
			}
		}
		out = append(out, c)
	}
	return out
}

// repo is a GitRepo that deploys folders (path, text, ...) to the clusters with
// app=shop: charts, but in the folder "raw".
func repo(t *testing.T, name string, folders ...string) GitRepo {
	t.Helper()
	g := GitRepo{Name: name, Repo: "https://git/" + name, Branch: "main", Targets: []fleetyaml.Target{{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}}}}
	for i := 0; i < len(folders); i += 2 {
		file, err := fleetyaml.Parse(folders[i]+"/fleet.yaml", []byte(folders[i+1]))
		folder := Folder{Path: folders[i], File: file, Chart: folders[i] != "raw"}
		if err != nil {
			folder.Problem = err.Error()
		} else if folder.Bundle = file.BundleName(); folder.Bundle == "" {
			folder.Bundle = fleet.BundleName(name, folders[i])
		}
		g.Folders = append(g.Folders, folder)
	}
	return g
}

// byRing is a file with an entry for each of the values.
func byRing(head, label string, versions ...string) string {
	var b strings.Builder
	b.WriteString(head + "\ntargetCustomizations:\n")
	for _, v := range versions {
		ring, version, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "- clusterSelector: {matchLabels: {%s: %s}}\n  helm: {values: {image: {tag: %s}}}\n", label, ring, version)
	}
	return b.String()
}

func script(f *Found, err error) string {
	var b strings.Builder
	if f != nil && f.App != nil {
		fmt.Fprintf(&b, "ring label %s\n", f.App.RingLabel)
		for _, r := range f.App.Rings {
			fmt.Fprintf(&b, "ring %s:", r.Name)
			for _, c := range f.Clusters {
				if c.Ring == r.Name {
					fmt.Fprintf(&b, " %s", c.Name)
				}
			}
			b.WriteString("\n")
		}
		for _, s := range f.App.Services {
			fmt.Fprintf(&b, "service %s: %s %q by %s, %s", s.Name, s.Repo, s.Path, s.GitRepo, s.Fields[0])
			for _, ring := range slices.Sorted(maps.Keys(f.Versions[s.Name])) {
				fmt.Fprintf(&b, " %s=%s", ring, f.Versions[s.Name][ring])
			}
			if len(s.DependsOn) > 0 {
				fmt.Fprintf(&b, ", needs %v", s.DependsOn)
			}
			b.WriteString("\n")
		}
		for _, l := range f.Left {
			fmt.Fprintf(&b, "left: %s %s: %s\n", l.Kind, l.Name, l.Why)
		}
	}
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

var four = []string{"c1 app=shop,stage=canary,region=eu,name=c1", "c2 app=shop,stage=prod,region=eu,name=c2", "c3 app=shop,stage=prod,region=us,name=c3", "other app=pay,stage=prod"}

func TestFind(t *testing.T) {
	tests := []struct {
		name     string
		clusters []string
		repos    []GitRepo
		wish     Wish
		want     string
	}{
		{name: "several GitRepos, several folders, dependencies", clusters: four, repos: []GitRepo{
			repo(t, "shop-api", "deploy", byRing("dependsOn: [{name: shop-db}, {name: redis}, {selector: {matchLabels: {tier: cache}}}]", "stage", "canary=v2", "prod=v1")),
			repo(t, "data", "db", byRing("name: shop-db", "stage", "canary=v1", "prod=v1"), "cache", byRing("labels: {tier: cache}", "stage", "prod=v7", "canary=v7"))},
			want: `ring label stage
ring canary: c1
ring prod: c2 c3
service api: https://git/shop-api "deploy" by shop-api, helm.values.image.tag canary=v2 prod=v1, needs [cache db]
service db: https://git/data "db" by data, helm.values.image.tag canary=v1 prod=v1
service cache: https://git/data "cache" by data, helm.values.image.tag canary=v7 prod=v7
left: dependency api on bundle "redis": no service of the application is that bundle; Fleet goes on seeing to it
`},
		{name: "an entry has no cluster yet, a cluster no label, a value is no name", clusters: append([]string{"c9 app=shop,region=eu", "c8 app=shop,stage=Prod_2"}, four...),
			repos: []GitRepo{repo(t, "db", "", byRing("", "stage", "canary=v1", "prod=v1", "last=v1", "Prod_2=v1"))}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
ring last:
service db: https://git/db "" by db, helm.values.image.tag canary=v1 prod=v1
left: cluster c9: it has no label "stage", and so it is on no ring
left: ring Prod_2: ring "Prod_2": a name has only a-z, 0-9 and '-', and begins and ends with a letter or digit
`},
		{name: "what no version can be found of, or cannot be read, or is shared", clusters: four, repos: []GitRepo{
			repo(t, "db", "", byRing("", "stage", "canary=v1", "prod=v1")), repo(t, "web", "", byRing("", "stage", "canary=v1", "prod=v1")),
			repo(t, "plain", "", "helm: {values: {image: {tag: v1}}}\n"), repo(t, "broken", "", "a: [\n"),
			repo(t, "regional", "", byRing("", "region", "eu=v1", "us=v1")), {Name: "pinned", Problem: "it follows the revision v1", Targets: repo(t, "x").Targets},
			{Name: "elsewhere", Problem: "it cannot be read", Targets: []fleetyaml.Target{{ClusterName: "other"}}}, repo(t, "db2", "x", "overrideTargets: [{clusterName: other}]\n")},
			want: `ring label stage
ring canary: c1
ring prod: c2 c3
service db: https://git/db "" by db, helm.values.image.tag canary=v1 prod=v1
service web: https://git/web "" by web, helm.values.image.tag canary=v1 prod=v1
left: service broken (the root of https://git/broken): /fleet.yaml:1: cannot be read: did not find expected node content
left: GitRepo pinned: it follows the revision v1
left: service plain (the root of https://git/plain): ring "canary": no targetCustomizations entry selects clusters of the ring: they get the base values (clusters c1)
left: service regional (the root of https://git/regional): line 3: ring "canary": also selects clusters outside the ring, which run "v1" and would change with it (clusters c2)
`},
		{name: "the version stands elsewhere", clusters: four, repos: []GitRepo{
			repo(t, "one", "", strings.ReplaceAll(byRing("", "stage", "canary=v1", "prod=v1"), "image: {tag", "web: {imageTag")),
			repo(t, "two", "", strings.NewReplacer("image: {tag: v1}", "a: {tag: v1}, b: {tag: v1}").Replace(byRing("", "stage", "canary=v1", "prod=v1")))}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
service one: https://git/one "" by one, helm.values.web.imageTag canary=v1 prod=v1
left: service two (the root of https://git/two): its version may stand in helm.values.a.tag or helm.values.b.tag
`},
		{name: "manifests as they are, with values that nothing reads", clusters: four, repos: []GitRepo{
			repo(t, "db", "", byRing("", "stage", "canary=v1", "prod=v1")), repo(t, "web", "raw", byRing("", "stage", "canary=v1", "prod=v1")),
			repo(t, "api", "raw", strings.ReplaceAll(byRing("", "stage", "canary=v1", "prod=v1"), "helm: {values: {image: {tag: v1}}}", "yaml: {overlays: [v1]}"))}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
service db: https://git/db "" by db, helm.values.image.tag canary=v1 prod=v1
left: service web (raw of https://git/web): there is no chart in it, so nothing reads helm.values.image.tag
left: service api (raw of https://git/api): there is no chart in it, so nothing reads helm.values.image.tag
`},
		{name: "it is said where", clusters: four, wish: Wish{Fields: []fleetyaml.Field{"helm.values.b.tag", "helm.values.image.tag"}}, repos: []GitRepo{
			repo(t, "db", "", byRing("", "stage", "canary=v1", "prod=v1")),
			repo(t, "two", "", strings.NewReplacer("image: {tag: v1}", "a: {tag: v1}, b: {tag: v2}").Replace(byRing("", "stage", "canary=v1", "prod=v1")))}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
service db: https://git/db "" by db, helm.values.image.tag canary=v1 prod=v1
service two: https://git/two "" by two, helm.values.b.tag canary=v2 prod=v2
`},
		{name: "entries name groups", clusters: []string{"c1 app=shop,group=g1", "c2 app=shop,group=g2"}, repos: []GitRepo{repo(t, "db", "",
			"targetCustomizations:\n- {clusterGroup: g2, helm: {values: {image: {tag: v1}}}}\n- {clusterGroup: g1, helm: {values: {image: {tag: v2}}}}\n")}, want: `ring label group
ring g1: c1
ring g2: c2
service db: https://git/db "" by db, helm.values.image.tag g1=v2 g2=v1
`},
		{name: "several versions on a ring", clusters: four, repos: []GitRepo{repo(t, "db", "", byRing("", "stage", "canary=v1", "prod=v1")+"targetCustomizationMode: FirstMatch\n"),
			repo(t, "web", "", strings.Replace(byRing("", "stage", "canary=v1", "prod=v1"), "targetCustomizations:\n", "targetCustomizations:\n- {clusterName: c3, helm: {values: {image: {tag: v9}}}}\n", 1))}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
service db: https://git/db "" by db, helm.values.image.tag canary=v1 prod=v1
service web: https://git/web "" by web, helm.values.image.tag canary=v1
left: version web on prod: the ring's clusters get several versions
`},
		{name: "names that are taken", clusters: four, repos: []GitRepo{repo(t, "shop-db", "deploy", byRing("", "stage", "canary=v1", "prod=v1")), repo(t, "db", "deploy", byRing("", "stage", "canary=v1", "prod=v1")),
			{Name: "again", Repo: "https://git/db", Branch: "main", Targets: repo(t, "x").Targets, Folders: repo(t, "x", "deploy", byRing("", "stage", "canary=v1", "prod=v1")).Folders}}, want: `ring label stage
ring canary: c1
ring prod: c2 c3
service db: https://git/shop-db "deploy" by shop-db, helm.values.image.tag canary=v1 prod=v1
service deploy: https://git/db "deploy" by db, helm.values.image.tag canary=v1 prod=v1
left: service again (deploy of https://git/db): GitRepo "db" deploys the same folder
`},
		{name: "no cluster", clusters: []string{"c1 app=pay"}, want: "error: no cluster carries the labels app=shop\n"},
		{name: "no label", clusters: four, repos: []GitRepo{repo(t, "plain", "", "helm: {}\n")}, want: "error: no label tells rings apart: none of name, region, stage splits the clusters so that an entry of a fleet.yaml is one ring's alone\n"},
		{name: "two labels", clusters: []string{"c1 app=shop,stage=a,tier=x", "c2 app=shop,stage=b,tier=z"}, repos: []GitRepo{
			repo(t, "db", "", byRing("", "stage", "a=v1", "b=v1")), repo(t, "web", "", byRing("", "tier", "x=v1", "z=v1"))}, want: "error: several labels tell rings apart: stage, tier\n"},
		{name: "two labels split alike, and one more service selects by one", clusters: []string{"c1 app=shop,stage=a,tier=x", "c2 app=shop,stage=b,tier=z"}, repos: []GitRepo{
			repo(t, "db", "", byRing("", "tier", "x=v1", "z=v1")), repo(t, "web", "", byRing("", "tier", "x=v1", "z=v1")), repo(t, "docs", "", byRing("", "stage", "a=v1", "b=v1"))},
			want: `ring label tier
ring x: c1
ring z: c2
service db: https://git/db "" by db, helm.values.image.tag x=v1 z=v1
service web: https://git/web "" by web, helm.values.image.tag x=v1 z=v1
service docs: https://git/docs "" by docs, helm.values.image.tag x=v1 z=v1
`},
		{name: "it is said which", clusters: []string{"c1 app=shop,stage=a,tier=x", "c2 app=shop,stage=b,tier=z"}, wish: Wish{RingLabel: "tier"}, repos: []GitRepo{repo(t, "db", "", byRing("", "stage", "a=v1", "b=v1"))},
			want: `ring label tier
ring x: c1
ring z: c2
service db: https://git/db "" by db, helm.values.image.tag x=v1 z=v1
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.wish.App, tt.wish.Selector = "shop", map[string]string{"app": "shop"}
			if d := cmp.Diff(tt.want, script(Find(World{Clusters: clusters(tt.clusters...), GitRepos: tt.repos}, tt.wish))); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestBelongs(t *testing.T) {
	by := func(s metav1.LabelSelector) []fleetyaml.Target {
		return []fleetyaml.Target{{ClusterName: "c1"}, {ClusterSelector: &s}}
	}
	in := func(op metav1.LabelSelectorOperator, values ...string) metav1.LabelSelector {
		return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: op, Values: values}}}
	}
	tests := []struct {
		name    string
		targets []fleetyaml.Target
		want    bool
	}{
		{"the labels", by(metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop"}}), true},
		{"and more", by(metav1.LabelSelector{MatchLabels: map[string]string{"app": "shop", "region": "eu"}}), true},
		{"as an expression", by(in(metav1.LabelSelectorOpIn, "shop")), true},
		{"one of several", by(in(metav1.LabelSelectorOpIn, "shop", "pay")), false},
		{"others than those", by(in(metav1.LabelSelectorOpNotIn, "shop")), false},
		{"another value", by(metav1.LabelSelector{MatchLabels: map[string]string{"app": "pay"}}), false},
		{"every cluster", by(metav1.LabelSelector{}), false},
		{"none", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Belongs(tt.targets, map[string]string{"app": "shop"}); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
