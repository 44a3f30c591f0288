// Package xlsx reads the rows of Office Open XML workbooks (ECMA-376, part 1,
// section 18) in constant memory: .xlsx and .xlsm, as Excel, LibreOffice and
// the libraries of ticketing systems write them.
//
// It returns what the cells hold, not how they look: a date as 2026-11-23
// whatever its format, a number with a point and without grouping, a formula's
// last result. It neither computes formulas nor runs macros, follows no link,
// and does not write. A file may be hostile: every part, name, cell and row is
// bounded before it is kept.
package xlsx

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Bounds of a workbook. Excel's own are 32,767 characters to a cell, 1,048,576
// rows and 16,384 columns to a sheet.
const (
	MaxColumns = 512       // that are kept of a row
	MaxRow     = 1 << 20   // bytes of text in a row
	MaxSheets  = 256       // in a workbook
	maxRows    = 1 << 20   // in a sheet
	maxMerged  = 100_000   // ranges in a sheet
	maxStyles  = 65_536    // Excel allows 65,490
	maxFormats = 4096      // of numbers
	maxPart    = 8 << 30   // bytes of a part, inflated
	maxStrings = 2 << 30   // bytes of the shared strings
	maxToken   = 256 << 10 // a tag, or the text of a cell with its escapes
)

var (
	// ErrDamaged comes when a part is missing, cut, or is not what it says.
	ErrDamaged = errors.New("the workbook is damaged")
	// ErrTooLarge comes when a workbook passes a bound.
	ErrTooLarge = errors.New("the workbook is too large")
)

// Sheet is a worksheet of a workbook.
type Sheet struct {
	Name   string
	Hidden bool // by its author
	part   *zip.File
	merges []merge
	known  bool // merges are read
}

// Book is an open workbook, for one goroutine.
type Book struct {
	parts     map[string]*zip.File // by lower-case name, as section 6.2 of part 2 compares them
	sheets    []Sheet
	since1904 bool
	formats   []format // of each cell style
	strings   *stringTable
	stringsAt string
	spoolDir  string
}

// Open reads what a workbook says about itself. Shared strings that do not fit
// in memory are kept in an unnamed file in spoolDir until Close.
func Open(z *zip.Reader, spoolDir string) (*Book, error) {
	b := &Book{parts: make(map[string]*zip.File), spoolDir: spoolDir}
	for _, f := range z.File {
		b.parts[strings.ToLower(f.Name)] = f
	}
	main, err := b.mainPart()
	if err != nil {
		return nil, err
	}
	related, err := b.relations(main)
	if err != nil {
		return nil, err
	}
	styles := ""
	for _, r := range related {
		switch path.Base(r.kind) {
		case "sharedStrings":
			b.stringsAt = r.target
		case "styles":
			styles = r.target
		}
	}
	if err := b.readSheets(main, related); err != nil {
		return nil, err
	}
	return b, b.readStyles(styles)
}

// Close gives back what Open and Rows took.
func (b *Book) Close() error {
	if b.strings == nil {
		return nil
	}
	return b.strings.close()
}

// Sheets lists the worksheets in the order of their tabs.
func (b *Book) Sheets() []Sheet { return b.sheets }

// Since1904 reports whether days are counted from 1904, as old Excel for
// Macintosh did.
func (b *Book) Since1904() bool { return b.since1904 }

// part opens a part of the workbook by name.
func (b *Book) part(name string) (*markup, error) {
	f := b.parts[strings.ToLower(name)]
	if f == nil {
		return nil, fmt.Errorf("%w: a part is missing", ErrDamaged)
	}
	return openPart(f)
}

func openPart(f *zip.File) (*markup, error) {
	if f.UncompressedSize64 > maxPart {
		return nil, fmt.Errorf("%w: a part has more than %d bytes", ErrTooLarge, int64(maxPart))
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return newMarkup(r), nil
}

// mainPart finds the workbook among the package's relations.
func (b *Book) mainPart() (string, error) {
	related, err := b.relations("")
	if err != nil {
		return "", err
	}
	for _, r := range related {
		if path.Base(r.kind) == "officeDocument" {
			return r.target, nil
		}
	}
	return "", fmt.Errorf("%w: it has no workbook", ErrDamaged)
}

// relation is how a part refers to another.
type relation struct{ id, kind, target string }

// relations reads what a part refers to.
func (b *Book) relations(of string) (list []relation, err error) {
	dir, base := path.Split(of)
	m, err := b.part(dir + "_rels/" + base + ".rels")
	if err != nil {
		return nil, err
	}
	defer closing(m, &err)
	for {
		switch kind, err := m.next(); {
		case err == io.EOF:
			return list, nil
		case err != nil:
			return nil, err
		case kind == opening && m.is("Relationship"):
			r := relation{m.attribute("Id"), m.attribute("Type"), m.attribute("Target")}
			if m.attribute("TargetMode") == "External" {
				continue
			}
			if !strings.HasPrefix(r.target, "/") {
				r.target = dir + r.target
			}
			r.target = strings.TrimPrefix(path.Clean(r.target), "/")
			if list = append(list, r); len(list) > 4*MaxSheets {
				return nil, fmt.Errorf("%w: too many relations", ErrTooLarge)
			}
		}
	}
}

// readSheets reads the workbook part.
func (b *Book) readSheets(main string, related []relation) (err error) {
	m, err := b.part(main)
	if err != nil {
		return err
	}
	defer closing(m, &err)
	for {
		switch kind, err := m.next(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case kind != opening:
		case m.is("workbookPr"):
			b.since1904 = truth(m.attribute("date1904"))
		case m.is("sheet"):
			for _, r := range related {
				part := b.parts[strings.ToLower(r.target)]
				if r.id != m.attribute(":id") || path.Base(r.kind) != "worksheet" || part == nil {
					continue // charts have tabs too
				}
				state := m.attribute("state")
				b.sheets = append(b.sheets, Sheet{Name: m.attribute("name"), part: part,
					Hidden: state == "hidden" || state == "veryHidden"})
			}
			if len(b.sheets) > MaxSheets {
				return fmt.Errorf("%w: more than %d sheets", ErrTooLarge, MaxSheets)
			}
		}
	}
}

func truth(value string) bool { return value == "1" || value == "true" || value == "on" }

// closing closes a part and keeps the first error.
func closing(m *markup, err *error) {
	if closed := m.close(); *err == nil {
		*err = closed
	}
}
