// Package point marks the synchronisation steps of the queues: the places where
// it makes a difference who goes first. In an ordinary build they are nothing.
// Under the build tag goman_points a test may set a function that is called at
// each: to yield the processor at random, or to let one goroutine at a time go on
// in an order of its own. No point lies inside a critical section.
package point
