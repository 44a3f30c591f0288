//go:build !nextrules

package governance

import "coulisse/protocol"

// Rules is the newest version of the rules of the log that this build knows.
const Rules = protocol.FirstRules
