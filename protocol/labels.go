package protocol

// The labels of all signed documents. They separate the domains of signatures
// and name the entries of the log; one is never given a second meaning.
const (
	// Signed with a member's voting key.
	LabelCard     Label = "card"
	LabelAssent   Label = "assent"
	LabelProposal Label = "proposal"
	LabelCosign   Label = "cosign"
	LabelBallot   Label = "ballot"

	LabelWithdrawal Label = "withdrawal"
	LabelDelegation Label = "delegation"
	LabelRevocation Label = "revocation"
	LabelKeyChange  Label = "key-change"
	LabelLeave      Label = "leave"

	// Signed with a member's node key.
	LabelTicket     Label = "ticket"
	LabelHello      Label = "ceremony-hello"
	LabelDeal       Label = "ceremony-deal"
	LabelReady      Label = "ceremony-ready"
	LabelComplaint  Label = "ceremony-complaint"
	LabelMigrated   Label = "migrated"
	LabelManifest   Label = "manifest"
	LabelAck        Label = "acknowledgement"
	LabelKeyConfirm Label = "key-confirmation"
	LabelUpload     Label = "upload"
	LabelCollected  Label = "collected"
	LabelAbort      Label = "abort"

	// Signed with a replica's key.
	LabelEnrolment  Label = "enrolment"
	LabelClose      Label = "close"
	LabelReserve    Label = "reservation"
	LabelOpening    Label = "opening"
	LabelResult     Label = "result"
	LabelLapse      Label = "lapse"
	LabelRetirement Label = "retirement"
	LabelExport     Label = "export"
	LabelHead       Label = "head"

	LabelEndorsement Label = "endorsement" // within a roll, never an entry
	LabelRoll        Label = "roll"

	// The first entry of the log; signed by every founder's assent in it.
	LabelGenesis Label = "genesis"
)

// ByMember reports whether members sign documents under this label.
func (l Label) ByMember() bool {
	switch l {
	case LabelProposal, LabelCosign, LabelBallot,
		LabelWithdrawal, LabelDelegation, LabelRevocation, LabelKeyChange, LabelLeave,
		LabelTicket, LabelHello, LabelDeal, LabelReady, LabelComplaint, LabelMigrated,
		LabelManifest, LabelAck, LabelKeyConfirm, LabelUpload, LabelCollected, LabelAbort:
		return true
	}
	return false
}
