package checks

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// maxWords bounds what is shown of the other side's words, in bytes.
const maxWords = 240

// plain makes one printable line of what others wrote, with no credentials in
// its URLs.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return address.ReplaceAllStringFunc(strings.Join(strings.Fields(text), " "), withoutCredentials)
}

var address = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]+`)

func withoutCredentials(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		scheme, _, _ := strings.Cut(text, "://")
		return scheme + "://..."
	}
	return shown(u)
}

// plainFor is plain for the answer of a server, which may repeat what it was
// asked, without the host.
func plainFor(u *url.URL, text string) string {
	if u.RawQuery != "" {
		text = strings.ReplaceAll(text, "?"+u.RawQuery, "")
	}
	if password, ok := u.User.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "...")
	}
	return plain(text)
}

// shown is the URL without user, password, query and fragment.
func shown(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, Opaque: u.Opaque}).String()
}

// first cuts s to maxWords at its end.
func first(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return strings.ToValidUTF8(s[:maxWords], "") + "..."
}

// last cuts s to maxWords at its beginning.
func last(s string) string {
	if len(s) <= maxWords {
		return s
	}
	return "..." + strings.ToValidUTF8(s[len(s)-maxWords:], "")
}

// after makes s follow other words; "" stays "".
func after(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}
