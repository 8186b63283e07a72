package main

import (
	"encoding/csv"
	"fmt"
	"strings"
	"time"
)

// tabular are the commands whose result can also be a table for a spreadsheet.
var tabular = []string{"where", "find", "history"}

// printCSV prints the rows under a header, with times in full.
func (p *program) printCSV(header []string, rows [][]string) error {
	w := csv.NewWriter(p.stdout)
	if err := w.WriteAll(append([][]string{header}, rows...)); err != nil {
		return fmt.Errorf("print as CSV: %w", err)
	}
	return nil
}

// stampOf is the time in full; "" when it has not come.
func stampOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return stamp(*t)
}

func joinWords(words []string) string { return strings.Join(words, "; ") }
