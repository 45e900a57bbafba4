// Package scheduler holds orders over the jobs of an engine, as values that nest, and
// balancers over several engines.
package scheduler
