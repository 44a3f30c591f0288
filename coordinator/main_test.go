package coordinator

import (
	"testing"

	"go.uber.org/goleak"
)

// Everything that a replica starts, it ends. BuntDB looks once a second whether
// it was closed.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/tidwall/buntdb.(*DB).backgroundManager"))
}
