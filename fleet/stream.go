package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// wire is a pointer to one of the wire types.
type wire[W any] interface {
	*W
	meta() *wireMeta
}

func (w *wireDeployment) meta() *wireMeta { return &w.Metadata.wireMeta }
func (w *wireBundle) meta() *wireMeta     { return &w.Metadata.wireMeta }
func (w *wireGitRepo) meta() *wireMeta    { return &w.Metadata }
func (w *wireCluster) meta() *wireMeta    { return &w.Metadata.wireMeta }
func (w *wireGroup) meta() *wireMeta      { return &w.Metadata.wireMeta }
func (w *wireToken) meta() *wireMeta      { return &w.Metadata }

// object is a record on its way through the reflector: of its metadata only the
// resource version is left, which is all that a reflector asks for.
type object[R any] struct {
	version string
	record  R
}

// GetObjectKind is what a runtime.Object needs.
func (o *object[R]) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject is what a runtime.Object needs. Records are values.
func (o *object[R]) DeepCopyObject() runtime.Object {
	c := *o
	return &c
}

// GetObjectMeta makes a metav1.ObjectMeta when it is asked for, so that none is kept.
func (o *object[R]) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{ResourceVersion: o.version}
}

// page is one page of a list.
type page struct {
	metav1.ListMeta
	Items []runtime.Object
}

// GetObjectKind is what a runtime.Object needs.
func (p *page) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject is what a runtime.Object needs; nobody calls it.
func (p *page) DeepCopyObject() runtime.Object {
	c := *p
	return &c
}

// readList decodes a list as it arrives and gives each object to visit; the
// object is used again for the next one. Nothing but one object is held.
func readList[W any, P wire[W]](body io.Reader, visit func(P)) (metav1.ListMeta, error) {
	var list metav1.ListMeta
	var w, zero W
	d := json.NewDecoder(body)
	err := eachField(d, func(name string) error {
		switch name {
		case "metadata":
			return d.Decode(&list)
		case "items":
			return eachItem(d, func() error {
				w = zero
				if err := d.Decode(&w); err != nil {
					return err
				}
				visit(&w)
				return nil
			})
		}
		return skip(d)
	})
	return list, err
}

// eachField reads an object; field must read the value.
func eachField(d *json.Decoder, field func(name string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // a key of an object is one
		if err := field(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return expect(d, '}')
}

// eachItem reads an array, or null, which is an empty one; item must read the value.
func eachItem(d *json.Decoder, item func() error) error {
	token, err := d.Token()
	if err != nil || token == nil {
		return err
	}
	if token != json.Delim('[') {
		return fmt.Errorf("%v where a list should begin", token)
	}
	for d.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v where %v should be", token, want)
	}
	return nil
}

func skip(d *json.Decoder) error {
	var ignored json.RawMessage
	return d.Decode(&ignored)
}

// events decodes a watch as it arrives; it is the Decoder of a watch.StreamWatcher.
type events[R any] struct {
	body   io.ReadCloser
	json   *json.Decoder
	decode func(*json.Decoder) (*object[R], error)
	ended  func() // called once, when the stream is over
}

// Decode returns the next event, or io.EOF when the connection ended, however
// it did: the reflector watches again from the last version.
func (e *events[R]) Decode() (kind watch.EventType, _ runtime.Object, err error) {
	var out runtime.Object
	err = eachField(e.json, func(name string) error {
		switch name {
		case "type":
			return e.json.Decode(&kind)
		case "object":
			out, err = e.object(kind)
			return err
		}
		return skip(e.json)
	})
	if err != nil {
		e.ended()
		return "", nil, ending(err)
	}
	return kind, out, nil
}

// object reads the event's object. The API server writes the type first.
func (e *events[R]) object(kind watch.EventType) (runtime.Object, error) {
	switch kind {
	case watch.Added, watch.Modified, watch.Deleted, watch.Bookmark:
		return e.decode(e.json)
	case watch.Error:
		status := &metav1.Status{}
		return status, e.json.Decode(status)
	}
	return nil, fmt.Errorf("event of unknown type %q", kind)
}

// ending makes io.EOF of whatever a broken connection says; what is left is a
// stream that cannot be understood.
func ending(err error) error {
	_, isSyntax := errors.AsType[*json.SyntaxError](err)
	_, isType := errors.AsType[*json.UnmarshalTypeError](err)
	if isSyntax || isType {
		return err
	}
	return io.EOF
}

// Close breaks the connection. The StreamWatcher calls it at its end, whether
// or not a Decode has failed by then: one that was stopped while it handed an
// event over decodes no more.
func (e *events[R]) Close() {
	_ = e.body.Close() // it was only read
	e.ended()
}

// newer reports whether a resource version comes after another; a version that
// is not a number is always newer. Versions of one kind are comparable, and a
// watch sends them in order.
func newer(version, than string) bool {
	a, errA := strconv.ParseUint(version, 10, 64)
	b, errB := strconv.ParseUint(than, 10, 64)
	return errA != nil || errB != nil || a > b
}

// expired is the answer to a watch or page whose version is too old.
func expired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
