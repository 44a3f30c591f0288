//go:build nextrules

package governance

import "coulisse/protocol"

// Rules is that of a version to come, which package torture builds to upgrade
// to. It adds nothing.
const Rules = protocol.FirstRules + 1
