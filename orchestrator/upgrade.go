package orchestrator

import (
	"encoding/json"
	"fmt"

	"rollout/rings"
)

// ringsOfCreated makes version 2 of the event "created": version 1 had the
// rings' names only, and each step had its ring's policy.
func ringsOfCreated(old json.RawMessage) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	var was struct {
		Rings []rings.RingName `json:"rings"`
		Steps []struct {
			Ring   rings.RingName `json:"ring"`
			Policy rings.Policy   `json:"policy"`
		} `json:"steps"`
	}
	if err := json.Unmarshal(old, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(old, &was); err != nil {
		return nil, err
	}
	var is []NewRing
	for _, name := range was.Rings {
		ring := NewRing{Name: name, Named: true}
		for _, st := range was.Steps {
			if st.Ring == name {
				ring.Policy = st.Policy
			}
		}
		is = append(is, ring)
	}
	text, err := json.Marshal(is)
	if err != nil {
		return nil, fmt.Errorf("rings: %w", err)
	}
	all["rings"] = text
	return json.Marshal(all)
}
