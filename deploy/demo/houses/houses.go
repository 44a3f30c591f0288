// Package houses is the public of the demonstration federation: six houses and
// a local newspaper of Québec, each with the file that its ticketing or
// subscription system would really export, in that system's own encoding,
// language, separator and way of writing a date.
//
// Nobody in it exists. The organisations are invented; every address is under
// a domain that RFC 2606 and RFC 6761 reserve, and every telephone number is in
// the range 555-0100 to 555-0199, kept for fiction. The files are written by
// the command generate from one seed. The package neither reads nor interprets
// them: package oracle counts them one simple way, the members' nodes another,
// and the demonstration shows that both agree.
package houses

import (
	"embed"
	"io/fs"

	"coulisse/protocol"
)

//go:embed data/*.csv data/*.txt
var data embed.FS

// FileKind says what one row of an export stands for.
type FileKind string

// The kinds of export.
const (
	// Tickets: a row is a sale, or a refund if its quantity is negative.
	Tickets FileKind = "tickets"
	// People: a row is a person, with nothing bought.
	People FileKind = "people"
)

// House is one member organisation of the demonstration and its export.
type House struct {
	ID       protocol.MemberID
	Name     protocol.Text
	Kind     protocol.MemberKind
	City     string
	File     string // the export's name, as the member's staff would drop it in
	FileKind FileKind
}

// All lists the members in a fixed order, the newspaper last.
func All() []House {
	return []House{
		{"grand-confluent", protocol.Text{FR: "Le Grand Confluent", EN: "The Grand Confluent"},
			protocol.KindHouse, "Montréal", "sales-2025-2026.csv", Tickets},
		{"theatre-anse-grise", protocol.Text{FR: "Théâtre de l’Anse-Grise", EN: "Anse-Grise Theatre"},
			protocol.KindHouse, "Longueuil", "ventes-anse-grise.csv", Tickets},
		{"agora-mouvante", protocol.Text{FR: "L’Agora mouvante", EN: "The Moving Agora"},
			protocol.KindHouse, "Montréal", "agora-billets.txt", Tickets},
		{"moulin-vert", protocol.Text{FR: "Diffusion du Moulin-Vert", EN: "Moulin-Vert Presents"},
			protocol.KindHouse, "Saint-Hyacinthe", "export-moulin-vert.csv", Tickets},
		{"chapiteau-lucioles", protocol.Text{FR: "Le Chapiteau des lucioles", EN: "The Firefly Big Top"},
			protocol.KindHouse, "Montréal", "guichet-chapiteau.csv", Tickets},
		{"festival-brise-nuit", protocol.Text{FR: "Festival Brise-Nuit", EN: "Brise-Nuit Festival"},
			protocol.KindFestival, "Sherbrooke", "brise-nuit-2025-2026.csv", Tickets},
		{"echo-estran", protocol.Text{FR: "L’Écho de l’Estran", EN: "L’Écho de l’Estran"},
			protocol.KindMedia, "Longueuil", "abonnes.csv", People},
	}
}

// Open reads the export, byte for byte as the member's system wrote it.
func (h House) Open() (fs.File, error) { return data.Open("data/" + h.File) }
