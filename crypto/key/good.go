package key

import (
	"crypto/ed25519"
	"crypto/sha256"

	"coulisse/crypto/recent"
)

// good are the signatures found good lately. Whether a signature is good is a
// function of the key, the message and the signature alone, so it does not
// matter who asked first, nor what was forgotten.
var good = recent.NewMap[triple, struct{}](maxGood)

// maxGood bounds what is remembered: twice so many digests, some 2 MiB.
const maxGood = 1 << 14

// triple is the digest of a key, a signature and a message.
type triple [sha256.Size]byte

// tripleOf puts what has a fixed length first, so that no two are alike.
func tripleOf(point [ed25519.PublicKeySize]byte, message, sig []byte) triple {
	digest := sha256.New()
	digest.Write(point[:])
	digest.Write(sig)
	digest.Write(message)
	var t triple
	digest.Sum(t[:0])
	return t
}
