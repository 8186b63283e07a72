package main

import (
	"fmt"

	"rollout/rings"
)

// haltScope is what a halt stops.
func haltScope(h rings.Halt) string {
	if h.App == "" {
		return "all applications"
	}
	return fmt.Sprintf("application %q", h.App)
}

func haltEnd(h rings.Halt) string {
	if h.Until.IsZero() {
		return "until it is lifted"
	}
	return "until " + stamp(h.Until)
}

// haltWords are who stops what, since when, until when and why.
func haltWords(h rings.Halt) string {
	return fmt.Sprintf("%s by %s since %s, %s: %s", haltScope(h), h.By, stamp(h.At), haltEnd(h), h.Reason)
}
