// Package wire is the gRPC surface of the coordinator, generated from
// coordinator.proto by `make generate`. It frames what travels and decides
// nothing: the packages at either end decode it into the types of package
// protocol before they look at it.
package wire
