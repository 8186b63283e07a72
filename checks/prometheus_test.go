package checks_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"rollout/orchestrator"
	"rollout/rings"
)

func query(url, threshold string) rings.Check {
	return rings.Check{Name: "errors", Kind: rings.CheckPrometheus, URL: url, Query: `sum by (service) (rate(errors{app="shop"}[5m]))`, Threshold: threshold}
}

// vector is an answer with series, each of labels and a value:
// `{"service":"api"}`, `"0.5"`.
func vector(series ...string) string {
	var out []string
	for i := 0; i < len(series); i += 2 {
		out = append(out, fmt.Sprintf(`{"metric":%s,"value":[1700000000.123,%s]}`, series[i], series[i+1]))
	}
	return result("vector", "["+strings.Join(out, ",")+"]")
}

func result(kind, value string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":%q,"result":%s}}`, kind, value)
}

func TestChecker_prometheus(t *testing.T) {
	const api, db, web = `{"service":"api"}`, `{"service":"db","__name__":"errors","job":"x"}`, `{}`
	warned := func(answer string) string {
		return strings.Replace(answer, `"data"`, `"warnings":["store eu-1 is down"],"data"`, 1)
	}
	tests := []struct {
		name, threshold, answer string
		want                    orchestrator.Outcome
	}{
		{"one series", "<= 0.01", vector(web, `"0.004"`), ok("0.004 <= 0.01 over 1 series")},
		{"all hold, the worst is shown", "<= 0.01", vector(api, `"0.001"`, db, `"0.004"`, web, `"0"`), ok("0.004 <= 0.01 over 3 series")},
		{"on the threshold", ">= 99.9", vector(api, `"100"`, db, `"99.9"`), ok("99.9 >= 99.9 over 2 series")},
		{"small and large numbers", "< 2e15", vector(api, `"0.000000001"`, db, `"1.5e+15"`), ok("1.5e+15 < 2e15 over 2 series")},
		{"spaces around the threshold", "  <= 1 ", vector(api, `"1"`), ok("1 <= 1 over 1 series")},
		{"scalar", "== 1", result("scalar", `[1700000000,"1"]`), ok("1 == 1 over 1 series")},
		{"infinite and good", "> 0", vector(api, `"+Inf"`), ok("+Inf > 0 over 1 series")},

		{"one does not hold", "<= 0.01", vector(api, `"0.001"`, db, `"0.2"`, web, `"0.01"`),
			refused(`0.2 is not <= 0.01: errors{job="x", service="db"}; 1 of 3 series do not hold`)},
		{"the worst of several is shown", "> 0.99", vector(api, `"0.5"`, db, `"1"`, web, `"0.7"`),
			refused(`0.5 is not > 0.99: {service="api"}; 2 of 3 series do not hold`)},
		{"scalar that does not hold", "== 1", result("scalar", `[1700000000,"0"]`), refused(`0 is not == 1: {}; 1 of 1 series do not hold`)},
		{"infinite and bad", "<= 0.01", vector(api, `"+Inf"`), refused(`+Inf is not <= 0.01: {service="api"}; 1 of 1 series do not hold`)},
		{"bad beside NaN", "<= 0.01", vector(web, `"NaN"`, api, `"0.2"`), refused(`0.2 is not <= 0.01: {service="api"}; 1 of 2 series do not hold`)},
		{"bad, with a warning", "<= 0.01", warned(vector(api, `"0.2"`)), refused(`0.2 is not <= 0.01: {service="api"}; 1 of 1 series do not hold`)},
		{"label with control characters", "< 0", vector(`{"a":"x\u001b\ny\"z"}`, `"1"`), refused(`1 is not < 0: {a="x\x1b\ny\"z"}; 1 of 1 series do not hold`)},
		{"label that is long", "< 0", vector(`{"a":"`+strings.Repeat("x", 1000)+`"}`, `"1"`),
			refused(`1 is not < 0: {a="` + strings.Repeat("x", 236) + `...; 1 of 1 series do not hold`)},

		{"no series", "<= 0.01", vector(), unknown("no data: the query returned no series")},
		{"null result", "<= 0.01", result("vector", "null"), unknown("no data: the query returned no series")},
		{"NaN", "<= 0.01", vector(api, `"NaN"`), unknown(`no number: {service="api"}; 1 of 1 series have none`)},
		{"NaN beside good ones", "<= 0.01", vector(db, `"0"`, api, `"NaN"`, web, `"NaN"`), unknown(`no number: {service="api"}; 2 of 3 series have none`)},
		{"scalar NaN", "<= 0.01", result("scalar", `[1700000000,"NaN"]`), unknown(`no number: {}; 1 of 1 series have none`)},
		{"scalar null", "<= 0.01", result("scalar", "null"), unknown(`no number: {}; 1 of 1 series have none`)},
		{"histogram", "<= 0.01", result("vector", `[{"metric":{"service":"api"},"histogram":[1700000000,{"count":"1"}]}]`),
			unknown(`no number: {service="api"}; 1 of 1 series have none`)},
		{"series without a value", "<= 0.01", result("vector", `[{"metric":{"service":"api"}}]`), unknown(`no number: {service="api"}; 1 of 1 series have none`)},
		{"value without a number", "<= 0.01", result("vector", `[{"metric":{},"value":[1700000000]}]`), unknown(`[1700000000] is not a time and a value`)},
		{"value null", "<= 0.01", vector(api, "null"), unknown("[1700000000.123,null] is not a time and a value")},
		{"value is no text", "<= 0.01", vector(api, "0"), unknown("[1700000000.123,0] is not a time and a value")},
		{"value is no number", "<= 0.01", vector(api, `"low"`), unknown(`[1700000000.123,"low"] is not a time and a value`)},
		{"string", "<= 0.01", result("string", `[1700000000,"0"]`), unknown(`the result is of type "string"; a vector or a scalar is needed`)},
		{"matrix", "<= 0.01", result("matrix", `[{"metric":{},"values":[[1700000000,"0"]]}]`), unknown(`the result is of type "matrix"; a vector or a scalar is needed`)},
		{"no type", "<= 0.01", `{"status":"success"}`, unknown(`the result is of type ""; a vector or a scalar is needed`)},
		{"warning", "<= 0.01", warned(vector(api, `"0.001"`)), unknown("0.001 <= 0.01 over 1 series, but the server warns: store eu-1 is down")},
		{"error with 200", "<= 0.01", `{"status":"error","errorType":"execution","error":"too many samples"}`, unknown("execution: too many samples")},
		{"no status", "<= 0.01", `{"data":{"resultType":"scalar","result":[1,"0"]}}`, unknown("no success, and no reason")},
		{"threshold", "<= much", vector(api, `"0"`), unknown(`threshold "<= much": an operator, a space and a number are needed, like "<= 0.01"`)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, test.answer) })
			same(t, test.want, sample(t, query(s.URL, test.threshold)))
		})
	}
}

func TestChecker_prometheus_notJSON(t *testing.T) {
	for body, said := range map[string]string{"": "", "<html>login</html>": ": <html>login</html>", "[]": ": []", `{"status":"success"`: `: {"status":"success"`} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		same(t, unknown("not an answer of Prometheus"+said), sample(t, query(s.URL, "<= 1")))
	}
}

func TestChecker_prometheus_status(t *testing.T) {
	good := vector(`{}`, `"0"`)
	tests := []struct {
		status int
		body   string
		want   string
	}{
		{400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error: unexpected end"}`, "HTTP 400: bad_data: 1:5: parse error: unexpected end"},
		{422, `{"status":"error","errorType":"execution","error":"query timed out"}`, "HTTP 422: execution: query timed out"},
		{503, `{"status":"error","error":"not ready"}`, "HTTP 503: error: not ready"},
		{401, "Unauthorized\n", "HTTP 401: Unauthorized"},
		{502, "", "HTTP 502"},
		{202, good, "HTTP 202: " + good},
		{500, good, "HTTP 500: " + good},
	}
	for _, test := range tests {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			fmt.Fprint(w, test.body)
		})
		same(t, unknown(test.want), sample(t, query(s.URL, "<= 1")))
	}
}

func TestChecker_prometheus_request(t *testing.T) {
	for path, want := range map[string]string{"": "/api/v1/query", "/": "/api/v1/query", "/prom/": "/prom/api/v1/query", "/prom?tenant=a%26b": "/prom/api/v1/query"} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != want || r.URL.Query().Get("query") != query("", "").Query {
				t.Errorf("%s %s asks for %q", r.Method, r.URL.Path, r.URL.Query().Get("query"))
			}
			if tenant := r.URL.Query().Get("tenant"); strings.Contains(path, "?") && tenant != "a&b" {
				t.Errorf("tenant %q", tenant)
			}
			fmt.Fprint(w, vector(`{}`, `"0"`))
		})
		same(t, ok("0 <= 1 over 1 series"), sample(t, query(s.URL+path, "<= 1")))
	}
}

func TestChecker_prometheus_longAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status":"success",`, strings.Repeat(" ", 5<<20), `"data":{"resultType":"scalar","result":[1,"0"]}}`)
	})
	same(t, unknown(s.URL+"/api/v1/query: the answer is longer than 4 MiB; a query with fewer series is needed"), sample(t, query(s.URL, "<= 1")))
}

func TestChecker_prometheus_brokenOff(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, vector(`{}`, `"0"`))
	})
	same(t, unreachable(s.URL+"/api/v1/query: unexpected EOF"), sample(t, query(s.URL, "<= 1")))
	if got := sample(t, query(closed(t), "<= 1")); got.Result != orchestrator.Unreachable {
		t.Errorf("a server that is gone: %+v", got)
	}
}
