package orchestrator_test

import (
	"fmt"
	"testing"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
	"rollout/store/storetest"
)

// The memory store is held to the same suite as the real one.
func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		m, n := newMemory(t), 0
		return storetest.Subject{
			Store: m,
			Begin: func(_ *testing.T, first orchestrator.Created, actor string, now time.Time) orchestrator.ID {
				n++
				id := orchestrator.ID(fmt.Sprintf("shop-%d", n))
				m.create(id, now, actor, first)
				return id
			},
			Send: func(_ *testing.T, id orchestrator.ID, c orchestrator.Command) { m.command(id, c) },
			Halt: func(_ *testing.T, h rings.Halt) { m.halt(h) },
		}
	})
}
