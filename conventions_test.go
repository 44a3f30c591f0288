package main_test

// These tests read the project's own code, and fail where it leaves the
// conventions that a machine can check. Each message says why the convention is
// there, and each check is shown a file on which it must fail.

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "coulisse"

// file is a Go file of the project, parsed.
type file struct {
	path string // from the root, with slashes
	fset *token.FileSet
	*ast.File
}

func (f file) dir() string {
	if i := strings.LastIndexByte(f.path, '/'); i >= 0 {
		return f.path[:i]
	}
	return "."
}

func (f file) test() bool      { return strings.HasSuffix(f.path, "_test.go") }
func (f file) generated() bool { return ast.IsGenerated(f.File) }

// under reports whether the file is in a folder or below it.
func (f file) under(dir string) bool { return f.dir() == dir || strings.HasPrefix(f.dir(), dir+"/") }

func (f file) imports() []string {
	paths := []string{}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

func parse(path string, src any) (file, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	return file{path: filepath.ToSlash(path), fset: fset, File: parsed}, err
}

func project(t *testing.T) []file {
	t.Helper()
	files := []file{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != "." && (name[0] == '.' || name == "testdata" || name == "node_modules") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(path, nil)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A check returns what is wrong with a file, each with its reason.
type check func(file) []string

// each runs a check over the whole project.
func each(t *testing.T, c check) {
	t.Helper()
	for _, f := range project(t) {
		for _, fault := range c(f) {
			t.Errorf("%s: %s", f.path, fault)
		}
	}
}

// fails shows that a check is able to fail, on a bad file, and passes a good
// one.
func fails(t *testing.T, c check, path, bad, good string) {
	t.Helper()
	for src, want := range map[string]bool{bad: true, good: false} {
		f, err := parse(path, src)
		if err != nil {
			t.Fatal(err)
		}
		if got := c(f); (len(got) > 0) != want {
			t.Errorf("the check finds %q in:\n%s", got, src)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range project(t) {
		if !f.test() {
			documented[f.dir()] = documented[f.dir()] || hasDoc(f)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		if !documented[dir] {
			t.Errorf("%s: no package comment; say what it is, what it is not, and the section of protocol.md that it implements: it is what a reader opens first", dir)
		}
	}
	for src, want := range map[string]bool{"package a": false, "// Package a is.\npackage a": true, "// Copyright.\n\npackage a": false} {
		if f, err := parse("a/a.go", src); err != nil || hasDoc(f) != want {
			t.Errorf("the check is wrong about %q", src)
		}
	}
}

func hasDoc(f file) bool {
	return strings.HasPrefix(f.Doc.Text(), "Package "+f.Name.Name+" ") || f.Name.Name == "main" && f.Doc.Text() != ""
}

func TestImportDirection(t *testing.T) {
	each(t, importDirection)
	for _, bad := range []struct{ path, imports string }{
		{"node/api/x.go", "coulisse/coordinator/state"},
		{"coordinator/rpc/x.go", "coulisse/node/witness"},
		{"protocol/match/x.go", "coulisse/policies"},
		{"protocol/x.go", "coulisse/node/witness"},
		{"policies/x.go", "coulisse/node/segment"},
		{"crypto/oprf/x.go", "coulisse/protocol"},
	} {
		fails(t, importDirection, bad.path, "package x\nimport _ \""+bad.imports+"\"", "package x\nimport _ \"coulisse/crypto/key\"")
	}
}

// mayNotImport: whoever is in the first folder imports nothing of the others.
var mayNotImport = []struct {
	from   string
	never  []string
	reason string
}{
	{"node", []string{"coordinator", "deploy"}, "a node and the coordinator meet in protocol only, so that neither can come to trust the other's inside"},
	{"coordinator", []string{"node", "deploy"}, "a node and the coordinator meet in protocol only, so that neither can come to trust the other's inside"},
	{"policies", []string{"node", "coordinator", "deploy"}, "policies are pure functions that everybody runs"},
	{"protocol", []string{"node", "coordinator", "policies", "deploy"}, "the protocol is the contract between them and knows none of them"},
	{"crypto", []string{"node", "coordinator", "policies", "protocol", "deploy"}, "cryptography is reviewed alone and imports nothing of ours but crypto"},
}

func importDirection(f file) []string {
	faults := []string{}
	for _, rule := range mayNotImport {
		if !f.under(rule.from) {
			continue
		}
		for _, path := range f.imports() {
			for _, never := range rule.never {
				if path == module+"/"+never || strings.HasPrefix(path, module+"/"+never+"/") {
					faults = append(faults, fmt.Sprintf("imports %s: %s", path, rule.reason))
				}
			}
		}
	}
	return faults
}

// gateways: a library is imported in one place, where its traps are known.
var gateways = map[string][]string{
	"github.com/hashicorp/raft":         {"coordinator/consensus"},
	"go.etcd.io/bbolt":                  {"coordinator/consensus"},
	"github.com/tidwall/buntdb":         {"coordinator/state"},
	"github.com/gtank/ristretto255":     {"crypto/oprf"},
	"filippo.io/edwards25519":           {"crypto/oprf", "crypto/key", "crypto/internal/curve"},
	"github.com/cloudflare/circl":       {"crypto/oprf", "deploy/rehearsal"}, // there as the independent check
	"filippo.io/age":                    {"crypto/seal", "deploy/rehearsal"}, // there as the independent reader, as DuckDB is
	"crypto/hpke":                       {"crypto/seal"},
	"github.com/duckdb/duckdb-go":       {"node/warehouse", "deploy/load", "deploy/rehearsal"},
	"github.com/cedar-policy/cedar-go":  {"policies"},
	"github.com/nyaruka/phonenumbers":   {"node/identity"},
	"golang.org/x/mod/sumdb/note":       {"protocol/checkpoint", "protocol/tiles/tilestest"},
	"golang.org/x/mod/sumdb/tlog":       {"protocol/tlog", "protocol/tiles/tilestest"},
	"github.com/anishathalye/porcupine": {"coordinator", "deploy/torture"},
	"github.com/prometheus":             {"coordinator/metrics", "node/monitor"},
	"go.opentelemetry.io":               {"protocol/telemetry"},
	"golang.org/x/time":                 {"coordinator/rpc"},
	"github.com/x-way/crawlerdetect":    {"node/collect/bots"},
}

func TestEachLibraryHasOneGateway(t *testing.T) {
	each(t, gateway)
	for library, where := range gateways {
		src := "package x\nimport _ \"" + library + "/deep\""
		fails(t, gateway, "node/elsewhere/x.go", src, "package x")
		if f, err := parse(where[0]+"/x.go", src); err != nil || len(gateway(f)) > 0 {
			t.Errorf("%s is refused in its own gateway", library)
		}
	}
}

func gateway(f file) []string {
	faults := []string{}
	for _, path := range f.imports() {
		for library, where := range gateways {
			if path != library && !strings.HasPrefix(path, library+"/") {
				continue
			}
			if !slices.ContainsFunc(where, f.under) {
				faults = append(faults, fmt.Sprintf("imports %s, whose gateway is %s: its traps are dealt with there, once", path, where))
			}
		}
	}
	return faults
}

func TestNoNamelessPackages(t *testing.T) {
	each(t, nameless)
	for _, name := range namelessNames {
		fails(t, nameless, "node/x/x.go", "package "+name, "package x")
		fails(t, nameless, "node/"+name+"/x.go", "package "+name, "package x\n// in a bad folder, good name")
	}
}

var namelessNames = []string{"util", "utils", "common", "helpers", "helper", "types", "misc", "shared"}

func nameless(f file) []string {
	if slices.Contains(namelessNames, f.Name.Name) {
		return []string{"package " + f.Name.Name + ": a package is named for what it provides; one named for nothing attracts everything"}
	}
	return nil
}

func TestRandomness(t *testing.T) {
	each(t, randomness)
	fails(t, randomness, "node/x/x.go", `package x; import _ "math/rand/v2"`, `package x; import _ "crypto/rand"`)
	fails(t, randomness, "node/x/x.go", `package x; import _ "math/rand"`, `package x`)
}

func randomness(f file) []string {
	if f.test() || f.under("deploy/demo/houses") {
		return nil // repeatable on purpose
	}
	for _, path := range f.imports() {
		if path == "math/rand" || path == "math/rand/v2" {
			return []string{"imports " + path + ": what a peer can predict is not random; use crypto/rand"}
		}
	}
	return nil
}

const (
	maxFileLines     = 450
	maxFunctionLines = 60
)

// long lists what is over the bounds and has earned it.
var long = map[string]string{
	"coordinator/consensus/cluster_test.go": "one model of a cluster with its faults; cut up, it would be read in pieces",
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	each(t, short)
	body := strings.Repeat("\n", maxFunctionLines+1)
	fails(t, short, "node/x/x.go", "package x\nfunc f() {"+body+"}", "package x\nfunc f() {\n}")
	fails(t, short, "node/x/x.go", "package x"+strings.Repeat("\n//", maxFileLines), "package x")
	for path := range long {
		name, _, _ := strings.Cut(path, ":")
		if _, err := os.Stat(name); err != nil {
			t.Errorf("%s is excused and is not there; take it off the list", path)
		}
	}
}

func short(f file) []string {
	if f.generated() || long[f.path] != "" {
		return nil
	}
	faults := []string{}
	if n := f.fset.File(f.FileStart).LineCount(); n > maxFileLines {
		faults = append(faults, fmt.Sprintf("%d lines, over %d: one concept a file, so that a reader holds it whole", n, maxFileLines))
	}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Body == nil || long[f.path+":"+fn.Name.Name] != "" {
			continue
		}
		if n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1; n > maxFunctionLines && !f.test() {
			faults = append(faults, fmt.Sprintf("%s has %d lines, over %d: say its steps by name", fn.Name.Name, n, maxFunctionLines))
		}
	}
	return faults
}

// deterministic are the packages that every replica and every node runs over
// the same log, and that must come to the same state.
var deterministic = []string{"coordinator/state", "protocol/federation", "protocol/governance"}

// varying is what differs from one machine, or one run, to the next.
var varying = map[string]string{
	"time.Now": "the leader stamps the time into the command", "time.Since": "the leader stamps the time into the command",
	"time.Until": "the leader stamps the time into the command", "time.After": "no clock", "time.Sleep": "no clock",
	"time.NewTimer": "no clock", "time.NewTicker": "no clock", "time.Local": "the zone is the machine's",
	"os.Getenv": "configuration is not replicated", "os.LookupEnv": "configuration is not replicated", "os.Hostname": "the machine's own",
	"runtime.NumCPU": "the machine's own", "runtime.GOOS": "the machine's own", "runtime.GOARCH": "the machine's own",
	"maps.Keys": "the order of a map", "maps.Values": "the order of a map", "maps.All": "the order of a map",
}

func TestReplicatedStateIsDeterministic(t *testing.T) {
	patterns := []string{}
	for _, dir := range deterministic {
		patterns = append(patterns, "./"+dir)
	}
	mode := packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports
	loaded, err := packages.Load(&packages.Config{Mode: mode}, patterns...)
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded) != len(deterministic) {
		t.Fatalf("%d packages were read, not %d", len(loaded), len(deterministic))
	}
	for _, p := range loaded {
		for _, err := range p.Errors {
			t.Fatal(err)
		}
		for _, f := range p.Syntax {
			for _, fault := range nondeterminism(p.Fset, f, p.TypesInfo) {
				t.Error(fault)
			}
		}
	}
}

// nondeterminism reads typed code: a range over a map hides behind names.
func nondeterminism(fset *token.FileSet, f *ast.File, info *types.Info) []string {
	faults := []string{}
	fault := func(n ast.Node, what, why string) {
		faults = append(faults, fmt.Sprintf("%s: %s in the replicated state: %s, and replicas would part", fset.Position(n.Pos()), what, why))
	}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path == "math/rand" || path == "math/rand/v2" || path == "crypto/rand" {
			fault(spec, path, "randomness is drawn by the leader and proposed as data")
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.RangeStmt:
			if t := info.TypeOf(n.X); t != nil {
				if _, ok := t.Underlying().(*types.Map); ok {
					fault(n, "a range over a map", "its order differs from run to run")
				}
			}
		case *ast.SelectorExpr:
			if obj := info.ObjectOf(n.Sel); obj != nil && obj.Pkg() != nil {
				name := obj.Pkg().Path() + "." + obj.Name()
				if why, ok := varying[name]; ok && obj.Parent() == obj.Pkg().Scope() {
					fault(n, name, why)
				}
			}
		case *ast.GoStmt:
			fault(n, "a goroutine", "its order differs from run to run")
		case *ast.SelectStmt:
			fault(n, "a select", "its choice differs from run to run")
		}
		return true
	})
	return faults
}

func TestNondeterminismIsFound(t *testing.T) {
	fset := token.NewFileSet()
	standard := importer.ForCompiler(fset, "source", nil)
	for body, want := range map[string]int{
		`var s []int; for range s {}`:                                          0,
		`m := map[string]int{}; delete(m, "a"); clear(m)`:                      0,
		`m := map[string]int{}; for range m {}`:                                1,
		`type roster map[string]int; var r roster; for k := range r { _ = k }`: 1,
		`var p struct{ m map[int]int }; for range p.m {}`:                      1,
		`_ = time.Now()`:           1,
		`now := time.Now; _ = now`: 1,
		`_ = time.UnixMilli(5)`:    0,
		`_ = os.Getenv("HOME")`:    1,
		`go func() {}()`:           1,
		`_ = rand.Int()`:           0, // counted at its import
	} {
		src := "package x\nimport (\"time\"; \"os\"; \"math/rand\")\nvar _ = time.UTC\nvar _ = os.Args\nvar _ rand.Source\nfunc f() { " + body + " }"
		f, err := parser.ParseFile(fset, "x.go", src, 0)
		if err != nil {
			t.Fatal(err)
		}
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
		conf := types.Config{Importer: standard}
		if _, err := conf.Check("x", fset, []*ast.File{f}, info); err != nil {
			t.Fatal(err)
		}
		if got := nondeterminism(fset, f, info); len(got) != want+1 {
			t.Errorf("%s\nfound %q, want %d", body, got, want)
		}
	}
}
