//go:build goman_points

package point

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config is one schedule, or the first of many. Its zero value is valid.
type Config struct {
	// Seed decides everything that is left open. Of many schedules each has the
	// next one.
	Seed uint64
	// Strategy is how a goroutine is chosen.
	Strategy Strategy
	// Depth is that of PCT, 1 to 3 and more. Default: 3.
	Depth int
	// Steps is how many steps a schedule is thought to have, over which PCT spreads
	// its changes. Default: as many as a first random walk takes.
	Steps int
	// Faults is the probability with which a step fails that may. Default: 0.
	Faults float64
	// Tick is how much fake time passes when the clock is chosen, while others are
	// in the midst of something; otherwise time passes only when nobody can go on.
	// Default: a millisecond.
	Tick time.Duration
	// Ticks is how often that happens at most. Default: never.
	Ticks int
	// MaxSteps ends a schedule that has no end. Default: 20,000.
	MaxSteps int
	// Horizon is how much fake time without a step is a hang. Default: a day.
	Horizon time.Duration
	// Choices, if not nil, are the names to be let go, one after the other. When
	// they are used up the others take turns.
	Choices []string
	// KeepGoing makes Explore go on after a schedule that fails.
	KeepGoing bool
}

// complete fills the defaults in, for one schedule.
func (c Config) complete() Config {
	if c.Strategy == Mixed {
		c.Strategy = PCT
		if c.Depth = int(c.Seed % 4); c.Depth == 0 {
			c.Strategy = RandomWalk
		}
	}
	orElse(&c.Depth, 3)
	orElse(&c.Steps, 100)
	orElse(&c.Tick, time.Millisecond)
	orElse(&c.MaxSteps, 20_000)
	orElse(&c.Horizon, 24*time.Hour)
	return c
}

func orElse[T int | time.Duration](place *T, value T) {
	if *place == 0 {
		*place = value
	}
}

// Parse reads what [Config.Text] has written.
func Parse(text string) (c Config, err error) {
	c.Choices = []string{}
	for _, word := range strings.Fields(text) {
		if key, value, setting := strings.Cut(word, "="); setting {
			if err := c.set(key, value); err != nil {
				return Config{}, fmt.Errorf("point: %q: %w", word, err)
			}
			continue
		}
		name, times, many := strings.Cut(word, "*")
		n := 1
		if many {
			if n, err = strconv.Atoi(times); err != nil {
				return Config{}, fmt.Errorf("point: %q: %w", word, err)
			}
		}
		for range n {
			c.Choices = append(c.Choices, name)
		}
	}
	return c, nil
}

func (c *Config) set(key, value string) (err error) {
	switch key {
	case "seed":
		c.Seed, err = strconv.ParseUint(value, 10, 64)
	case "faults":
		c.Faults, err = strconv.ParseFloat(value, 64)
	case "tick":
		c.Tick, err = time.ParseDuration(value)
	case "ticks":
		c.Ticks, err = strconv.Atoi(value)
	default:
		err = fmt.Errorf("known are seed, faults, tick, ticks")
	}
	return err
}
