// Package core runs typed tasks on a bounded set of workers.
package core
