package store

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"rollout/orchestrator"
)

// A chunk is some events of one batch as they are stored, under the number of
// the first: a byte that says how (deflated), the number of events in two
// bytes, and the events, a line each, deflated with a dictionary, because the
// usual chunk is one cluster's change: two events that hold little but names of
// fields.
const (
	deflated  = 1
	maxChunk  = 64 // events
	chunkHead = 3  // bytes before the deflated ones
)

// dictionary is what events are made of, the most frequent last. It must never
// change: old chunks cannot be read without it. A better one needs another
// first byte than deflated.
const dictionary = `{"t":"ended","at":"","by":"","d":{"phase":"Succeeded","failure":{"code":"","words":"","hint":"","service":"","cluster":""
{"t":"commanded","at":"","by":"","d":{"seq":1,"kind":"cancel","by":"","reason":"","at":""}}
{"t":"dropped","at":"","by":"","d":{"action":""}}{"t":"warned","at":"","by":"","d":{"words":""}}{"t":"driven","at":"","by":"","d":{}}{"t":"started","at":"","by":"","d":{}}
{"t":"step-held","at":"","by":"","d":{"t":"step-started","at":"","by":"","d":{"ring":"","service":""}}
{"t":"asked","at":"","by":"","d":{"id":"","kind":"survey","ring":"","items":[{"service":"","version":"","nonce":1,"from":"","base":""}],"commit":"","reason":"","kind":"publish","kind":"hint","after":"
{"t":"answered","at":"","by":"","d":{"action":"","result":"ok","result":"unreachable","code":"","words":"","surveys":[{"service":"","tip":"","version":"","nonce":1,"maxNonce":1,"commit":"","author":"","at":"","lineage":["","expected":["
{"t":"attempt-decided","at":"","by":"","d":{"ring":"","service":"","attempt":{"number":1,"version":"","from":"","nonce":1,"base":"","ours":true}}}
{"t":"published","at":"","by":"","d":{"ring":"","service":"","commit":""}}{"t":"taken-up","at":"","by":"","d":{"ring":"","service":""}}
{"t":"step-ended","at":"","by":"","d":{"ring":"","service":"","phase":"Done","phase":"Failed","reason":"","failure":{
{"t":"observed","at":"","by":"","d":{"service":"","bundle":{"name":"","commit":"","error":"","maxNonce":1}}}{"service":"","gitRepo":{"commit":"","generation":1,"polling":15000000000,"jobFailed":true,"jobError":"
"installError":"","deployError":"","paused":true,"offSchedule":true,"words":"deployment / 0/1 replicas 1/2 replicas "suspect":"","code":"not-ready"
","expected":true,"phase":"Waiting"}},"phase":"Offline","phase":"Failed","reason":"","phase":"Missing","expected":true,"phase":"Applying"}}","expected":true,"phase":"NotReady","reason":"
{"t":"observed","at":"2026-12-31T00:00:00.000000000Z","by":"","d":{"service":"","deployment":{"cluster":"","commit":"0123456789abcdef","spec":1,"status":1,"staged":true,"applied":true,"ready":true,"nonModified":true,"heard":"2026-01-01T00:00:00Z"}}}
{"t":"cluster-turned","at":"2027-01-01T00:00:00.000000000Z","by":"","d":{"ring":"ring-1","service":"","cluster":"","expected":true,"phase":"Ready"}}
`

// deflaters are reused: a new one costs a megabyte.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriterDict(io.Discard, flate.DefaultCompression, []byte(dictionary))
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

// chunk is events as they are stored, under the number of the first.
type chunk struct {
	first uint64
	data  []byte
}

// encodeChunks returns the events as they are stored.
func encodeChunks(events []orchestrator.Event) ([]chunk, error) {
	var out []chunk
	for len(events) > 0 {
		n := min(len(events), maxChunk)
		data, err := encodeChunk(events[:n])
		if err != nil {
			return nil, fmt.Errorf("rollout %q: %w", events[0].Rollout, err)
		}
		out = append(out, chunk{first: events[0].Seq, data: data})
		events = events[n:]
	}
	return out, nil
}

func encodeChunk(events []orchestrator.Event) ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte(deflated)
	buf.Write(binary.BigEndian.AppendUint16(nil, uint16(len(events))))
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&buf)
	for _, e := range events {
		line, err := orchestrator.EncodeEvent(e)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// inflaters are reused, like deflaters.
var inflaters = sync.Pool{New: func() any { return flate.NewReaderDict(bytes.NewReader(nil), []byte(dictionary)) }}

// decodeChunk returns the lines of the events, whose bytes are its own.
func decodeChunk(data []byte) ([][]byte, error) {
	if len(data) < chunkHead || data[0] != deflated {
		return nil, fmt.Errorf("%w: unknown kind of journal entry", ErrCorrupt)
	}
	r := inflaters.Get().(io.Reader)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(data[chunkHead:]), []byte(dictionary)); err != nil {
		return nil, err
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	lines := bytes.Split(bytes.TrimSuffix(plain, []byte("\n")), []byte("\n"))
	if len(lines) != chunkLen(data) {
		return nil, fmt.Errorf("%w: journal entry of %d events has %d", ErrCorrupt, chunkLen(data), len(lines))
	}
	return lines, nil
}

// chunkLen is the number of events of a chunk.
func chunkLen(data []byte) int {
	if len(data) < chunkHead {
		return 0
	}
	return int(binary.BigEndian.Uint16(data[1:]))
}
