//go:build race

package explore_test

// slow: the race detector makes an exploration ten times as long.
const slow = true
