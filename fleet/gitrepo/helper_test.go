package gitrepo_test

import (
	"net/http"
	"net/http/httptest"
)

// forward hands a request to git, and its answer to nobody.
func (s *site) forward(r *http.Request) { s.forwardTo(httptest.NewRecorder(), r) }

// forwardTo hands a request to git, past what stands before it.
func (s *site) forwardTo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before := s.before
	s.before = nil
	s.mu.Unlock()
	s.http.Config.Handler.ServeHTTP(w, r)
	s.on(before)
}
