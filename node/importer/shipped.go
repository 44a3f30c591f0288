package importer

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed mappings/*.yaml
var shippedData embed.FS

// Shipped returns a mapping that comes with the program, by its name.
func Shipped(name string) (Mapping, bool) {
	m, ok := shipped[name]
	return m, ok
}

// ShippedNames lists them.
func ShippedNames() []string {
	var list []string
	for name := range shipped {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

var shipped = readShipped(shippedData)

func readShipped(files fs.FS) map[string]Mapping {
	all := make(map[string]Mapping)
	paths, err := fs.Glob(files, "mappings/*.yaml")
	for _, file := range paths {
		var text []byte
		if text, err = fs.ReadFile(files, file); err != nil {
			break
		}
		if all[strings.TrimSuffix(path.Base(file), ".yaml")], err = ParseMapping(text); err != nil {
			break
		}
	}
	if err != nil {
		panic("a shipped mapping: " + err.Error()) // it is part of the program, and tested
	}
	return all
}
