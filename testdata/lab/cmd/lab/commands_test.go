package main

import (
	"testing"

	"rollout/testdata/lab"
)

func TestLabels(t *testing.T) {
	got, err := labelled(lab.Clusters(2), []string{"c1:ring=ring-1", "c1:app=shop", "c2:ring=ring-2"})
	if err != nil || got[0].Labels["ring"] != "ring-1" || got[0].Labels["app"] != "shop" || got[1].Labels["ring"] != "ring-2" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"c3:ring=ring-1", "ring=ring-1", "c1:ring", ""} {
		if _, err := labelled(lab.Clusters(2), []string{bad}); err == nil {
			t.Errorf("--label %q was taken", bad)
		}
	}
}
