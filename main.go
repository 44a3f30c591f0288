// Coulisse lets cultural organisations compute audiences together without
// showing each other, or anybody, whom they know. This file is the table of
// subcommands; the way into the code is protocol/protocol.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	coordinator "coulisse/coordinator/cli"
	"coulisse/deploy/demo"
	"coulisse/deploy/load"
	node "coulisse/node/cli"
	"coulisse/protocol/command"

	"github.com/spf13/cobra"
)

// version is set at link time for a release; else the build knows its commit.
var version = ""

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lang := command.Language(os.Args[1:], os.Getenv)
	var subcommands []*cobra.Command
	subcommands = append(subcommands, node.Commands(built())...)
	subcommands = append(subcommands, coordinator.Commands(lang, built())...)
	subcommands = append(subcommands, demo.Command(built()), load.Command(lang))
	return command.Execute(ctx, command.Root(lang, built(), subcommands...), lang)
}

// built names this build.
func built() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value[:min(len(setting.Value), 12)]
		}
	}
	return info.Main.Version
}
