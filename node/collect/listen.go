package collect

import "net"

// Listen opens the settings' address.
func Listen(s Settings) (net.Listener, error) {
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return nil, refuse("l'adresse %s de collect.yaml ne peut pas être ouverte (%v)", "the address %s of collect.yaml cannot be opened (%v)", s.Listen, err)
	}
	return listener, nil
}
