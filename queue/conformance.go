//go:build goman_points

package queue

import "github.com/uptutu/goman/queue/internal/point"

// This file is for conformance tests alone, which are in a module of their own: no
// ordinary build has it.

// SetPoints makes f the function that is called at each synchronisation step of all
// queues; nil means none.
func SetPoints(f func()) { point.Set(f) }

// StartMPMC is NewMPMC with counters that begin at a number of the caller's choice.
func StartMPMC[T any](capacity int, start uint64) *MPMC[T] { return newMPMC[T](capacity, 2*start) }

// StartSPSC does so for NewSPSC.
func StartSPSC[T any](capacity int, start uint64) *SPSC[T] { return newSPSC[T](capacity, start) }

// StartMPSC does so for NewMPSC.
func StartMPSC[T any](start uint64) *MPSC[T] { return newMPSC[T](2 * start) }

// StartUnbounded does so for NewUnbounded.
func StartUnbounded[T any](start uint64) *Unbounded[T] { return newUnbounded[T](2 * start) }

// StartDeque does so for NewDeque.
func StartDeque[T any](start uint64) *Deque[T] { return newDeque[T](start) }
