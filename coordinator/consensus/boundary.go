package consensus

// boundary is a moment at which a crash may leave half of something done.
type boundary string

// The boundaries of a commit.
const (
	beforeEntries  boundary = "before entries are on disk"
	afterEntries   boundary = "after entries are on disk"
	beforeStable   boundary = "before a term or vote is on disk"
	afterStable    boundary = "after a term or vote is on disk"
	beforeSnapshot boundary = "before a snapshot has its name"
	afterSnapshot  boundary = "after a snapshot has its name"
	beforeExecuted boundary = "before a committed command is executed"
	afterExecuted  boundary = "after a command is executed, before its answer"
)

// reach is called at each boundary. It does nothing but in a test, which has
// the process die there.
var reach = func(boundary) {}
