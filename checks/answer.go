package checks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
)

// answer is the server's, as its HTTP API documents it. It is read here and not
// by github.com/prometheus/common/model, which takes a series without a value
// for one whose value is 0.
type answer struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// fault is what the server says is wrong.
func (a answer) fault() string {
	if a.Error == "" {
		return "no success, and no reason"
	}
	return cmp.Or(a.ErrorType, "error") + ": " + a.Error
}

// series is one series at one moment. A histogram has no value.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  *number           `json:"value"`
}

// number is a value, which stands as text behind its time: [1700000000, "0.5"].
type number float64

// UnmarshalJSON implements [json.Unmarshaler].
func (n *number) UnmarshalJSON(text []byte) error {
	var pair []json.RawMessage
	var value string
	if json.Unmarshal(text, &pair) == nil && len(pair) == 2 && json.Unmarshal(pair[1], &value) == nil {
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			*n = number(f)
			return nil
		}
	}
	return fmt.Errorf("%s is not a time and a value", text)
}

// series reads the result.
func (a answer) series() ([]series, error) {
	var out []series
	switch a.Data.ResultType {
	case "vector":
		err := json.Unmarshal(a.Data.Result, &out)
		return out, err
	case "scalar":
		out = make([]series, 1)
		err := json.Unmarshal(a.Data.Result, &out[0].Value)
		return out, err
	}
	return nil, fmt.Errorf("the result is of type %q; a vector or a scalar is needed", a.Data.ResultType)
}
