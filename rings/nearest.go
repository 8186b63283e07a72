package rings

import "fmt"

// UnknownError says that a name is not there, and which known one it is
// nearest to. It wraps [ErrUnknown].
type UnknownError struct {
	Kind    string // "service", "ring", ...
	Name    string
	Where   string // `application "shop"`, or "" for the whole store
	Nearest string // "" when nothing is near
}

// Error says what is missing, where, and what was perhaps meant.
func (e *UnknownError) Error() string {
	s := fmt.Sprintf("%s %q: not found", e.Kind, e.Name)
	if e.Where != "" {
		s += " in " + e.Where
	}
	if e.Nearest != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return s
}

// Unwrap returns ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// Nearest returns the candidate with the smallest edit distance to name, or ""
// when none is within a third of the name's length, rounded up ("shpo" finds
// "shop", "rng-1" finds "ring-1", "ab" does not find "db2"). Of equals the
// first wins.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", (len(name)+2)/3+1
	for _, c := range candidates {
		if d := editDistance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes: names are ASCII.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
