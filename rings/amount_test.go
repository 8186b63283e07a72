package rings_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollout/rings"
)

func TestParseAmount(t *testing.T) {
	const neither = " is neither a number of clusters nor a percentage of them"
	tests := []struct {
		text    string
		want    rings.Amount
		wantErr string
		shown   string // String of what was read
	}{
		{text: "", shown: "0"},
		{text: "0", shown: "0"},
		{text: "0%", shown: "0"},
		{text: "2", want: rings.Amount{N: 2}, shown: "2"},
		{text: "007", want: rings.Amount{N: 7}, shown: "7"},
		{text: "150", want: rings.Amount{N: 150}, shown: "150"},
		{text: "1%", want: rings.Amount{N: 1, Percent: true}, shown: "1%"},
		{text: "100%", want: rings.Amount{N: 100, Percent: true}, shown: "100%"},
		{text: "101%", wantErr: `"101%"` + neither},
		{text: "-1", wantErr: `"-1"` + neither},
		{text: "+1", wantErr: `"+1"` + neither},
		{text: "-0", wantErr: `"-0"` + neither},
		{text: "-5%", wantErr: `"-5%"` + neither},
		{text: "%", wantErr: `"%"` + neither},
		{text: "10%%", wantErr: `"10%%"` + neither},
		{text: "10 %", wantErr: `"10 %"` + neither},
		{text: " 2", wantErr: `" 2"` + neither},
		{text: "2.5", wantErr: `"2.5"` + neither},
		{text: "all", wantErr: `"all"` + neither},
		{text: "99999999999999999999", wantErr: `"99999999999999999999"` + neither},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got, err := rings.ParseAmount(test.text)
			if got != test.want || message(err) != test.wantErr {
				t.Fatalf("ParseAmount(%q) = %v, %q, want %v, %q", test.text, got, message(err), test.want, test.wantErr)
			}
			if err != nil {
				return
			}
			if got.String() != test.shown {
				t.Errorf("String() = %q, want %q", got, test.shown)
			}
			if again, err := rings.ParseAmount(got.String()); again != got || err != nil {
				t.Errorf("ParseAmount(%q) = %v, %v, want %v", got, again, err, got)
			}
		})
	}
}

func TestAmount_Of(t *testing.T) {
	tests := []struct {
		amount string
		total  int
		want   int
	}{
		{"", 10, 0},
		{"2", 0, 2},
		{"2", 10, 2},
		{"12", 10, 12},
		{"10%", 0, 0},
		{"10%", 9, 0},
		{"10%", 10, 1},
		{"10%", 19, 1},
		{"10%", 20, 2},
		{"33%", 3, 0},
		{"34%", 3, 1},
		{"99%", 100, 99},
		{"99%", 99, 98},
		{"99%", 1, 0},
		{"100%", 7, 7},
		{"1%", 10_000, 100},
	}
	for _, test := range tests {
		a, err := rings.ParseAmount(test.amount)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Of(test.total); got != test.want {
			t.Errorf("%q of %d = %d, want %d", test.amount, test.total, got, test.want)
		}
	}
}

func TestAmount_json(t *testing.T) {
	for text, want := range map[string]string{`"10%"`: `"10%"`, `"3"`: `"3"`, `""`: `"0"`} {
		var a rings.Amount
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		got, err := json.Marshal(a)
		if string(got) != want || err != nil {
			t.Errorf("%s comes back as %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestAmount_UnmarshalText_keepsTheOldWhenItFails(t *testing.T) {
	a := rings.Amount{N: 10, Percent: true}
	err := a.UnmarshalText([]byte("lots"))
	if got, want := message(err), `"lots" is neither a number of clusters nor a percentage of them`; got != want {
		t.Errorf("err = %q, want %q", got, want)
	}
	if diff := cmp.Diff(rings.Amount{N: 10, Percent: true}, a); diff != "" {
		t.Errorf("amount (-want +got):\n%s", diff)
	}
}
