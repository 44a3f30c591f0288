package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"coulisse/crypto/dp"
	"coulisse/node/tokens"
	"coulisse/node/warehouse"
	"coulisse/node/witness"
	"coulisse/protocol"
	"coulisse/protocol/federation"
	"coulisse/protocol/governance"
)

// Status is the node at a glance, with what is wrong and what to do about it.
type Status struct {
	Member     protocol.MemberID `json:"member"`
	Name       protocol.Text     `json:"name"`
	Federation protocol.Hash     `json:"federation"`
	// FederationName and the rest that the log tells are zero until the node
	// has read it.
	FederationName protocol.Text      `json:"federation_name,omitzero"`
	Namespace      protocol.Namespace `json:"namespace,omitempty"`
	Members        int                `json:"members"`
	Log            LogStatus          `json:"log"`
	Warehouse      warehouse.Summary  `json:"warehouse"`
	Tokens         tokens.Progress    `json:"tokens"`
	Stewards       Stewards           `json:"stewards"`
	// Migration is how far the members are with a new key; nil while they are
	// content with one.
	Migration *Migration `json:"migration,omitempty"`
	Budget    Budget     `json:"budget"`
	// Rounds are those under way that this member is in.
	Rounds []RoundProgress `json:"rounds"`
	// Votes are the open proposals on which this member has not voted, Cosign
	// those that wait for another organisation's support.
	Votes  []ProposalLine `json:"votes"`
	Cosign []ProposalLine `json:"to_cosign"`
	// Standing is this member's own.
	Standing Standing `json:"standing"`
	// Charter names the charter in force, for whoever proposes another.
	Charter protocol.Hash `json:"charter,omitzero"`
	// Delegations are those that this member has given or carries.
	Delegations []Delegation `json:"delegations"`
	// Workers hold the shares of measure rounds, and Fees are what each kind of
	// member pays in a year; empty while no vote has said so.
	Workers []protocol.MemberID `json:"workers"`
	Fees    []protocol.Fee      `json:"fees"`
	// Collected are the intake's figures; nil without one.
	Collected *Collected `json:"collect,omitempty"`
	// Unanswered says that the coordinator does not answer now.
	Unanswered  bool      `json:"coordinator_silent,omitempty"`
	Certificate time.Time `json:"certificate_until"`
	Troubles    []Trouble `json:"troubles"`
}

// LogStatus is the node's verified copy of the log.
type LogStatus struct {
	Size int64           `json:"size"`
	Root protocol.Hash   `json:"root"`
	At   protocol.Millis `json:"at_ms"` // of the last entry
}

// Stewards are who holds the key, and where its ceremony is.
type Stewards struct {
	Members   []protocol.MemberID `json:"members"`
	Threshold int                 `json:"threshold"`
	Self      bool                `json:"self"` // this member is one
	Epoch     protocol.Epoch      `json:"epoch"`
	Ready     bool                `json:"ready"` // the present roll holds the key
	// Failed says that too few of them are left to hand the key on, or to make
	// another.
	Failed bool `json:"failed,omitempty"`
	// Made is when the key was made, and Shared when its present shares were.
	Made   protocol.Millis `json:"key_made_ms,omitzero"`
	Shared protocol.Millis `json:"key_shared_ms,omitzero"`
}

// Budget is the privacy budget. Epsilons are for people to read: nothing is
// decided by them.
type Budget struct {
	Granted      dp.NanoRho `json:"granted_nano_rho"`
	Spent        dp.NanoRho `json:"spent_nano_rho"`
	Reserved     dp.NanoRho `json:"reserved_nano_rho"`
	Left         dp.NanoRho `json:"left_nano_rho"`
	SpentEpsilon float64    `json:"spent_epsilon"`
	Delta        float64    `json:"delta"`
}

// Trouble is something wrong, and what to do.
type Trouble struct {
	What protocol.Text `json:"what"`
	Do   protocol.Text `json:"do"`
}

// answerWithin bounds how long a status waits for the coordinator.
const answerWithin = 2 * time.Second

// Status describes the node.
func (n *Node) Status(ctx context.Context) (Status, error) {
	s := Status{
		Member: n.folder.Card.ID, Name: n.folder.Card.Name, Federation: n.membership.Federation,
		Certificate: n.certificate.Load().Leaf.NotAfter.UTC(),
		Workers:     []protocol.MemberID{}, Fees: []protocol.Fee{},
		Rounds: []RoundProgress{}, Votes: []ProposalLine{}, Delegations: []Delegation{}, Cosign: []ProposalLine{}, Troubles: []Trouble{},
	}
	var err error
	if s.Warehouse, err = n.warehouse.Summary(ctx); err != nil {
		return s, err
	}
	if s.Tokens, err = n.tokeniser.Progress(ctx); err != nil {
		return s, err
	}
	standing := false
	if err := n.witness.View(func(tx federation.Tx) error { standing, err = n.readLog(tx, &s); return err }); err != nil {
		return s, err
	}
	s.Collected = n.Collected()
	n.diagnose(ctx, &s, standing)
	return s, nil
}

// readLog fills what the log tells, and whether this member is in good
// standing. A log that is still empty is no error.
func (n *Node) readLog(tx federation.Tx, s *Status) (standing bool, err error) {
	if s.Log.Size = federation.Size(tx); s.Log.Size == 0 {
		return false, nil
	}
	head, err := federation.Head(tx)
	if err != nil {
		return false, err
	}
	view, err := federation.View(tx)
	if err != nil {
		return false, err
	}
	s.Log.Root, s.Log.At = head.Root, federation.Time(tx)
	s.FederationName, s.Namespace, s.Members = view.Charter.Name, view.Charter.Namespace, len(view.Roster())
	s.Stewards, s.Migration = stewardsOf(tx, view, n.folder.Card.ID), migrationOf(tx, view)
	if s.Budget, err = budgetOf(tx, view); err != nil {
		return false, err
	}
	for _, round := range federation.RunningRounds(tx) {
		m := round.Content()
		if slices.Contains(m.Participants(), n.folder.Card.ID) {
			s.Rounds = append(s.Rounds, progressOf(round, m))
		}
	}
	s.Standing = standingOf(view, n.folder.Card.ID)
	standing = s.Standing == StandingGood
	if s.Charter, err = view.Charter.ID(); err != nil {
		return false, err
	}
	s.Delegations = delegationsOf(tx, view, n.folder.Card.ID)
	s.readElected(view)
	for _, p := range federation.Proposals(tx) {
		line := lineOf(tx, view, p, n.folder.Card.ID)
		switch {
		case line.State == federation.ProposalOpen && (line.Voted == "" || len(line.Carries) > 0) && standing:
			s.Votes = append(s.Votes, line)
		case line.State == federation.ProposalWaiting && line.By != n.folder.Card.ID && standing:
			s.Cosign = append(s.Cosign, line)
		}
	}
	return standing, nil
}

// readElected fills what votes have set, and leaves alone what none has.
func (s *Status) readElected(view governance.View) {
	if view.Workers != nil {
		s.Workers = view.Workers.Members()
	}
	if view.Fees != nil {
		s.Fees = view.Fees.Yearly
	}
}

// Standing is what an organisation is to the federation.
type Standing string

// The standings of an organisation.
const (
	StandingNone      Standing = "" // never a member, as far as this node has read
	StandingGood      Standing = "good"
	StandingSuspended Standing = "suspended"
	StandingLeft      Standing = "left" // of itself, or expelled
)

func standingOf(view governance.View, id protocol.MemberID) Standing {
	m, ok := view.Member(id)
	switch {
	case !ok:
		return StandingNone
	case !m.Belongs():
		return StandingLeft
	case !m.Active():
		return StandingSuspended
	}
	return StandingGood
}

func stewardsOf(tx federation.Tx, view governance.View, self protocol.MemberID) Stewards {
	s := Stewards{Members: []protocol.MemberID{}}
	if view.Stewards == nil {
		return s
	}
	s.Members, s.Threshold = view.Stewards.Members, view.Stewards.Threshold
	s.Self = slices.Contains(s.Members, self)
	if key, ok := federation.ActiveKey(tx); ok {
		s.Epoch, s.Ready = key.Epoch, key.Attempt.Roll == view.Rolls
		s.Made, s.Shared = key.Made, key.Shared
	}
	c, _ := federation.CurrentCeremony(tx)
	s.Failed = c.Failed
	return s
}

func budgetOf(tx federation.Tx, view governance.View) (Budget, error) {
	ledger, err := federation.ReadLedger(tx)
	if err != nil {
		return Budget{}, err
	}
	delta := 1.0
	for range view.Charter.Budget.DeltaExponent {
		delta /= 10
	}
	return Budget{
		Granted: ledger.Granted, Spent: ledger.Spent, Reserved: ledger.Reserved, Left: ledger.Left(),
		SpentEpsilon: dp.Epsilon(ledger.Spent, delta), Delta: delta,
	}, nil
}

// diagnose says what is wrong, the gravest first.
func (n *Node) diagnose(ctx context.Context, s *Status, standing bool) {
	add := func(what, do protocol.Text) { s.Troubles = append(s.Troubles, Trouble{what, do}) }
	n.diagnoseStanding(s, add)
	if err := n.Trouble(); err != nil {
		do := protocol.Text{FR: "Gardez le dossier du nœud tel quel, puis redémarrez le nœud s'il ne s'agit pas d'une preuve.",
			EN: "Keep the node's folder as it is, then start the node again unless this is evidence."}
		if errors.Is(err, witness.ErrEvidence) {
			do = protocol.Text{FR: "Ne supprimez rien\u00a0: le fichier est la preuve.", EN: "Delete nothing: the file is the evidence."}
		}
		add(Words(err), do)
	}
	asking, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err := n.compareExtent(asking)
	if missing := n.setback.now(); missing > 0 {
		s.Troubles = append(s.Troubles, behindUs(missing))
	}
	if s.Certificate.Before(time.Now()) {
		add(certificateExpired.What, certificateExpired.Do)
	}
	if ahead := n.witness.Ahead(); ahead > 0 {
		s.Troubles = append(s.Troubles, clocksDiffer(ahead))
	}
	s.Unanswered = err != nil
	if s.Unanswered && s.Standing != StandingLeft { // one that has left is not answered
		add(unreachable.What, unreachable.Do)
	}
	switch {
	case s.Log.Size == 0:
		add(logEmpty.What, logEmpty.Do)
		return
	case s.Standing == StandingNone:
		add(noStanding.What, noStanding.Do)
	}
	if trouble, ok := keyTrouble(*s, time.Now()); ok {
		s.Troubles = append(s.Troubles, trouble)
	}
	if _, err := n.OwnPolicies(); err != nil {
		add(Words(err), protocol.Text{
			FR: "Corrigez les fichiers .cedar du dossier policies/\u00a0: d'ici là, ce nœud ne répond à aucune audience.",
			EN: "Correct the .cedar files of the folder policies/: until then this node answers no audience.",
		})
	}
	if c := s.Collected; c != nil && c.Trouble != "" {
		add(notStored.What, notStored.Do)
	}
	n.diagnoseTokens(s, add)
}

func (n *Node) diagnoseStanding(s *Status, add func(what, do protocol.Text)) {
	switch s.Standing {
	case StandingLeft:
		add(both("Votre organisation n'est plus membre de cette fédération\u00a0: elle l'a quittée, ou un vote l'a exclue.", "Your organisation is no longer a member of this federation: it left, or a vote expelled it."),
			both("Le nœud ne prend plus part à rien. Pour revenir, il faut une nouvelle carte, sous un autre nom, et un vote d'admission.",
				"The node takes part in nothing any more. To come back takes a new card, under another name, and a vote to admit it."))
	case StandingSuspended:
		add(both("Votre organisation est suspendue par un vote.", "Your organisation is suspended by a vote."),
			both("Elle ne vote pas et n'entre dans aucune ronde, mais lit toujours le journal. Un autre membre peut proposer de la rétablir\u00a0: «\u00a0coulisse proposal new --reinstate %[1]s\u00a0».",
				"It does not vote nor take part in rounds, but still reads the log. Another member may propose to reinstate it: “coulisse proposal new --reinstate %[1]s”.", n.folder.Card.ID))
	}
}

func (n *Node) diagnoseTokens(s *Status, add func(what, do protocol.Text)) {
	err := n.tokeniser.Trouble()
	switch {
	case s.Warehouse.People == 0:
		add(nobody.What, nobody.Do)
	case s.Tokens.Total == 0:
		add(noConsent.What, noConsent.Do)
	case errors.Is(err, tokens.ErrNoKey) && s.Stewards.Epoch > 0: // there is one now, and the next tokens are being made
	case err != nil && s.Tokens.Done < s.Tokens.Total:
		add(Words(err), protocol.Text{FR: "Le nœud réessaie de lui-même.", EN: "The node tries again by itself."})
	}
}

// clocksDiffer is about a log dated ahead of this machine's clock.
func clocksDiffer(ahead time.Duration) Trouble {
	minutes := int(ahead.Round(time.Minute) / time.Minute)
	return Trouble{
		protocol.Text{
			FR: fmt.Sprintf("La dernière entrée du journal était datée de %d minutes en avance sur l'horloge de cette machine.", minutes),
			EN: fmt.Sprintf("The log's last entry was dated %d minutes ahead of this machine's clock.", minutes),
		},
		protocol.Text{
			FR: "Vérifiez l'heure de cette machine. Si elle est juste, prévenez le bureau de la coopérative\u00a0: l'horloge du coordonnateur avance, et des votes se fermeraient avant l'heure.",
			EN: "Check this machine's time. If it is right, tell the co-operative's office: the coordinator's clock is ahead, and votes would close before their time.",
		},
	}
}

var (
	certificateExpired = Trouble{
		protocol.Text{FR: "Le certificat de ce nœud a expiré.", EN: "This node's certificate has expired."},
		protocol.Text{FR: "Demandez un nouveau jeton au bureau de la coopérative, puis «\u00a0coulisse node enroll\u00a0».",
			EN: "Ask the co-operative's office for a new token, then run “coulisse node enroll”."},
	}
	unreachable = Trouble{
		protocol.Text{FR: "Le coordonnateur ne répond pas.", EN: "The coordinator does not answer."},
		protocol.Text{FR: "Vérifiez la connexion. Le nœud réessaie de lui-même, et rien n'est perdu. S'il était arrêté pendant que le coordonnateur changeait entièrement d'adresses, il ne peut pas les connaître\u00a0: demandez un nouveau jeton au bureau de la coopérative, puis «\u00a0coulisse node enroll\u00a0».",
			EN: "Check the connection. The node tries again by itself, and nothing is lost. If it was off while the coordinator moved away from all its addresses, it cannot know the new ones: ask the co-operative's office for a new token, then run “coulisse node enroll”."},
	}
	logEmpty = Trouble{
		protocol.Text{FR: "Ce nœud n'a encore rien lu du journal de la fédération.", EN: "This node has read nothing of the federation's log yet."},
		protocol.Text{FR: "Attendez un instant. Si cela dure, prévenez le bureau de la coopérative.",
			EN: "Wait a moment. If it lasts, tell the co-operative's office."},
	}
	noStanding = Trouble{
		protocol.Text{FR: "Votre organisation n'est pas un membre en règle de cette fédération.", EN: "Your organisation is not a member in good standing of this federation."},
		protocol.Text{FR: "Faites proposer son admission par un membre.", EN: "Have a member propose its admission."},
	}
	notStored = Trouble{
		protocol.Text{FR: "L'entrepôt ne prend pas les événements de vos sites\u00a0; ils attendent sur le disque.", EN: "The warehouse does not take your sites' events; they wait on disk."},
		protocol.Text{FR: "Vérifiez la place sur le disque. Le nœud réessaie de lui-même, et rien n'est perdu tant que spool_mb n'est pas atteint.",
			EN: "Check the room on disk. The node tries again by itself, and nothing is lost until spool_mb is reached."},
	}
	nobody = Trouble{
		protocol.Text{FR: "Il n'y a encore personne dans l'entrepôt.", EN: "There is nobody in the warehouse yet."},
		protocol.Text{FR: "Importez un fichier\u00a0: «\u00a0coulisse import ventes.csv\u00a0».", EN: "Import a file: “coulisse import sales.csv”."},
	}
	noConsent = Trouble{
		protocol.Text{FR: "Personne n'a consenti à la mise en commun.", EN: "Nobody has consented to pooling."},
		protocol.Text{FR: "Importez un fichier qui a une colonne de consentement.", EN: "Import a file that has a column of consents."},
	}
)
