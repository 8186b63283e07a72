package rings

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is a number of clusters, or a share of all of them: "2" or "10%". The
// zero value is none.
type Amount struct {
	N       int
	Percent bool
}

// ParseAmount reads "2" or "10%"; "" is none.
func ParseAmount(text string) (Amount, error) {
	if text == "" {
		return Amount{}, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || percent && n > 100 {
		return Amount{}, fmt.Errorf("%q is neither a number of clusters nor a percentage of them", text)
	}
	return Amount{N: int(n), Percent: percent && n > 0}, nil
}

// Of returns the number that the amount stands for out of total, rounded down.
func (a Amount) Of(total int) int {
	if a.Percent {
		return total * a.N / 100
	}
	return a.N
}

// String is what ParseAmount reads.
func (a Amount) String() string {
	if a.Percent {
		return strconv.Itoa(a.N) + "%"
	}
	return strconv.Itoa(a.N)
}

// MarshalText implements [encoding.TextMarshaler].
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, err := ParseAmount(string(text))
	if err == nil {
		*a = parsed
	}
	return err
}
