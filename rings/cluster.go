package rings

import "time"

// Cluster is what this store remembers of a Fleet Cluster that was added to
// an application. The truth about its ring is the label on the Cluster
// object: this record only says who put it there.
type Cluster struct {
	Name    ClusterName `json:"name"`
	App     AppName     `json:"app"`
	Ring    RingName    `json:"ring"`
	AddedBy string      `json:"addedBy"`
	AddedAt time.Time   `json:"addedAt"`
}
