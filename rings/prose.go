package rings

import (
	"strings"
	"unicode"
)

// OneLine makes one line of what people wrote over several; what has no control
// character stays as it is.
func OneLine(s string) string {
	if !HasControl(s) {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// HasControl reports whether there is something in s that a terminal may obey.
func HasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }
