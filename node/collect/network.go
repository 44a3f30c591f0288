package collect

import (
	"net/http"
	"net/netip"
	"strings"
)

// What is left of an address is that of a network of hundreds or thousands of
// them.
const (
	bits4 = 24
	bits6 = 48
)

// network truncates an address.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, _ := a.Prefix(bits) // the zero prefix of the zero address
	return p
}

// client is the address that a request comes from. What proxies say counts only
// as far back as the member's own have said it.
func client(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	hops := r.Header.Values("X-Forwarded-For")
	for i := len(hops) - 1; i >= 0; i-- {
		list := hops[i]
		for list != "" {
			if !within(address, trusted) {
				return address
			}
			cut := strings.LastIndexByte(list, ',')
			next, err := netip.ParseAddr(strings.TrimSpace(list[cut+1:]))
			if err != nil {
				return address
			}
			address, list = next.Unmap(), list[:max(cut, 0)]
		}
	}
	return address
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
