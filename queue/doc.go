// Package queue holds queues as data structures: each a concrete type with one
// contract, [Queue], usable without an engine.
package queue
