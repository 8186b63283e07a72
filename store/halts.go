package store

import (
	"context"
	"time"

	"rollout/rings"
)

// Halted implements [orchestrator.Store].
func (db *DB) Halted(ctx context.Context, app rings.AppName, now time.Time) (*rings.Halt, error) {
	return nil, nil
}
