package sim_test

import (
	"fmt"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
	"rollout/rings"
)

// BenchmarkWorld is three virtual hours of a fleet of 1,000 clusters on three
// rings, each of which gets three services, one after the other.
func BenchmarkWorld(b *testing.B) {
	for _, n := range []int{8, 1000} {
		b.Run(fmt.Sprintf("clusters=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if facts := threeHours(b, n); facts < 3*n {
					b.Fatalf("%d facts", facts)
				}
			}
		})
	}
}

func threeHours(b *testing.B, clusters int) (facts int) {
	w := sim.NewWorld(1)
	w.AddRepo(repo, "main")
	services := []string{"api", "db", "web"}
	for _, s := range services {
		w.AddService(service(s), yaml("ring-1", "ring-2", "ring-3"))
	}
	for i := range clusters {
		w.AddCluster(rings.ClusterName(fmt.Sprintf("c%04d", i)), on(fmt.Sprintf("ring-%d", i%3+1)))
	}
	nonce := int64(3)
	for _, ring := range []rings.RingName{"ring-1", "ring-2", "ring-3"} {
		spec := orchestrator.Watch{Scope: scope, Ring: ring}
		for _, s := range services {
			spec.Targets = append(spec.Targets, orchestrator.TargetOf(service(s)))
		}
		stop := w.Watch(spec, func(f []orchestrator.Fact) { facts += len(f) })
		for _, s := range services {
			nonce++
			t := orchestrator.TargetOf(service(s))
			j := orchestrator.Job{Scope: scope, Rollout: "shop-1", Targets: map[rings.ServiceName]orchestrator.Target{t.Service: t},
				Action: orchestrator.Action{Kind: orchestrator.ActPublish, Ring: ring,
					Items: []orchestrator.Item{{Service: t.Service, Version: "v2", Nonce: nonce, Base: w.Tip(repo)}}}}
			var got orchestrator.Outcome
			w.Do(j, func(o orchestrator.Outcome) { got = o })
			for got.Result == "" {
				w.Step()
			}
			if got.Result != orchestrator.OK {
				b.Fatalf("%+v", got)
			}
			for end := w.Now().Add(20 * time.Minute); w.Now().Before(end); {
				w.Step()
			}
		}
		stop()
		for _, c := range w.Members(on(string(ring))) {
			for _, s := range services {
				if v, _, healthy := w.Running(rings.ServiceName(s), c); v != "v2" || !healthy {
					b.Fatalf("%s on %s: %s, healthy %t", s, c, v, healthy)
				}
			}
		}
	}
	return facts
}
