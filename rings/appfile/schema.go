package appfile

import (
	"bytes"
	_ "embed"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

//go:embed application.schema.json
var schema []byte

// Schema is the JSON Schema of a file. The caller owns it.
func Schema() []byte { return bytes.Clone(schema) }

// compiled is the schema, ready to check by.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	const name = "application.schema.json"
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, doc); err != nil {
		return nil, err
	}
	return c.Compile(name)
})

// keysAt are the keys that may stand at a place of the file; nil where any may,
// or none.
func keysAt(place []string) []string {
	t := reflect.TypeFor[File]()
	for _, step := range place {
		switch t.Kind() {
		case reflect.Slice:
			t = t.Elem()
		case reflect.Struct:
			f := fieldNamed(t, step)
			if f == nil {
				return nil
			}
			t = f.Type
		default:
			return nil
		}
	}
	return keysOf(t)
}

func keysOf(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for f := range fields(t) {
		out = append(out, jsonName(f))
	}
	return out
}

func fieldNamed(t reflect.Type, name string) *reflect.StructField {
	for f := range fields(t) {
		if jsonName(f) == name {
			return &f
		}
	}
	return nil
}

func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return slices.Values(reflect.VisibleFields(t))
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
