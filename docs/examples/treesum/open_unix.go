//go:build unix

package main

import "syscall"

// careful holds for a name that has become something else since it was listed:
// a symbolic link is not followed, a pipe without a writer is not waited for.
const careful = syscall.O_NOFOLLOW | syscall.O_NONBLOCK
