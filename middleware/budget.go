package middleware

import (
	"math"
	"sync"
)

// Budget bounds how many of the runs may be repetitions, over all tasks of the policies
// that share it, each a [Retry] or a [Hedge]: so a dependency that fails for everybody is
// not given a multiple of the load. It is a bucket: for each of these policies the first
// run of a task puts a share of an attempt into it, each repetition takes one out. It may
// be shared between engines.
type Budget struct {
	ratio, most int64 // in billionths of an attempt, because sums of fractions are not exact

	mu   sync.Mutex
	left int64
}

// attempt is one repetition in a Budget.
const attempt = 1e9

// NewBudget makes a Budget that allows ratio repetitions for each first run, in the long
// run, and limit at once. It is full at first. ratio must be from 0 to 1, limit from 1 to
// math.MaxInt32; the error matches core.ErrInvalid.
func NewBudget(ratio float64, limit int) (*Budget, error) {
	if !(ratio >= 0 && ratio <= 1) {
		return nil, invalidf("the ratio of a budget is %v, and must be from 0 to 1", ratio)
	}
	if limit < 1 || limit > math.MaxInt32 {
		return nil, invalidf("the limit of a budget is %d, and must be from 1 to %d", limit, math.MaxInt32)
	}
	b := &Budget{ratio: int64(math.Ceil(ratio * attempt)), most: int64(limit) * attempt}
	b.left = b.most
	return b, nil
}

// Left returns how many repetitions are allowed at the moment.
func (b *Budget) Left() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(b.left / attempt)
}

func (b *Budget) earn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+b.ratio, b.most)
}

func (b *Budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < attempt {
		return false
	}
	b.left -= attempt
	return true
}
