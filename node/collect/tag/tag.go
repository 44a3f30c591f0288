// Package tag holds the tag that a member pastes into its site, as a node serves it
// at /c.js, and the Google Tag Manager template that installs the same tag.
//
// c.js is the source, to be read; c.min.js is made from it and is what browsers get.
// What the tag sends is described by node/collect/event.schema.json. The tag is not
// where consent is enforced: the intake decides again on everything it receives.
package tag

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"sync"
)

//go:generate go test -run ^TestMinified$ -update

//go:embed c.min.js
var script []byte

//go:embed coulisse.tpl
var template []byte

// Script is what GET /c.js answers. The caller must not change it.
func Script() []byte { return script }

// Gzipped is Script, compressed once.
var Gzipped = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant of the package
	}
	w.Write(script) // a bytes.Buffer refuses nothing
	w.Close()
	return b.Bytes()
})

// ETag names this version of Script.
var ETag = sync.OnceValue(func() string {
	sum := sha256.Sum256(script)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
})

// Template is the custom template for Google Tag Manager, to be imported as a file.
func Template() []byte { return template }
