package demo

import "syscall"

// apart keeps a child out of the terminal's Ctrl-C, which the demonstration
// alone answers, and has the kernel end it if the demonstration is killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
