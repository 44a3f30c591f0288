package identity

import (
	_ "embed"
	"strings"
)

// The lists are data, so that anyone can read and propose entries. One entry a
// line; a # starts a comment.
var (
	//go:embed role.txt
	roleData string
	//go:embed placeholder.txt
	placeholderData string
	//go:embed phone.txt
	phoneData string
)

var (
	roles        = entries(roleData)
	placeholders = entries(placeholderData)
	// phonePatterns are checked one by one: keep that file short.
	phonePatterns = phoneEntries(phoneData)
)

func entries(data string) map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(data) {
		line, _, _ = strings.Cut(line, "#")
		if entry := strings.TrimSpace(line); entry != "" {
			set[entry] = true
		}
	}
	return set
}

// refusedAddress reports why a normalised address is nobody's, or "".
func refusedAddress(address string) Reason {
	local, domain, _ := strings.Cut(address, "@")
	base, _, _ := strings.Cut(local, "+")
	bare := strings.Map(dropSeparators, base)
	switch {
	case bare == "" || strings.Trim(bare, "!#$%&'*/=?^`{|}~") == "",
		placeholders[bare], placeholders[address], placeholders["@"+domain]:
		return ReasonPlaceholder
	case roles[bare]:
		return ReasonRoleAddress
	}
	return ""
}

// dropSeparators lets one entry stand for no-reply, no_reply and no.reply.
func dropSeparators(r rune) rune {
	if r == '.' || r == '-' || r == '_' {
		return -1
	}
	return r
}

// phonePattern is an E.164 number in which ? stands for any digit.
type phonePattern struct {
	pattern string
	reason  Reason
}

func phoneEntries(data string) []phonePattern {
	var list []phonePattern
	for line := range strings.Lines(data) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) == 2 {
			list = append(list, phonePattern{fields[1], Reason(fields[0])})
		}
	}
	return list
}

// refusedPhone reports why a number in E.164 form is nobody's, or "".
func refusedPhone(e164 string) Reason {
	for _, p := range phonePatterns {
		if p.fits(e164) {
			return p.reason
		}
	}
	return ""
}

func (p phonePattern) fits(e164 string) bool {
	if len(p.pattern) != len(e164) {
		return false
	}
	for i := range len(e164) {
		if p.pattern[i] != '?' && p.pattern[i] != e164[i] {
			return false
		}
	}
	return true
}
