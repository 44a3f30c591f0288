// Command generate writes the exports of package houses: it invents a public,
// lets it buy tickets for two seasons, and writes each member's sales as that
// member's system would. It says nothing about how they are read.
//
//	go run ./deploy/demo/houses/generate
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"coulisse/deploy/demo/houses"
)

func main() {
	folder := flag.String("data", filepath.FromSlash("deploy/demo/houses/data"), "folder of the exports, from the repository's root")
	flag.Parse()
	if err := rewrite(*folder); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// rewrite replaces every export in the folder.
func rewrite(folder string) error {
	people := inventPeople()
	for i, house := range houses.All() {
		content, err := export(member(i), house, people)
		if err != nil {
			return fmt.Errorf("export of %s: %w", house.ID, err)
		}
		if err := os.WriteFile(filepath.Join(folder, house.File), content, 0o644); err != nil {
			return fmt.Errorf("cannot write the export; run this from the repository's root or give -data: %w", err)
		}
	}
	return nil
}

func export(m member, house houses.House, people []person) ([]byte, error) {
	d := newDice(string(house.ID))
	if house.FileKind == houses.People {
		return styles[m].write(subscribe(d, people))
	}
	return styles[m].write(sell(d, m, people, styles[m].speak))
}
