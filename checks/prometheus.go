package checks

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"rollout/orchestrator"
	"rollout/rings"
)

// maxAnswer bounds a server's answer, in bytes: some 20,000 series.
const maxAnswer = 4 << 20

// prometheus asks an instant query. Whatever is not a number for every series
// is no answer.
func (c *Checker) prometheus(ctx context.Context, check rings.Check) orchestrator.Outcome {
	u, err := queryURL(check)
	if err != nil {
		return silent("the URL cannot be read: %v", withoutURL(err))
	}
	return c.get(ctx, u, func(r *http.Response) orchestrator.Outcome {
		if r.StatusCode != http.StatusOK {
			return silent("HTTP %d%s", r.StatusCode, after(complaint(u, r)))
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
		switch {
		case err != nil:
			return unanswered(ctx, u, err)
		case len(body) > maxAnswer:
			return silent("%s: the answer is longer than %d MiB; a query with fewer series is needed", shown(u), maxAnswer>>20)
		}
		return judge(check, body)
	})
}

// queryURL keeps what the check's URL asks for besides.
func queryURL(check rings.Check) (*url.URL, error) {
	u, err := url.Parse(check.URL)
	if err != nil {
		return nil, err
	}
	u = u.JoinPath("api/v1/query")
	values := u.Query()
	values.Set("query", check.Query)
	u.RawQuery = values.Encode()
	return u, nil
}

// complaint is what the server says is wrong, as far as it came. It says it in
// the form of all its answers; a proxy in front of it does not.
func complaint(u *url.URL, r *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxExcerpt))
	var a answer
	if err := json.Unmarshal(body, &a); err == nil && a.Error != "" {
		return first(plainFor(u, a.fault()))
	}
	return first(plainFor(u, string(body)))
}
