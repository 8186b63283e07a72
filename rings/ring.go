package rings

import "fmt"

// Ring is an ordered group of clusters. Its clusters are those that carry the
// application's selector labels and this ring's name as the ring label.
type Ring struct {
	Name   RingName `json:"name"`
	Policy Policy   `json:"policy"`
}

// Validate returns an *InvalidError that names every fault, or nil.
func (r Ring) Validate() error {
	faults := append([]string{CheckName("ring", string(r.Name))}, r.Policy.faults()...)
	return invalid(fmt.Sprintf("ring %q", r.Name), faults...)
}
