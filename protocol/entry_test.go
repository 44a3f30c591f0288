package protocol_test

import (
	"bytes"
	"testing"

	"coulisse/protocol"

	"pgregory.net/rapid"
)

func TestAnEntryIsEncodedAsAnyDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		document, err := protocol.Canonical(map[string]any{
			"body": rapid.String().Draw(t, "body"), "a": rapid.Int64Range(0, protocol.MaxSize).Draw(t, "n"),
		})
		if err != nil {
			t.Skip("not a document")
		}
		e := protocol.Entry{
			Seq: rapid.Int64Range(0, protocol.MaxSize).Draw(t, "seq"), At: protocol.Millis(rapid.Int64Range(0, int64(protocol.MaxInstant)).Draw(t, "at")),
			Label: rapid.SampledFrom([]protocol.Label{protocol.LabelBallot, protocol.LabelHello, protocol.LabelGenesis}).Draw(t, "label"), Doc: document,
		}
		want, err := protocol.Canonical(e)
		if err != nil || !bytes.Equal(e.Encode(), want) {
			t.Fatalf("%s, not %s (%v)", e.Encode(), want, err)
		}
	})
}
