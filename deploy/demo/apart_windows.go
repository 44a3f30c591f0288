package demo

import "syscall"

// apart keeps a child out of the console's Ctrl-C, which the demonstration
// alone answers.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}
