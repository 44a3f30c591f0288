package node

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"coulisse/crypto/seal"
	"coulisse/node/warehouse"
	"coulisse/protocol"
)

// What a member takes home, and what a person takes along: open formats, which
// are read without this program.

//go:embed restitution.md
var dataReadme []byte

// ExportedFile is a file of an export, as its list of contents names it.
type ExportedFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// ExportContents is the last file of an export: without it, the export is not
// whole.
type ExportContents struct {
	Format string            `json:"format"`
	Member protocol.MemberID `json:"member"`
	At     time.Time         `json:"at"`
	For    seal.Recipient    `json:"for"`
	Files  []ExportedFile    `json:"files"`
}

// Names in an export of all data.
const (
	DataFormat   = "coulisse-data/1"
	DataContents = "contents.json"

	exportTemporary = ".export-*.tmp"
)

// ExportData writes everything that the house owns, as a tar of files that are
// sealed for the recipient, or for the folder's own identity if it is empty.
// Tables are written one after another, in bounded memory.
func (h *House) ExportData(ctx context.Context, to seal.Recipient, w io.Writer) error {
	if to == "" {
		to = h.folder.identity.Recipient()
	} else if err := to.Check(); err != nil {
		return fmt.Errorf("%w: %w", protocol.ErrMalformed, err)
	}
	x := &dataExport{to: to, tar: tar.NewWriter(w), at: time.Now().UTC().Truncate(time.Second)}
	x.contents = ExportContents{Format: DataFormat, Member: h.folder.Card.ID, At: x.at, For: to}
	// What an export that was cut off had sealed.
	left, err := filepath.Glob(h.folder.path(exportTemporary))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err == nil {
		err = x.put("README.md", bytes.NewReader(dataReadme), int64(len(dataReadme)))
	}
	if err == nil {
		schema := []byte(warehouse.Schema())
		err = x.put("schema.sql", bytes.NewReader(schema), int64(len(schema)))
	}
	if err == nil {
		err = h.warehouse.Export(ctx, func(path string) error { return x.seal("tables/"+filepath.Base(path), path) })
	}
	if err == nil {
		err = h.exportFiles(x)
	}
	if err == nil {
		err = x.end()
	}
	if err != nil {
		return fmt.Errorf("export the house's data: %w", err)
	}
	return nil
}

// ownFiles are the others that a house owns: its card, its settings, its own
// policies, the receipts of its erasures.
var ownFiles = []string{fileCard, FileCollect, dirPolicies + "/*", dirErasures + "/*" + receiptSuffix}

func (h *House) exportFiles(x *dataExport) error {
	for _, pattern := range ownFiles {
		paths, err := filepath.Glob(h.folder.path(filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		for _, path := range paths {
			name, err := filepath.Rel(h.folder.Dir, path)
			if err == nil {
				err = x.sealCopy("files/"+filepath.ToSlash(name), path, h.folder.Dir)
			}
			if err != nil {
				return err
			}
		}
	}
	if h.pool == nil {
		return nil
	}
	return h.pool.labels(func(round protocol.RoundID, people []warehouse.PersonID) error {
		return x.sealLabels("labels/"+string(round)+".csv", people, h.folder.Dir)
	})
}

// dataExport is an export being written.
type dataExport struct {
	to       seal.Recipient
	tar      *tar.Writer
	at       time.Time
	contents ExportContents
}

// put writes a file as it is.
func (x *dataExport) put(name string, content io.Reader, size int64) error {
	if err := x.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: x.at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(x.tar, digest), content); err != nil {
		return err
	}
	x.contents.Files = append(x.contents.Files, ExportedFile{name, size, hex.EncodeToString(digest.Sum(nil))})
	return nil
}

// seal writes a file under the seal, by way of a sealed file beside it: the
// length is written first.
func (x *dataExport) seal(name, path string) error { return x.sealCopy(name, path, filepath.Dir(path)) }

func (x *dataExport) sealCopy(name, path, beside string) error {
	plain, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return err
	}
	defer plain.Close()
	return x.sealFrom(name, beside, func(w io.Writer) error { _, err := io.Copy(w, plain); return err })
}

func (x *dataExport) sealLabels(name string, people []warehouse.PersonID, beside string) error {
	return x.sealFrom(name, beside, func(w io.Writer) error {
		lines := csv.NewWriter(w)
		_ = lines.Write([]string{"person"}) // Flush tells
		for _, id := range people {
			_ = lines.Write([]string{strconv.FormatInt(int64(id), 10)})
		}
		lines.Flush()
		return lines.Error()
	})
}

func (x *dataExport) sealFrom(name, beside string, write func(io.Writer) error) error {
	sealed, err := os.CreateTemp(beside, exportTemporary)
	if err != nil {
		return err
	}
	defer os.Remove(sealed.Name())
	defer sealed.Close()
	w, err := seal.NewWriter(sealed, x.to)
	if err == nil {
		err = write(w)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return err
	}
	size, err := sealed.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = sealed.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	return x.put(name+".age", sealed, size)
}

func (x *dataExport) end() error {
	list, err := json.MarshalIndent(x.contents, "", "  ")
	if err != nil {
		return err
	}
	if err := x.put(DataContents, bytes.NewReader(list), int64(len(list))); err != nil {
		return err
	}
	return x.tar.Close()
}

//go:embed person_copy.md
var personReadme []byte

//go:embed person_copy.schema.json
var personSchema []byte

// PersonFormat names the form of what a person takes along.
const PersonFormat = "coulisse-person/1"

// personCopy is person.json; person_copy.schema.json describes it.
type personCopy struct {
	Format string `json:"format"`
	From   struct {
		ID   protocol.MemberID `json:"id"`
		Name protocol.Text     `json:"name"`
	} `json:"from"`
	At         time.Time          `json:"at"`
	Number     warehouse.PersonID `json:"number"`
	PostalCode string             `json:"postal_code"`
	Identities []Identity         `json:"identities"`
	Tables     []warehouse.Held   `json:"tables"`
	Imports    []personImport     `json:"imports"`
	Segments   []string           `json:"segments"`
	Tokens     []protocol.Epoch   `json:"token_epochs"`
	Audiences  []PersonAudience   `json:"audiences"`
}

type personImport struct {
	Import string    `json:"import"`
	File   string    `json:"file"`
	At     time.Time `json:"at"`
}

// ExportPerson is everything that is held of a person, as a zip with JSON and
// CSV: what the person has a right to take along.
func (h *House) ExportPerson(ctx context.Context, id warehouse.PersonID) ([]byte, error) {
	page, err := h.Person(ctx, id)
	if err != nil {
		return nil, err
	}
	c := personCopy{
		Format: PersonFormat, At: time.Now().UTC().Truncate(time.Second), Number: id, PostalCode: page.PostalCode,
		Identities: page.Identities, Tables: page.Held, Imports: []personImport{}, Segments: page.Segments, Tokens: page.Tokens, Audiences: page.Audiences,
	}
	c.From.ID, c.From.Name = h.folder.Card.ID, h.folder.Card.Name
	for _, i := range page.Imports {
		c.Imports = append(c.Imports, personImport{string(i.ID), i.File, i.At})
	}
	document, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, errors.New("write a person's copy") // the value is not shown
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	put := func(name string, content []byte) error {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: c.At})
		if err == nil {
			_, err = w.Write(content)
		}
		return err
	}
	err = errors.Join(put("LISEZ-MOI-README.md", personReadme), put("schema.json", personSchema), put("person.json", document))
	for _, t := range page.Held {
		if len(t.Rows) > 0 && err == nil {
			var table []byte
			if table, err = tableCSV(t); err == nil {
				err = put("tables/"+t.Table+".csv", table)
			}
		}
	}
	if err := errors.Join(err, z.Close()); err != nil {
		return nil, fmt.Errorf("write a person's copy: %w", err)
	}
	return b.Bytes(), nil
}

// tableCSV writes rows under their columns' names.
func tableCSV(t warehouse.Held) ([]byte, error) {
	var b bytes.Buffer
	lines := csv.NewWriter(&b)
	_ = lines.Write(t.Columns) // Flush tells
	for _, raw := range t.Rows {
		var row map[string]json.RawMessage
		if err := json.Unmarshal(raw, &row); err != nil {
			return nil, fmt.Errorf("a row of %s does not decode", t.Table) // the row is not shown
		}
		cells := make([]string, len(t.Columns))
		for i, column := range t.Columns {
			value := row[column]
			if json.Unmarshal(value, &cells[i]) != nil { // else it is text
				cells[i] = string(value)
			}
		}
		_ = lines.Write(cells)
	}
	lines.Flush()
	return slices.Clip(b.Bytes()), lines.Error()
}
