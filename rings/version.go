package rings

import (
	"fmt"
	"regexp"
)

// Version is the value that a service's fleet.yaml carries for a ring, taken
// as text: "1.10" and "1.1" are two versions.
type Version string

// imageTag is what can stand in an image reference after the colon
// (distribution/reference: tag).
var imageTag = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// Check returns an error when the version cannot stand in an image tag.
func (v Version) Check() error {
	if imageTag.MatchString(string(v)) {
		return nil
	}
	return fmt.Errorf("version %q cannot stand in an image tag: up to 128 of A-Z a-z 0-9 _ . - are allowed, not beginning with . or -", string(v))
}
