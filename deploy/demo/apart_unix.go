//go:build unix && !linux

package demo

import "syscall"

// apart keeps a child out of the terminal's Ctrl-C, which the demonstration
// alone answers.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
