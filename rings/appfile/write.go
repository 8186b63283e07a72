package appfile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Bytes is the file as YAML, its parts in the order of [File].
func (f *File) Bytes() ([]byte, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("application %q: %w", f.Name, err)
	}
	var doc yaml.Node // JSON is YAML, and keeps the order
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("application %q: %w", f.Name, err)
	}
	if err := plain(&doc); err != nil {
		return nil, fmt.Errorf("application %q: %w", f.Name, err)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(&doc); err != nil {
		return nil, fmt.Errorf("application %q: %w", f.Name, err)
	}
	return out.Bytes(), e.Close()
}

// plain takes JSON's style from a node: block style, and quotes only where
// some reader of YAML would take the text for something else.
func plain(n *yaml.Node) error {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Encode(n.Value)
	}
	for _, c := range n.Content {
		if err := plain(c); err != nil {
			return err
		}
	}
	return nil
}
