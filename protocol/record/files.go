package record

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"coulisse/crypto/dp"
	"coulisse/protocol"
)

// A published round is handed on as three files: its figures as CSV and as
// JSON, and a proof of both. Every reader can make the two again from the
// record in the proof, byte for byte; [Verify] does, so that nothing is
// believed that the record does not say.

// Names of the formats. Another rendering takes another name, or files that
// were exported once would no longer verify.
const (
	FiguresFormat = "coulisse-audience/1"
	ProofFormat   = "coulisse-proof/1"
)

// Files are the three files of a round.
type Files struct {
	CSV   File `json:"csv"`
	JSON  File `json:"json"`
	Proof File `json:"proof"`
}

// File is one of them.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// Proof is the content of the third file.
type Proof struct {
	Format string   `json:"format"`
	Files  []Digest `json:"files"`
	Record Record   `json:"record"`
}

// Digest names a file by its content, as sha256sum would.
type Digest struct {
	Name   string        `json:"name"`
	SHA256 protocol.Hash `json:"sha256"`
}

// Suffixes of the files' names, after the round's number.
const (
	suffixCSV   = ".csv"
	suffixJSON  = ".json"
	SuffixProof = ".proof.json"
)

// Files renders a record that was verified, with its statement.
func (r Record) Files(s Statement) (Files, error) {
	round := string(s.Manifest.Round)
	f := Files{CSV: File{Name: round + suffixCSV}, JSON: File{Name: round + suffixJSON}, Proof: File{Name: round + SuffixProof}}
	var err error
	if f.CSV.Content, err = s.csv(); err != nil {
		return f, fmt.Errorf("render the figures: %w", err)
	}
	if f.JSON.Content, err = protocol.Indented(s.figures()); err != nil {
		return f, fmt.Errorf("render the figures: %w", err)
	}
	f.Proof.Content, err = protocol.Indented(Proof{
		Format: ProofFormat, Record: r,
		Files: []Digest{digest(f.CSV), digest(f.JSON)},
	})
	return f, err
}

func digest(f File) Digest { return Digest{f.Name, protocol.HashOf(f.Content)} }

// ErrAltered: the proof holds, and a file beside it is not the one that it was
// exported with.
var ErrAltered = errors.New("the file is not the one that was exported")

// Verify checks a proof file and whichever of its two companions are given, by
// name, offline.
func Verify(federationID protocol.Hash, proof []byte, companions ...File) (Statement, error) {
	p, err := protocol.DecodeFile[Proof](proof)
	if err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if p.Format != ProofFormat {
		return Statement{}, fmt.Errorf("%w: it is not a %s", ErrRecord, ProofFormat)
	}
	s, err := p.Record.Verify(federationID)
	if err != nil {
		return Statement{}, err
	}
	again, err := p.Record.Files(s)
	if err != nil {
		return Statement{}, err
	}
	if !slices.Equal(p.Files, []Digest{digest(again.CSV), digest(again.JSON)}) {
		return Statement{}, fmt.Errorf("%w: the digests are not those of what the record says", ErrRecord)
	}
	for _, given := range companions {
		i := slices.IndexFunc([]File{again.CSV, again.JSON}, func(f File) bool { return f.Name == given.Name })
		if i < 0 || !bytes.Equal([]File{again.CSV, again.JSON}[i].Content, given.Content) {
			return Statement{}, protocol.Refuse(ErrAltered,
				"ce fichier a été modifié après son exportation\u00a0: %s. Exportez-le de nouveau, ou prenez l'original",
				"this file was altered after its export: %s. Export it again, or take the original", given.Name)
		}
	}
	return s, nil
}

// Companions are the names of the files beside a proof of this round.
func Companions(round protocol.RoundID) []string {
	return []string{string(round) + suffixCSV, string(round) + suffixJSON}
}

// suppressed says why a figure is not published.
func suppressed(why protocol.Suppression, floor dp.Floor) protocol.Text {
	if why != protocol.BelowFloor {
		return protocol.Text{}
	}
	return protocol.Text{
		FR: fmt.Sprintf("Non publié\u00a0: le chiffre brouillé ne dépasse pas nettement le plancher de %d personnes.", floor),
		EN: fmt.Sprintf("Not published: the noised figure is not clearly above the floor of %d people.", floor),
	}
}

// Suppressed says in both languages why a figure of the statement is not
// published; nothing if it is.
func (s Statement) Suppressed(f protocol.Figure) protocol.Text {
	return suppressed(f.Suppressed, s.View.Charter.Floors.MinSize)
}

const confidencePercent = 95

// columns of the CSV.
var columns = []string{"round", "figure", "source", "member", "value", "low_95", "high_95", "noise_variance",
	"suppressed", "reason_fr", "reason_en", "title_fr", "title_en"}

// csv writes a header and one row a figure: the size, then each source's part.
func (s Statement) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	row := func(kind string, source protocol.SourceName, member protocol.MemberID, f protocol.Figure, title protocol.Text) error {
		value, low, high := strconv.FormatInt(f.Value, 10), strconv.FormatInt(f.Low, 10), strconv.FormatInt(f.High, 10)
		if f.Suppressed != "" {
			value, low, high = "", "", ""
		}
		why := s.Suppressed(f)
		return w.Write([]string{string(s.Manifest.Round), kind, string(source), string(member), value, low, high,
			strconv.FormatInt(int64(f.Variance), 10), string(f.Suppressed), inert(why.FR), inert(why.EN), inert(title.FR), inert(title.EN)})
	}
	if err := w.Write(columns); err != nil {
		return nil, err
	}
	if err := row("size", "", "", s.Result.Size, s.Manifest.Title); err != nil {
		return nil, err
	}
	for i, part := range s.Result.Sources {
		source := s.Manifest.Sources[i]
		if err := row("part", part.Source, source.Member, part.Figure, source.Definition.Title); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// inert keeps a spreadsheet from taking a text for a formula.
func inert(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", []rune(text)[0]) {
		return "'" + text
	}
	return text
}

// Figures are the JSON file.
type Figures struct {
	Format         string              `json:"format"`
	Round          protocol.RoundID    `json:"round"`
	Title          protocol.Text       `json:"title"`
	Federation     protocol.Hash       `json:"federation"`
	FederationName protocol.Text       `json:"federation_name"`
	Initiator      protocol.MemberID   `json:"initiator"`
	PublishedAt    string              `json:"published_at"`
	Unit           protocol.Text       `json:"unit"`
	Rule           protocol.Text       `json:"rule"`
	RuleTree       protocol.Rule       `json:"rule_tree"`
	Participants   []protocol.MemberID `json:"participants"`
	Size           Cell                `json:"size"`
	Parts          []PartCell          `json:"parts"`
	Decision       int                 `json:"decision"`
	Cost           dp.NanoRho          `json:"cost_nano_rho"`
	Left           dp.NanoRho          `json:"left_nano_rho"`
	LogSize        int64               `json:"log_size"`
	LogRoot        protocol.Hash       `json:"log_root"`
}

// Cell is one figure with its interval, or why there is none.
type Cell struct {
	Value      *int64               `json:"value,omitempty"`
	Low        *int64               `json:"low,omitempty"`
	High       *int64               `json:"high,omitempty"`
	Confidence int                  `json:"confidence_percent"`
	Variance   dp.Variance          `json:"noise_variance"`
	Suppressed protocol.Suppression `json:"suppressed,omitempty"`
	Reason     protocol.Text        `json:"reason,omitzero"`
}

// PartCell is the figure of one source.
type PartCell struct {
	Source     protocol.SourceName `json:"source"`
	Member     protocol.MemberID   `json:"member"`
	Definition protocol.Definition `json:"definition"`
	Recipient  bool                `json:"recipient"`
	Cell
}

// unit is what one person is, wherever a figure is shown.
var unit = protocol.Text{
	FR: "Une personne est un identifiant (courriel, sinon téléphone), tous membres confondus.",
	EN: "A person is one identifier (e-mail, else telephone), over all members.",
}

func (s Statement) figures() Figures {
	name := func(n protocol.SourceName) string { return string(n) }
	f := Figures{
		Format: FiguresFormat, Round: s.Manifest.Round, Title: s.Manifest.Title, Federation: s.Federation,
		FederationName: s.View.Charter.Name, Initiator: s.Initiator, PublishedAt: s.PublishedAt.Time().Format(time.RFC3339),
		Unit: unit, Rule: protocol.Text{FR: s.Manifest.Rule.Words("fr", name), EN: s.Manifest.Rule.Words("en", name)},
		RuleTree: s.Manifest.Rule, Participants: s.Accepted, Size: s.cell(s.Result.Size), Parts: []PartCell{},
		Decision: s.View.Decisions, Cost: s.Reserve.Cost, Left: s.Reserve.Left, LogSize: s.Head.Size, LogRoot: s.Head.Root,
	}
	for i, part := range s.Result.Sources {
		source := s.Manifest.Sources[i]
		f.Parts = append(f.Parts, PartCell{
			Source: part.Source, Member: source.Member, Definition: source.Definition,
			Recipient: s.Manifest.IsRecipient(source.Name), Cell: s.cell(part.Figure),
		})
	}
	return f
}

func (s Statement) cell(f protocol.Figure) Cell {
	c := Cell{Confidence: confidencePercent, Variance: f.Variance, Suppressed: f.Suppressed, Reason: s.Suppressed(f)}
	if f.Suppressed == "" {
		c.Value, c.Low, c.High = &f.Value, &f.Low, &f.High
	}
	return c
}
