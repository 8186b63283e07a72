package rings

import (
	"fmt"
	"time"
)

// Freeze lets a ring not begin while what came from it is judged on a later one
// whose policy says so. What has begun there goes on.
type Freeze struct {
	Ring    RingName  `json:"ring"`    // that must not begin
	By      RingName  `json:"by"`      // whose policy says so
	Rollout string    `json:"rollout"` // that is under way there
	Since   time.Time `json:"since"`
}

// Same reports whether both are one rollout's on one ring.
func (f Freeze) Same(o Freeze) bool {
	return f.Ring == o.Ring && f.By == o.By && f.Rollout == o.Rollout && f.Since.Equal(o.Since)
}

// Words say what holds the ring, and since when.
func (f Freeze) Words() string {
	return fmt.Sprintf("%s is frozen by %s since %s: %s is being judged there", f.Ring, f.By, f.Since.UTC().Format(time.RFC3339), f.Rollout)
}
