package collect

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sites are the hosts whose pages may send.
type sites map[string]bool

func newSites(hosts []string) sites {
	s := sites{}
	for _, host := range hosts {
		s[strings.ToLower(host)] = true
	}
	return s
}

// origin reports whether a request's Origin is one of the sites, on any port.
func (s sites) origin(value string) bool {
	u, err := url.Parse(value)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && s[strings.ToLower(u.Hostname())]
}

// page is a link without its parameters, and what may be kept of them.
type page struct {
	host, path string
	campaign   campaign
}

// campaign is what a link's parameters say of where the visitor came from.
type campaign struct {
	source, medium, name, term, content string
	click                               string // the kind only
}

// maxValue bounds a campaign's value, and maxPath a page's path, in bytes.
const (
	maxValue = 200
	maxPath  = 1000
)

// readPage takes a link apart; ok is false if it is none of the web.
func readPage(link string) (p page, ok bool) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || len(u.Hostname()) > 253 {
		return page{}, false
	}
	p = page{host: strings.ToLower(u.Hostname()), path: clean(u.Path, maxPath)}
	if p.path == "" {
		p.path = "/"
	}
	if u.RawQuery != "" {
		p.campaign = readCampaign(u.RawQuery)
	}
	return p, true
}

// clicks are the parameters by which an advertising network knows a click again.
// Which one there is says what kind of visit it is; its value is a person's and
// is never kept.
var clicks = map[string]bool{
	"gclid": true, "gbraid": true, "wbraid": true, "dclid": true, "msclkid": true, "fbclid": true, "ttclid": true,
	"twclid": true, "li_fat_id": true, "epik": true, "ScCid": true, "rdt_cid": true, "yclid": true,
}

func readCampaign(query string) (c campaign) {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if clicks[name] && value != "" {
			if c.click == "" {
				c.click = name
			}
			continue
		}
		if !strings.HasPrefix(name, "utm_") {
			continue
		}
		value, err := url.QueryUnescape(value)
		if err != nil {
			continue
		}
		value = clean(value, maxValue)
		switch name {
		case "utm_source":
			c.source = value
		case "utm_medium":
			c.medium = value
		case "utm_campaign":
			c.name = value
		case "utm_term":
			c.term = value
		case "utm_content":
			c.content = value
		}
	}
	return c
}

// clean makes text one line of UTF-8 of at most max bytes.
func clean(s string, max int) string {
	if len(s) > max {
		s = s[:max]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
	}
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return strings.TrimSpace(s)
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}
