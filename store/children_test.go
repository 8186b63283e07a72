package store_test

var children = map[string]func(path string) error{}
