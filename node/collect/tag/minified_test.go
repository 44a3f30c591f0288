package tag

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

var update = flag.Bool("update", false, "write c.min.js anew")

// What is served is what c.js says, and no more than 3 KB of it.
func TestMinified(t *testing.T) {
	source, err := os.ReadFile("c.js")
	if err != nil {
		t.Fatal(err)
	}
	made := api.Transform(string(source), api.TransformOptions{
		Loader:            api.LoaderJS,
		Target:            api.ES2020,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
	})
	if len(made.Errors) > 0 {
		t.Fatalf("c.js: %v", made.Errors)
	}
	if *update {
		if err := os.WriteFile("c.min.js", made.Code, 0o644); err != nil {
			t.Fatal(err)
		}
		script = made.Code
	}
	if !bytes.Equal(script, made.Code) {
		t.Error("c.min.js is not made from c.js as it is now: go generate ./node/collect/tag")
	}
	t.Logf("the tag: %d bytes, %d gzipped", len(script), len(Gzipped()))
	if len(Gzipped()) >= 3000 {
		t.Errorf("the tag is %d bytes gzipped; the limit is 3000", len(Gzipped()))
	}
}
