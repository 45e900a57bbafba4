package middleware

import (
	"time"

	"github.com/uptutu/goman/core"
)

// Backoff is the delay of r after so many runs.
func Backoff(r *Retry, runs int) time.Duration { return r.backoff(runs) }

// Earn is a first run, Take a repetition.
func Earn(b *Budget)      { b.earn() }
func Take(b *Budget) bool { return b.take() }

// WindowBegin is when the window of a Breaker without keys began; zero if it has none.
func WindowBegin(b *Breaker) time.Time {
	if c, ok := b.keys.find(""); ok && c.window != nil {
		return c.window.begin
	}
	return time.Time{}
}

// Places are the values of keys.
type Places struct {
	keyed *keyed[*int]
	key   string
}

// NewPlaces makes places for most keys.
func NewPlaces(most int) *Places {
	p := new(Places)
	p.keyed = newKeyed(Keys{Of: func(core.Job) string { return p.key }, Max: most}, func() *int { return new(int) })
	return p
}

// Enter returns the value of key, and a function that leaves it.
func (p *Places) Enter(key string) (value *int, leave func()) {
	p.key = key
	at := p.keyed.enter(core.Job{})
	return at.value, func() { p.keyed.leave(at) }
}

// Keys returns the keys that are remembered.
func (p *Places) Keys() []string { return p.keyed.keys() }
