package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// pageSize is the number of objects that one request lists.
const pageSize = 500

// patience is how long a watch that worked once may be forbidden before it is
// given up: an API server that is starting may refuse for a moment.
const patience = time.Minute

// source is one kind of objects, listed and watched by a Reflector and given to
// its functions as records. The functions are called from one goroutine.
type source[R any] struct {
	raw                        rest.Interface
	resource, namespace        string
	labelSelector, fieldSelect string
	decode                     func(*json.Decoder) (*object[R], error)
	read                       func(io.Reader, func(*object[R])) (metav1.ListMeta, error)

	set     func(record R, live bool)
	delete  func(R)
	replace func([]R)
	listed  func()      // the first list is there; more calls do nothing
	give    func(error) // ends the whole watch
	now     func() time.Time

	running gate // requests and streams
	mu      sync.Mutex
	trust   map[string]trust // by verb
	seen    string           // the newest version; only the reflector's goroutine uses it
}

// trust is whether a verb is permitted.
type trust struct {
	worked bool      // once
	denied time.Time // since when it is not permitted; zero when it is
}

// newSource ties a wire type to the record that is made of it.
func newSource[R, W any, P wire[W]](m *Manager, plural string, record func(P) R) *source[R] {
	wrap := func(w P) *object[R] { return &object[R]{version: w.meta().ResourceVersion, record: record(w)} }
	return &source[R]{raw: m.raw, resource: plural, now: m.now, trust: map[string]trust{},
		decode: func(d *json.Decoder) (*object[R], error) {
			var w W
			if err := d.Decode(&w); err != nil {
				return nil, err
			}
			return wrap(&w), nil
		},
		read: func(body io.Reader, visit func(*object[R])) (metav1.ListMeta, error) {
			return readList(body, func(w P) { visit(wrap(w)) })
		},
	}
}

// run keeps listing and watching until ctx ends. When it returns, no request of
// it is under way and no stream open.
func (s *source[R]) run(ctx context.Context) {
	r := cache.NewReflectorWithOptions(s, &object[R]{}, s, cache.ReflectorOptions{
		Name: "rollout", TypeDescription: s.resource,
		Backoff: &wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.3, Steps: 4, Cap: 3 * time.Second},
	})
	r.WatchListPageSize = pageSize
	r.RunWithContext(ctx)
	s.running.close()
}

func (s *source[R]) request(o *metav1.ListOptions) *rest.Request {
	o.LabelSelector, o.FieldSelector = s.labelSelector, s.fieldSelect
	return s.raw.Get().Namespace(s.namespace).Resource(s.resource).VersionedParams(o, metav1.ParameterCodec)
}

// ListWithContext reads one page, of the newest state. A Reflector asks for "0"
// at first, for which an API server ignores the limit and sends all at once;
// and for the last version it saw when it lists again. With a limit that means
// exactly that version, not a later one: after the API server was restarted,
// the Reflector would list the past and be refused a watch from there, for ever.
func (s *source[R]) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	if err := s.running.enter(); err != nil {
		return nil, err
	}
	defer s.running.leave()
	o.ResourceVersion, o.ResourceVersionMatch = "", ""
	body, err := s.request(&o).Stream(ctx)
	if err != nil {
		return nil, s.failed("list", err)
	}
	defer body.Close()
	out := &page{}
	out.ListMeta, err = s.read(body, func(o *object[R]) { out.Items = append(out.Items, o) })
	if err != nil {
		return nil, s.failed("list", err)
	}
	s.works("list")
	return out, nil
}

// WatchWithContext opens a stream of events.
func (s *source[R]) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	if err := s.running.enter(); err != nil {
		return nil, err
	}
	o.Watch = true
	body, err := s.request(&o).Stream(ctx)
	if err != nil {
		s.running.leave()
		return nil, s.failed("watch", err)
	}
	s.works("watch")
	stream := &events[R]{body: body, json: json.NewDecoder(body), decode: s.decode, ended: sync.OnceFunc(s.running.leave)}
	return watch.NewStreamWatcher(stream, apierrors.NewClientErrorReporter(http.StatusInternalServerError, "watch", s.resource)), nil
}

// List is ListWithContext without one; a Reflector does not call it.
func (s *source[R]) List(o metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), o)
}

// Watch is WatchWithContext without one; a Reflector does not call it.
func (s *source[R]) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), o)
}

// IsWatchListSemanticsUnSupported makes the Reflector list by pages, which
// need no second store while they arrive.
func (s *source[R]) IsWatchListSemanticsUnSupported() bool { return true }

func (s *source[R]) works(verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trust[verb] = trust{worked: true}
}

// failed gives the whole watch up when it can never work, and returns the
// error for the Reflector, which tries again.
func (s *source[R]) failed(verb string, err error) error {
	meant := request{verb: verb, resource: resource(s.resource), namespace: s.namespace}.fail(err)
	hopeless := errors.Is(meant, ErrForbidden) || errors.Is(meant, ErrCredentials) || errors.Is(meant, ErrNoFleet)
	if hopeless && s.lostPatience(verb) {
		s.give(meant)
	}
	return err
}

// lostPatience reports whether the verb never worked, or has not for too long.
func (s *source[R]) lostPatience(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.trust[verb]
	if t.denied.IsZero() {
		t.denied = s.now()
		s.trust[verb] = t
	}
	return !t.worked || s.now().Sub(t.denied) > patience
}

// Replace takes a complete list. It is believed as it is, even if its version
// is older than what was seen: the API server was restored from a backup.
func (s *source[R]) Replace(list []any, version string) error {
	records := make([]R, len(list))
	for i, o := range list {
		records[i] = o.(*object[R]).record
	}
	s.seen = version
	s.replace(records)
	return nil
}

// Add takes an event.
func (s *source[R]) Add(o any) error { return s.Update(o) }

// Update takes an event, unless it is not newer than the last one.
func (s *source[R]) Update(o any) error {
	if e := o.(*object[R]); s.advance(e.version) {
		s.set(e.record, true)
	}
	return nil
}

// Delete takes an event, unless it is not newer than the last one.
func (s *source[R]) Delete(o any) error {
	if e := o.(*object[R]); s.advance(e.version) {
		s.delete(e.record)
	}
	return nil
}

// Resync is not used.
func (s *source[R]) Resync() error { return nil }

func (s *source[R]) advance(version string) bool {
	if !newer(version, s.seen) {
		return false
	}
	s.seen = version
	return true
}
