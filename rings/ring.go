package rings

import (
	"fmt"
	"time"
)

// Ring is an ordered group of clusters. Its clusters are those that carry the
// application's selector labels and this ring's name as the ring label.
type Ring struct {
	Name   RingName `json:"name"`
	Policy Policy   `json:"policy"`
}

// Policy is what a ring demands of a rollout. The zero value is the default.
type Policy struct {
	// Uptake bounds the time from a push until Fleet has taken the commit up.
	// Zero means [DefaultUptake], or three polling intervals if that is longer.
	Uptake time.Duration `json:"uptakeDeadline,omitempty"`
	// Converge bounds, per cluster, the time from then until it is ready.
	// Zero means [DefaultConverge].
	Converge time.Duration `json:"deadline,omitempty"`
}

const (
	// DefaultUptake is generous for a git job whose image must be pulled.
	DefaultUptake = 5 * time.Minute
	// DefaultConverge lies above Kubernetes' own progress deadline of 10 min.
	DefaultConverge = 15 * time.Minute
)

// Validate returns an *InvalidError that names every fault, or nil.
func (r Ring) Validate() error {
	what := fmt.Sprintf("ring %q", r.Name)
	return invalid(what, CheckName("ring", string(r.Name)),
		checkDeadline("uptake deadline", r.Policy.Uptake),
		checkDeadline("deadline", r.Policy.Converge))
}

func checkDeadline(what string, d time.Duration) string {
	if d < 0 || d > 0 && d < time.Second {
		return fmt.Sprintf("%s %s: at least 1s is needed", what, d)
	}
	return ""
}
