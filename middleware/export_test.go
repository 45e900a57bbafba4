package middleware

import "time"

// Backoff is the delay of r after so many runs.
func Backoff(r *Retry, runs int) time.Duration { return r.backoff(runs) }
