package fleet

import (
	"net/http"
	"sync"
	"time"
)

// serverClock tells the API server's time from the Date header of its latest
// answer. The header has whole seconds, rounded down, and the answer took its
// way: so the time is never ahead of the server's.
type serverClock struct {
	now func() time.Time

	mu   sync.Mutex
	date time.Time // of the latest answer; zero before the first
	at   time.Time // local, when it came
}

// Now returns false before the first answer that had a date.
func (c *serverClock) Now() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.date.IsZero() {
		return time.Time{}, false
	}
	return c.date.Add(max(0, c.now().Sub(c.at))), true
}

func (c *serverClock) observe(header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.date, c.at = date, c.now()
}

func (c *serverClock) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(r)
		if response != nil {
			c.observe(response.Header)
		}
		return response, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
