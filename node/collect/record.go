package collect

import (
	"errors"
	"fmt"

	"coulisse/node/warehouse"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// A record of the spool is what is kept of one request, as JSON after a byte
// that numbers the form: a later version reads what this one has left.
const recordForm = 1

type record struct {
	Events   []warehouse.Event   `json:"e,omitempty"`
	Consents []warehouse.Consent `json:"c,omitempty"`
	Links    []warehouse.Link    `json:"l,omitempty"`
}

var recordOptions = json.JoinOptions(jsonv1.FormatDurationAsNano(true), json.OmitZeroStructFields(true))

// encodeRecord returns nil if there is nothing to keep.
func encodeRecord(b warehouse.Batch) []byte {
	if len(b.Events)+len(b.Consents)+len(b.Links) == 0 {
		return nil
	}
	raw, err := json.Marshal(record{b.Events, b.Consents, b.Links}, recordOptions)
	if err != nil {
		panic(fmt.Sprint("a record does not encode: ", err)) // plain values, and text of UTF-8
	}
	return append([]byte{recordForm}, raw...)
}

var errRecord = errors.New("a record of the spool is of no form that this version knows")

func decodeRecord(raw []byte) (r record, err error) {
	if len(raw) == 0 || raw[0] != recordForm {
		return r, errRecord
	}
	if err := json.Unmarshal(raw[1:], &r, recordOptions); err != nil {
		return record{}, errRecord
	}
	return r, nil
}
