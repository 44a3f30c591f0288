package match

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coulisse/protocol"
)

func ascending(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// The expected values are those of Python's hmac module over RFC 5869 written
// out by hand: another implementation of the same page.
func TestDerivationVectors(t *testing.T) {
	rk, err := ParseRoundKey(ascending(0, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := Derive(rk, protocol.Hash(ascending(100, 32)))
	token := [64]byte(ascending(0, 64))
	p := keys.Token.Pseudonym(&token)
	if got, want := hex.EncodeToString(p[:]), "eb4aed5579709f85c93a0b28ed3e5703"; got != want {
		t.Errorf("pseudonym %s, want %s", got, want)
	}
	const confirm = "01fb66c05333f5a1740996e390064c99c2c0509582c3e873934566aaa7495695"
	if got := keys.Confirm().String(); got != confirm {
		t.Errorf("confirmation %s, want %s", got, confirm)
	}
}

func TestKeysDependOnRoundKeyAndManifest(t *testing.T) {
	rk, manifest := NewRoundKey(), protocol.HashOf([]byte("manifest"))
	same, err := ParseRoundKey(rk.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	keys := Derive(rk, manifest)
	if !keys.Confirms(Derive(same, manifest).Confirm()) {
		t.Error("the same key and manifest do not confirm each other")
	}
	token := [64]byte{1}
	for name, other := range map[string]Keys{
		"another round key": Derive(NewRoundKey(), manifest),
		"another manifest":  Derive(rk, protocol.HashOf([]byte("other"))),
	} {
		if keys.Confirms(other.Confirm()) {
			t.Errorf("%s confirms", name)
		}
		if keys.Token.Pseudonym(&token) == other.Token.Pseudonym(&token) {
			t.Errorf("%s gives the same pseudonym", name)
		}
	}
}

func TestRoundKeyLength(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		if _, err := ParseRoundKey(make([]byte, n)); !errors.Is(err, protocol.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	rk, err := ParseRoundKey([]byte(strings.Repeat("K", 32)))
	if err != nil {
		t.Fatal(err)
	}
	keys := Derive(rk, protocol.Hash{})
	hidden := []string{
		"KKKK", "4b4b4b", "75 75 75", hex.EncodeToString(keys.Token.reveal()[:4]),
		strings.Trim(fmt.Sprint(keys.Token.reveal()[:4]), "[]"),
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "rk", rk, "keys", keys, "outcome", Outcome{Total: 7575})
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d", "%q"} {
		for _, v := range []any{rk, &rk, keys, struct{ inner RoundKey }{rk}, struct{ k Keys }{keys}} {
			fmt.Fprintf(&log, verb+"\n", v)
		}
	}
	for _, h := range append(hidden, "7575") {
		if strings.Contains(log.String(), h) {
			t.Errorf("printed %q in:\n%s", h, log.String())
		}
	}
	for _, v := range []any{rk, keys.Token, Exact(7575)} {
		if raw, err := json.Marshal(v); err == nil {
			t.Errorf("encoded a secret: %s", raw)
		}
		if s := fmt.Sprintf("%d %v", v, v); s != "[secret] [secret]" {
			t.Errorf("printed %s", s)
		}
	}
}
