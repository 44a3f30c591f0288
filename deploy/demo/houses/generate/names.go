package main

import "strings"

// Names of the invented people: frequent first names and surnames, combined at
// random. Whoever bears such a name is not meant.
var (
	firstNames = strings.Fields(`
		Adèle Agathe Alexandre Alice Amélie Amina André Anne Antoine Ariane Arnaud Audrey Aurélie Béatrice Benoît
		Bruno Camille Carl Caroline Catherine Cédric Chantal Charles Charlotte Chloé Christian Claire Clara Claude
		Corinne Damien Daniel David Denis Diane Dominique Édith Édouard Élaine Éléonore Élise Élodie Émile Émilie
		Emma Éric Étienne Eva Fabien Fanny Fatou Félix Florence France François Françoise Frédéric Gabriel Gabrielle
		Geneviève Gérard Gilles Guillaume Guy Hélène Henri Hugo Inès Isabelle Jacques Jade Jean Jérôme Joanie Joël
		Josée Judith Julie Julien Juliette Karim Karine Laura Laurence Laurent Léa Léo Lina Line Louis Louise Luc
		Lucie Ludovic Maïka Manon Marc Margot Marianne Marie Marion Martin Martine Mathieu Mathilde Maude Maxime
		Mélanie Michel Mireille Mohamed Monique Myriam Nadia Nathalie Nicolas Noémie Normand Océane Olivier Pascale
		Patrick Paul Paule Philippe Pierre Rachel Raphaël Réjean René Robert Rosalie Roxane Sabrina Samuel Sandrine
		Sarah Sébastien Serge Simon Solange Sonia Sophie Stéphane Suzanne Sylvain Sylvie Thomas Tristan Valérie
		Véronique Victor Vincent Violette William Yannick Yasmine Yves Yvette Zoé`)
	lastNames = strings.Fields(`
		Allard Archambault Arsenault Asselin Aubin Audet Barbeau Baril Beaudoin Beaulieu Beauchamp Bédard Bélair
		Béland Bélanger Benali Benoît Bergeron Bernier Bérubé Bilodeau Blais Blanchet Blouin Boisvert Boivin Bolduc
		Bouchard Boucher Boudreau Bourgeois Bourque Brassard Breton Brisson Brousseau Bui Carbonneau Cardinal Caron
		Carrier Chabot Champagne Charbonneau Charest Chartrand Chen Chouinard Cloutier Comeau Cormier Corriveau Côté
		Couture Cyr Daigle Dallaire Demers Deschênes Desjardins Desrosiers Dion Diallo Dionne Doucet Drolet Dubé
		Dubois Duchesne Dufour Duguay Dumais Dumont Dupont Dupuis Duquette Durand Duval Émond Faucher Ferland Filion
		Fontaine Forget Fortier Fortin Fournier Francoeur Gagné Gagnon Garneau Gaudreau Gauthier Gendron Germain
		Gervais Giguère Gilbert Gingras Girard Giroux Godbout Gosselin Goulet Gravel Grenier Grondin Guay Guérin
		Haddad Hamel Hébert Houle Huard Jacob Jacques Jean Jobin Joly Juneau Labbé Labelle Laberge Labonté Lachance
		Lacasse Lacroix Laflamme Lafleur Lafond Laforest Lajoie Lalonde Lambert Lamontagne Landry Langevin Langlois
		Lapierre Lapointe Larivière Larouche Latulippe Lavoie Leblanc Leclerc Lefebvre Legault Lemay Lemieux Lépine
		Lessard Létourneau Levasseur Lévesque Loiselle Marchand Marcoux Marois Martel Mathieu Mercier Messier Michaud
		Moreau Morin Morneau Nadeau Nguyen Noël Ouellet Ouimet Paquet Paradis Paré Parent Pelletier Pépin Perreault
		Perron Picard Piché Plante Plourde Poirier Poulin Proulx Provost Quirion Raymond Renaud Richard Rioux Rivard
		Roberge Robitaille Rochon Rodrigue Rousseau Roy Sabourin Savard Savoie Séguin Sergerie Simard Sirois Soucy
		Talbot Tanguay Tardif Tessier Théberge Therrien Thibault Tousignant Tran Traoré Tremblay Trudel Turcotte
		Vachon Vaillancourt Veilleux Verreault Vézina Viau Viens Villeneuve`)
)

// domains are reserved for documentation and tests, with a weight each.
var (
	domains = []string{"example.com", "courriel.example", "example.org", "example.net", "fibre.example",
		"poste.example", "reseau.test", "universite.example", "boite.test", "atelier.example"}
	domainWeights = []int{300, 220, 110, 90, 80, 70, 50, 40, 25, 15}
)

var withoutAccents = strings.NewReplacer("à", "a", "â", "a", "ç", "c", "é", "e", "è", "e", "ê", "e", "ë", "e",
	"î", "i", "ï", "i", "ô", "o", "ù", "u", "û", "u", "ü", "u")

// ascii is a name as people write it in an address.
func ascii(name string) string { return withoutAccents.Replace(strings.ToLower(name)) }
