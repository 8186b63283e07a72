package rings

import "fmt"

// Ring is an ordered group of clusters. Its clusters are those that carry the
// application's selector labels and this ring's name as the ring label.
type Ring struct {
	Name   RingName `json:"name"`
	Policy Policy   `json:"policy"`
	// Starts is what starts on it without a person, and Kept how far that is.
	Starts Starts `json:"starts,omitzero"`
	Kept   Kept   `json:"kept,omitzero"`
}

// Validate returns an *InvalidError that names every fault, or nil.
func (r Ring) Validate() error {
	faults := append([]string{CheckName("ring", string(r.Name))}, r.Policy.faults()...)
	faults = append(faults, r.Starts.Train.faults()...)
	faults = append(faults, oneOf("on release", r.Starts.OnRelease, "wait", ReleaseStart))
	return invalid(fmt.Sprintf("ring %q", r.Name), faults...)
}
