package fleetyaml

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// child is the value of a key written in the mapping itself; nil if it has none, or n is no mapping. Aliases of n are
// followed, merge keys are not.
func child(n *yaml.Node, key string) *yaml.Node {
	_, v := pair(n, key)
	return v
}

func pair(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n = resolve(n); n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := resolve(n.Content[i]); k.Kind == yaml.ScalarNode && k.Value == key && k.Tag != "!!merge" {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// items are the items of a sequence; nil for anything else.
func items(n *yaml.Node) []*yaml.Node {
	if n = resolve(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

// place is where a path leads in the file.
type place struct {
	value  *yaml.Node   // nil: the path leads nowhere
	chain  []*yaml.Node // every node from the start to the value, both included
	shared *yaml.Node   // the first alias or merge key passed; nil if the path is written out
}

// walk follows a path from n, through aliases and merge keys as YAML says, and remembers that it did.
func walk(n *yaml.Node, path []string) place {
	p := place{}
	for i := 0; ; i++ {
		if n != nil && n.Kind == yaml.AliasNode {
			p.share(n)
			n = resolve(n)
		}
		if n == nil {
			return place{}
		}
		p.chain = append(p.chain, n)
		if i == len(path) {
			p.value = n
			return p
		}
		var via *yaml.Node
		n, via = step(n, path[i])
		p.share(via)
	}
}

func (p *place) share(n *yaml.Node) {
	if p.shared == nil {
		p.shared = n
	}
}

// step goes one key (or index) down; via is the merge key it went through, if any.
func step(n *yaml.Node, key string) (value, via *yaml.Node) {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) && strconv.Itoa(i) == key {
			return n.Content[i], nil
		}
		return nil, nil
	}
	if v := child(n, key); v != nil {
		return v, nil
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			if v := merged(n.Content[i+1], key, 0); v != nil {
				return v, n.Content[i]
			}
		}
	}
	return nil, nil
}

// maxMergeDepth bounds chains of merge keys; a file that a person wrote has one or two.
const maxMergeDepth = 20

// merged looks a key up in what a merge key brings in: a mapping, or a list of them of which the first wins.
func merged(n *yaml.Node, key string, depth int) *yaml.Node {
	n = resolve(n)
	if n == nil || depth > maxMergeDepth {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		for _, m := range n.Content {
			if v := merged(m, key, depth+1); v != nil {
				return v
			}
		}
		return nil
	}
	if v := child(n, key); v != nil {
		return v
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			if v := merged(n.Content[i+1], key, depth+1); v != nil {
				return v
			}
		}
	}
	return nil
}

// each calls fn for every node written in the file, once, parents before children; aliases are not followed.
func each(n *yaml.Node, fn func(*yaml.Node)) {
	if n == nil {
		return
	}
	fn(n)
	for _, c := range n.Content {
		each(c, fn)
	}
}

// aliases maps an anchored node to the first alias of it.
func aliases(root *yaml.Node) map[*yaml.Node]*yaml.Node {
	m := map[*yaml.Node]*yaml.Node{}
	each(root, func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode && m[n.Alias] == nil {
			m[n.Alias] = n
		}
	})
	return m
}
