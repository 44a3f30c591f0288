# Everything a contributor does, by name. `make check` is what CI runs.
SHELL := /bin/bash
GOBIN := $(CURDIR)/.bin

.PHONY: check generate torture bench

check:
	bash .ci/run

# The gRPC code, from protocol/wire/*.proto, with Debian's protoc and the
# plugins that go.mod pins.
generate:
	mkdir -p $(GOBIN)
	GOBIN=$(GOBIN) go install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
	PATH=$(GOBIN):$$PATH protoc --proto_path=. --go_out=. --go_opt=module=coulisse \
		--go-grpc_out=. --go-grpc_opt=module=coulisse protocol/wire/*.proto

# A federation on a bad network and bad machines, for as long as TORTURE_TIME
# says. TORTURE_SEED repeats a run's faults; without it each run has its own.
torture: export TORTURE_TIME ?= 20m
torture: export TORTURE_SEED ?= $(shell date +%s)
torture:
	go test -count=1 -timeout=0 -v -run='^TestTorture$$' ./deploy/torture

# What docs/performance.md says, measured again on this machine.
bench:
	BENCH=$(CURDIR)/docs/performance.md go test -count=1 -timeout=0 -v -run='^TestPerformance$$' ./deploy/bench
