package sim_test

import (
	"testing"

	"rollout/orchestrator"
	"rollout/orchestrator/sim"
)

// BenchmarkRehearse is a rehearsal of three services on a thousand clusters in
// three rings with a soak of an hour each: its mark is 2 s for the whole
// command, start of the program included.
func BenchmarkRehearse(b *testing.B) {
	a, o := sample(1000)
	b.ReportAllocs()
	for b.Loop() {
		if r, err := sim.Rehearse(a, o); err != nil || r.Phase != orchestrator.Succeeded {
			b.Fatalf("%s: %s, %v", r.Phase, r.Reason, err)
		}
	}
}
