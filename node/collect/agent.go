package collect

import (
	"strings"

	"coulisse/crypto/recent"
	"coulisse/node/collect/bots"
)

// agent is what is kept of a user agent: three words that millions share.
type agent struct {
	bot                     bool
	device, browser, system string
}

// maxAgent bounds how much of a user agent is looked at. Browsers' have 100 to
// 300 bytes.
const maxAgent = 1024

// agents remembers what user agents came to, which takes milliseconds to find
// out: a house sees a few hundred a day.
type agents struct{ known *recent.Map[string, agent] }

func newAgents() agents { return agents{recent.NewMap[string, agent](4096)} }

func (a agents) read(userAgent string) agent {
	if len(userAgent) > maxAgent {
		userAgent = userAgent[:maxAgent]
	}
	found, ok := a.known.Get(userAgent)
	if !ok {
		// Without the lock: others are not to wait for it.
		found = readAgent(userAgent)
		a.known.Put(strings.Clone(userAgent), found)
	}
	return found
}

// readAgent names what a user agent is of. One that names nothing is a robot's.
func readAgent(s string) agent {
	if s == "" || bots.Is(s) {
		return agent{bot: true}
	}
	a := agent{browser: first(browsers, s), system: first(systems, s)}
	a.device = first(devices, s)
	if a.device == "mobile" && a.system == "Android" && !strings.Contains(s, "Mobile") {
		a.device = "tablet" // Android's tablets leave out the word
	}
	return a
}

// A sign in a user agent, and what it says. The first in a list that is there
// counts: most browsers also name those whose pages they want to be given.
type sign struct{ in, says string }

func first(signs []sign, s string) string {
	for _, one := range signs {
		if strings.Contains(s, one.in) {
			return one.says
		}
	}
	return ""
}

var browsers = []sign{
	{"FBAN/", "Facebook"}, {"FBAV/", "Facebook"}, {"Instagram", "Instagram"}, {"LinkedInApp", "LinkedIn"}, {"TikTok", "TikTok"}, {"musical_ly", "TikTok"},
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"Edge/", "Edge"},
	{"OPR/", "Opera"}, {"OPT/", "Opera"}, {"OPX/", "Opera"}, {"Opera", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"}, {"YaBrowser/", "Yandex"}, {"UCBrowser/", "UC Browser"}, {"Vivaldi/", "Vivaldi"}, {"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"GSA/", "Google"},
	{"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Chromium/", "Chrome"},
	{"MSIE ", "Internet Explorer"}, {"Trident/", "Internet Explorer"},
	{"Version/", "Safari"}, {"AppleWebKit/", "Safari"}, {"Gecko/", "Firefox"},
}

var systems = []sign{
	{"iPhone", "iOS"}, {"iPad", "iOS"}, {"iPod", "iOS"},
	{"Windows", "Windows"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Tizen", "Tizen"}, {"Web0S", "webOS"}, {"KAIOS", "KaiOS"},
	{"Macintosh", "macOS"}, {"Linux", "Linux"}, {"BSD", "BSD"},
}

var devices = []sign{
	{"SMART-TV", "tv"}, {"SmartTV", "tv"}, {"Smart TV", "tv"}, {"Web0S", "tv"}, {"AppleTV", "tv"}, {"BRAVIA", "tv"}, {"AFT", "tv"}, {"GoogleTV", "tv"},
	{"iPad", "tablet"}, {"Tablet", "tablet"}, {"Kindle", "tablet"}, {"Silk/", "tablet"},
	{"iPhone", "mobile"}, {"iPod", "mobile"}, {"Android", "mobile"}, {"Mobile", "mobile"},
	{"Windows", "desktop"}, {"Macintosh", "desktop"}, {"CrOS", "desktop"}, {"Linux", "desktop"}, {"BSD", "desktop"},
}
