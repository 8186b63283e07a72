package fleetyaml_test

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rollout/fleet/fleetyaml"
)

// An edit sets the version and the nonce of one ring, and leaves the rest of the file alone.
func ExampleFile_Edit() {
	f, err := fleetyaml.Parse("fleet.yaml", []byte(`targetCustomizations:
- name: canary   # goes first
  clusterSelector: {matchLabels: {ring: canary}}
  helm:
    values: {image: {tag: "1.4.0"}}
- name: rest
  clusterSelector: {matchLabels: {ring: rest}}
  helm:
    values: {image: {tag: "1.4.0"}}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	ring := []fleetyaml.Cluster{{Name: "eu-1", Labels: map[string]string{"ring": "canary"}}}
	edit, err := f.Edit(fleetyaml.Change{
		Ring:    ring,
		All:     append(ring, fleetyaml.Cluster{Name: "eu-2", Labels: map[string]string{"ring": "rest"}}),
		Targets: []fleetyaml.Target{{ClusterSelector: &metav1.LabelSelector{}}},
		Version: "1.5.0",
		Nonce:   f.MaxNonce() + 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(edit.Bytes))
	// Output:
	// targetCustomizations:
	// - name: canary   # goes first
	//   clusterSelector: {matchLabels: {ring: canary}}
	//   forceSyncGeneration: 1
	//   helm:
	//     values: {image: {tag: "1.5.0"}}
	// - name: rest
	//   clusterSelector: {matchLabels: {ring: rest}}
	//   helm:
	//     values: {image: {tag: "1.4.0"}}
}
