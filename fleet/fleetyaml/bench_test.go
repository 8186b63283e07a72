package fleetyaml_test

import (
	"fmt"
	"strings"
	"testing"

	"rollout/fleet/fleetyaml"
)

// bigFile has an entry for each of n rings.
func bigFile(n int) []byte {
	var b strings.Builder
	b.WriteString("name: web\nhelm:\n  chart: ./chart\n  values:\n    image: {repository: x, tag: v0}\ntargetCustomizations:\n")
	for i := range n {
		fmt.Fprintf(&b, "- name: ring-%d\n  clusterSelector:\n    matchLabels:\n      ring: ring-%d\n  forceSyncGeneration: %d\n", i, i, i+1)
		fmt.Fprintf(&b, "  helm:\n    values:\n      image:\n        tag: v1 # ring %d\n", i)
	}
	return []byte(b.String())
}

func clusters(n, rings int) []fleetyaml.Cluster {
	cs := make([]fleetyaml.Cluster, n)
	for i := range cs {
		cs[i] = fleetyaml.Cluster{Name: fmt.Sprintf("c%05d", i), Labels: map[string]string{"ring": fmt.Sprintf("ring-%d", i%rings)}}
	}
	return cs
}

// BenchmarkEdit parses and edits a file of 10 rings, with the clusters of a small and of a large fleet to protect.
func BenchmarkEdit(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("clusters=%d", n), func(b *testing.B) {
			src, all := bigFile(10), clusters(n, 10)
			c := fleetyaml.Change{All: all, Version: "v2", Nonce: 99, Targets: everything}
			for i := 3; i < n; i += 10 {
				c.Ring = append(c.Ring, all[i])
			}
			b.ReportAllocs()
			for b.Loop() {
				f, err := fleetyaml.Parse("fleet.yaml", src)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := f.Edit(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkView asks what one cluster of many gets.
func BenchmarkView(b *testing.B) {
	f, err := fleetyaml.Parse("fleet.yaml", bigFile(10))
	if err != nil {
		b.Fatal(err)
	}
	v, err := f.View(everything, nil)
	if err != nil {
		b.Fatal(err)
	}
	all := clusters(1_000, 10)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := v.Effect(all[i%len(all)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
