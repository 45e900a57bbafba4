//go:build !unix

package main

const careful = 0
