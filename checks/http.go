package checks

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"rollout/orchestrator"
	"rollout/rings"
)

// maxExcerpt is how much is read of a body that is only shown, in bytes.
const maxExcerpt = 4 << 10

// http asks an endpoint. The body of a good answer is not read.
func (c *Checker) http(ctx context.Context, check rings.Check) orchestrator.Outcome {
	u, err := url.Parse(check.URL)
	if err != nil {
		return silent("the URL cannot be read: %v", withoutURL(err))
	}
	return c.get(ctx, u, func(r *http.Response) orchestrator.Outcome {
		if r.StatusCode >= 200 && r.StatusCode <= 299 {
			return well("HTTP %d", r.StatusCode)
		}
		return badly("HTTP %d%s", r.StatusCode, after(excerpt(u, r)))
	})
}

// get hands the answer to judge, which need not read all of it.
func (c *Checker) get(ctx context.Context, u *url.URL, judge func(*http.Response) orchestrator.Outcome) orchestrator.Outcome {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return silent("%s cannot be asked: %s", shown(u), plainFor(u, withoutURL(err).Error()))
	}
	request.Header.Set("User-Agent", "rollout")
	response, err := c.client.Do(request)
	if err != nil {
		return unanswered(ctx, u, err)
	}
	defer response.Body.Close()
	return judge(response)
}

// unanswered is the outcome when there is no answer, or only a part of one.
func unanswered(ctx context.Context, u *url.URL, err error) orchestrator.Outcome {
	settle(ctx)
	if late := outOfTime(ctx); late != "" {
		return silent("%s: %s", shown(u), late)
	}
	return unreachable("%s: %s", shown(u), first(plainFor(u, withoutURL(err).Error())))
}

// hair is by how much a timer that was set for ctx's deadline may be ahead of
// ctx: the dialer has one of its own.
const hair = 50 * time.Millisecond

// settle waits for ctx when its deadline is about to pass, so that the end of
// the time is called the same whoever noticed it first.
func settle(ctx context.Context) {
	if by, ok := ctx.Deadline(); ok && time.Until(by) < hair {
		<-ctx.Done()
	}
}

// excerpt is the beginning of the body, as far as it came.
func excerpt(u *url.URL, r *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(r.Body, maxExcerpt))
	return first(plainFor(u, string(body)))
}

// withoutURL is what went wrong without the request's address, which may hold
// credentials.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
