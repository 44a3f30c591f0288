package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"coulisse":   main,
		"eventually": eventually,
		"refused":    refused,
		"decide":     decide,
		"propose":    propose,
		"roundid":    roundID,
		"withid":     withID,
		"public":     public,
		"near":       near,
	})
}

// TestScripts runs a federation as people do: every step is a command, and each
// party a process.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a federation of processes")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "en_CA.UTF-8")
			for _, name := range []string{"AT", "AT1", "AT2", "AT3", "AT4", "AT5"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				defer l.Close()
				e.Setenv(name, l.Addr().String())
			}
			return nil
		},
	})
}

func fail(values ...any) {
	fmt.Fprintln(os.Stderr, values...)
	os.Exit(1)
}

// eventually runs a command until it prints a text: eventually TEXT COMMAND…
func eventually() { fmt.Print(until(os.Args[1], os.Args[2:]...)) }

// refused runs a command until it fails and says why: refused WHY COMMAND…
func refused() { fmt.Print(untilIt(false, os.Args[1], os.Args[2:]...)) }

func until(text string, command ...string) string { return untilIt(true, text, command...) }

func untilIt(succeeds bool, text string, command ...string) string {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) { // between two looks
		out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
		if (err == nil) == succeeds && strings.Contains(string(out), text) {
			return string(out)
		}
		if time.Now().After(deadline) {
			fail("never printed:", text, err, string(out))
		}
	}
}

// propose has a member propose and prints the proposal: propose MEMBER FLAGS…
func propose() { fmt.Println(proposed(os.Args[1], os.Args[2:])) }

func proposed(member string, flags []string) string {
	args := []string{"proposal", "new", "--dir", member, "--title-fr", "Une chose", "--title-en", "One thing",
		"--reason-fr", "Il le faut", "--reason-en", "It must be", "--closes", "30m"}
	out, err := exec.Command("coulisse", append(args, flags...)...).Output()
	if err != nil {
		fail(err, string(out))
	}
	id, _, _ := strings.Cut(string(out), "\n")
	return id
}

// decide has the first member propose, the second support and all vote for, and
// waits until each has counted the decision: decide MEMBERS FLAGS…
func decide() {
	members := strings.Split(os.Args[1], ",")
	id := proposed(members[0], os.Args[2:])
	until("waits for support", "coulisse", "proposal", "show", id, "--dir", members[1])
	until("The vote is open", "coulisse", "proposal", "cosign", id, "--dir", members[1])
	for _, m := range members {
		until("vote open", "coulisse", "proposal", "show", id, "--dir", m)
		until("Your vote is in the log: for", "coulisse", "proposal", "vote", id, "for", "--dir", m)
	}
	for _, m := range members {
		until("counted again by this node", "coulisse", "proposal", "show", id, "--dir", m)
	}
	fmt.Println(id)
}

// roundID prints the number of the last audience that a member's node knows.
func roundID() {
	out, err := exec.Command("coulisse", "audience", "list", "--json", "--dir", os.Args[1]).Output()
	var list []struct{ Round string }
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil || len(list) == 0 {
		fail("no audience", err)
	}
	fmt.Println(list[0].Round)
}

// withID runs a command with ID replaced by what a file holds: withid FILE
// COMMAND…
func withID() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	args := os.Args[2:]
	for i, arg := range args {
		if arg == "ID" {
			args[i] = strings.TrimSpace(string(raw))
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if cmd.Run() != nil {
		os.Exit(1)
	}
}

// public writes the ticket export of a house that the people from FIRST to LAST
// go to; one in three does not consent to activation.
func public() {
	first, last := number(os.Args[1]), number(os.Args[2])
	fmt.Println("Courriel;Commande;Spectacle;Discipline;Salle;Date;Billets;Montant;Consentement mutualisation;Consentement activation")
	for i := first; i <= last; i++ {
		activation := "oui"
		if i%3 == 0 {
			activation = "non"
		}
		fmt.Printf("personne.%d@example.org;%d;Vertiges;Danse contemporaine;Grande salle;2026-03-0%d;2;80,00;oui;%s\n", i, i, 1+i%9, activation)
	}
}

// near checks that the size in a folder's exported CSV is within six standard
// deviations of the truth: near FOLDER TRUTH SIGMA.
func near() {
	found, err := filepath.Glob(filepath.Join(os.Args[1], "*.csv"))
	if err != nil || len(found) != 1 {
		fail("one CSV is wanted", found, err)
	}
	file, err := os.Open(found[0])
	if err != nil {
		fail(err)
	}
	defer file.Close()
	truth, sigma := number(os.Args[2]), number(os.Args[3])
	for lines := bufio.NewScanner(file); lines.Scan(); {
		cells := strings.Split(lines.Text(), ",")
		if cells[1] != "size" {
			continue
		}
		if size := number(cells[4]); size < truth-6*sigma || size > truth+6*sigma {
			fail("the size is", size, "and in truth", truth)
		}
		return
	}
	fail("no size in", os.Args[1])
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fail(err)
	}
	return n
}
