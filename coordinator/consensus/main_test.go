package consensus

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirectory); dir != "" {
		crashingChild(dir)
	}
	goleak.VerifyTestMain(m)
}
