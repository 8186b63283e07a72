package rings

import "time"

// Halt stops the line: nothing new starts while it stands.
type Halt struct {
	App    AppName   `json:"app,omitempty"` // "" for all applications
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is lifted
}

// Stands reports whether the halt has not run out.
func (h Halt) Stands(now time.Time) bool { return h.Until.IsZero() || now.Before(h.Until) }
