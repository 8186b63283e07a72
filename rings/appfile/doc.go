// Package appfile is an application as one file that people review:
//
//	apiVersion: rollout/v1
//	kind: Application
//	name: shop
//	rings:
//	- name: ring-1
//	  policy: {soak: 30m}
//	  clusters: [eu-1, eu-2]
//	services:
//	- name: db
//	  repo: https://git.example.com/shop/db.git
//	  path: deploy
//
// It says what `app create`, `ring create`, `ring group create`, `cluster add`,
// `service add`, `window add` and `lock` would be told; what such a command is
// not told has the same default here. The plan is not in it: which versions are wanted is for CI to say, many times a
// day.
//
// [Parse] reads and checks such a file, [Of] and [File.Bytes] write one, and
// [Compare] says what must be done, in which order, to make what is stored what
// the file says. The file's schema, [Schema], is what Parse checks by; a test
// holds it against [File]. It does no I/O and has no clock.
//
// A part of the file is one entry in sections, which says how it is written and
// how it is compared, one field of [File], and one property of the schema.
package appfile
