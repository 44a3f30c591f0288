package main

import "time"

// discipline numbers what is shown. The order is that of [taste].
type discipline int

const (
	contemporaryDance discipline = iota
	ballet
	theatre
	classical
	circus
	comedy
	song
	young
	jazz
	disciplineCount
)

// taste is how much each discipline draws a person.
type taste [disciplineCount]int

// words are the disciplines as a ticketing system's staff would type them.
type words [disciplineCount]string

var (
	french = words{"Danse contemporaine", "Ballet", "Théâtre", "Musique classique", "Cirque", "Humour",
		"Chanson", "Jeune public", "Jazz"}
	english = words{"Contemporary dance", "Ballet", "Theatre", "Classical music", "Circus", "Comedy",
		"Song", "Young audiences", "Jazz"}
)

// show is one line of a member's programme.
type show struct {
	title      string
	discipline discipline
	venue      string
	cents      int64
	days       []time.Time
	draw       int // how well it sells
}

// plan is what a member programmes over two seasons: how many shows of each
// discipline, where, and at what prices, in dollars.
type plan struct {
	shows  [disciplineCount]int
	venues []string
	prices []int
}

// plans are those of the six houses; the newspaper shows nothing.
var plans = [memberCount]plan{
	confluent: {[disciplineCount]int{5, 3, 6, 9, 3, 6, 8, 4, 4},
		[]string{"Grande Salle", "Studio du Quai", "Salle Irène-Baril"}, []int{32, 38, 45, 52, 68, 85, 110}},
	anseGrise: {[disciplineCount]int{3, 0, 18, 0, 0, 3, 2, 3, 0},
		[]string{"La Grande Anse", "La Remise"}, []int{24, 34, 39, 46, 55}},
	agora: {[disciplineCount]int{17, 0, 0, 0, 1, 0, 0, 3, 0},
		[]string{"Espace A", "Espace B", "Hors les murs"}, []int{20, 26, 28, 34, 36}},
	moulin: {[disciplineCount]int{3, 1, 5, 3, 2, 6, 7, 5, 1},
		[]string{"Salle du Moulin", "Église Saint-Ours"}, []int{18, 25, 32, 38, 44}},
	chapiteau: {[disciplineCount]int{3, 0, 0, 0, 13, 0, 0, 9, 0},
		[]string{"Grand chapiteau", "Petit chapiteau"}, []int{15, 19, 27, 35, 48}},
	briseNuit: {[disciplineCount]int{7, 0, 4, 2, 5, 0, 6, 0, 4},
		[]string{"Scène du Lac", "Vieux Hangar", "Cour Nord"}, []int{12, 20, 29, 36}},
}

// titles are invented. Their accents, apostrophes, guillemets, commas and
// quotation marks are those that exports get wrong.
var titles = [disciplineCount][]string{
	contemporaryDance: {"Cendres", "Sœurs d’eau", "L’été debout", "Corps à cran", "Dehors, la nuit", "Vertèbres", "Le poids du geste",
		"Ce qui penche", "Nœud", "Presque immobile", "Marée basse", "Duo pour trois", "Ligne de faîte", "Peau neuve", "À bras-le-corps",
		"Friche", "Les heures obliques", "Tumulte", "Sillage", "Ombre portée"},
	ballet: {"La reine des tourbières", "Le lac gelé", "Douze cygnes gris"},
	theatre: {"La cuisine d’été", "Fin de bail", "Le \"petit\" bruit", "Les Ménard", "Trois chaises", "Côte à côte", "Une maison vide",
		"L’héritière", "Procès-verbal", "Nos pères", "Quai 9", "La dinde", "Rien à déclarer", "Le notaire", "Hiver 81", "Août",
		"Bête noire", "Ma sœur, le feu", "Les assis", "Minuit moins deux"},
	classical: {"Quatuor Sarcelle", "Nuit Schubert", "Les Violons du rang", "Messe en si", "Orgue et cuivres", "Bach à midi",
		"Récital Elvire Noël", "Symphonie no 4", "Chœur de l’Avent"},
	circus: {"Équilibre précaire", "Tête en bas", "Bascule", "Fil", "Contrepoids", "La nuit du trapèze", "Les mains d’argile", "Roue libre",
		"Chute libre", "Haut vol", "Sept mâts", "Jongle", "Kilomètre zéro", "Élan"},
	comedy: {"Odile Grandmaison : Presque sérieuse", "Gala des maladroits", "Bob Rhéaume, enfin", "Rodage", "Les Cousins Pagé",
		"Ti-Guy Lauzière", "Soirée micro ouvert", "Mal assise"},
	song: {"Maëlle Ferron", "Les Rivages", "Ugo Sansregret", "Chansons de quai", "Bleu Nordet", "Trio Carrousel", "Anouk & Fils", "La Veillée",
		"Ovide", "Marthe chante l’hiver"},
	young: {"Le loup à lunettes", "Pois chiche", "La forêt de carton", "Tic et Tonnerre", "Où dort la lune?", "Grand-mère volcan",
		"Petit ours gris", "Flaque!", "L’ogre timide", "Boîte à pluie"},
	jazz: {"Quintette Bertille Roc", "Minuit bop", "Swing du port", "Trio Nimbus", "Big band du Nord"},
}

// firstDay and seasonDays bound the performances.
var firstDay = time.Date(2025, time.January, 16, 0, 0, 0, 0, time.UTC)

const seasonDays = 670

// programme draws what a member shows. A title may tour from house to house.
func programme(d dice, p plan) []show {
	var shows []show
	for discipline, count := range p.shows {
		on := append([]string(nil), titles[discipline]...)
		shuffle(d, on)
		for rank := range count {
			s := show{title: on[rank], venue: pick(d, p.venues), cents: int64(pick(d, p.prices)) * 100, draw: 1000 / (rank + 2)}
			s.discipline, s.days = performances(d, discipline)
			shows = append(shows, s)
		}
	}
	return shows
}

func performances(d dice, of int) (discipline, []time.Time) {
	curtain := pick(d, []time.Duration{14 * time.Hour, 19*time.Hour + 30*time.Minute, 20 * time.Hour, 20 * time.Hour})
	opening := firstDay.AddDate(0, 0, d.below(seasonDays)).Add(curtain)
	days := make([]time.Time, 1+d.below(5))
	for i := range days {
		days[i] = opening.AddDate(0, 0, i)
	}
	return discipline(of), days
}
