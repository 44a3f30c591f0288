package collect

import "coulisse/node/collect/gpp"

// optedOut are the purposes that a GPP string denies. A string that is there and
// cannot be read may hold a refusal: it denies them all.
func optedOut(text string) (out [len(purposes)]bool) {
	if text == "" {
		return out
	}
	said, err := gpp.Decode(text)
	if err != nil {
		return [len(purposes)]bool{true, true, true, true}
	}
	if said.Canada == nil {
		return out
	}
	c := said.Canada.Consents()
	out[analytics] = c.Analytics == gpp.Denied
	out[advertising] = c.Advertising == gpp.Denied
	out[personalisation] = c.Personalisation == gpp.Denied
	out[pooling] = c.Pooling == gpp.Denied
	return out
}
