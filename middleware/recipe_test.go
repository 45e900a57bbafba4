package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/middleware"
)

// shop is a dependency as they are: one request in twenty hangs, one in ten fails, and for
// a while in the middle of the day all fail.
type shop struct {
	*httptest.Server
	requests atomic.Int64
	down     atomic.Bool
}

func openShop() *shop {
	s := new(shop)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := s.requests.Add(1)
		switch {
		case s.down.Load():
			w.Header().Set("Retry-After", "0")
			http.Error(w, "down", http.StatusServiceUnavailable)
		case n%20 == 0:
			select {
			case <-r.Context().Done():
			case <-time.After(500 * time.Millisecond):
			}
			fmt.Fprint(w, "late")
		case n%10 == 5:
			http.Error(w, "flaky", http.StatusBadGateway)
		default:
			time.Sleep(time.Millisecond)
			fmt.Fprint(w, "price")
		}
	}))
	return s
}

// statusError is an answer that is no success. It tells a Retry what the server asks for.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string             { return "status " + strconv.Itoa(e.code) }
func (e *statusError) RetryAfter() time.Duration { return e.after }

// price asks the shop.
type price struct {
	client *http.Client
	url    string
}

// Execute is a plain client: it knows nothing of retries.
func (p price) Execute(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return "", middleware.Permanent(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		err = &statusError{response.StatusCode, time.Duration(seconds) * time.Second}
		if response.StatusCode < 500 {
			err = middleware.Permanent(err)
		}
	}
	return string(body), err
}

// protected puts around the tasks of the recipe what they need, outermost first.
func protected() (func(core.Task[string]) core.Task[string], error) {
	all, err := middleware.NewTimeout(2 * time.Second) // for all attempts together
	if err != nil {
		return nil, err
	}
	budget, err := middleware.NewBudget(0.3, 100) // at most 30 % more requests
	if err != nil {
		return nil, err
	}
	retry, err := middleware.NewRetry(middleware.RetryConfig{Attempts: 5, Delay: 5 * time.Millisecond, Budget: budget})
	if err != nil {
		return nil, err
	}
	breaker, err := middleware.NewBreaker(middleware.BreakerConfig{Failures: 15, Of: 20, Delay: 50 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	each, err := middleware.NewTimeout(50 * time.Millisecond) // for each attempt
	if err != nil {
		return nil, err
	}
	decorate, err := middleware.Decorate[string](all.Intercept, retry.Intercept, breaker.Intercept, each.Intercept)
	if err != nil {
		return nil, err
	}
	fallback, err := middleware.NewFallback(middleware.FallbackConfig[string]{
		Do: func(context.Context, error) (string, error) { return "yesterday's price", nil },
	})
	if err != nil {
		return nil, err
	}
	return func(task core.Task[string]) core.Task[string] { return fallback.Decorate(decorate(task)) }, nil
}

// day is what became of the tasks of a day.
type day struct {
	asked, fresh, old, failed int
	requests, whileDown       int64
	p50, p99                  time.Duration
	whole                     time.Duration
}

// spend asks for so many prices, one every two milliseconds, on four workers; the shop is
// down for the third quarter.
func spend(ctx context.Context, prices int, wrap func(core.Task[string]) core.Task[string]) (day, error) {
	s := openShop()
	defer s.Close()
	engine, err := core.New(core.WithWorkers(4))
	if err != nil {
		return day{}, err
	}
	defer engine.Shutdown(ctx)
	d := day{asked: prices}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	defer client.CloseIdleConnections()
	task := wrap(price{client, s.URL})
	var mu sync.Mutex
	var times []time.Duration
	begin := time.Now()
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for quarter := range 4 {
		s.down.Store(quarter == 2)
		before := s.requests.Load()
		var all sync.WaitGroup
		for range d.asked / 4 {
			<-pace.C
			all.Add(1)
			asked := time.Now()
			f, err := core.Submit(ctx, engine, task)
			if err != nil {
				return d, err
			}
			f.OnDone(func(answer string, err error) {
				defer all.Done()
				mu.Lock()
				defer mu.Unlock()
				times = append(times, time.Since(asked))
				switch {
				case err != nil:
					d.failed++
				case answer == "yesterday's price":
					d.old++
				default:
					d.fresh++
				}
			})
		}
		all.Wait()
		if quarter == 2 {
			d.whileDown = s.requests.Load() - before
		}
	}
	d.whole = time.Since(begin)
	d.requests = s.requests.Load()
	slices.Sort(times)
	d.p50, d.p99 = times[len(times)/2], times[len(times)*99/100]
	return d, nil
}

func bare(task core.Task[string]) core.Task[string] { return task }

// With the recipe no task fails, and the shop is left in peace while it is down.
func TestRecipe(t *testing.T) {
	without := must(spend(t.Context(), 200, bare))
	with := must(spend(t.Context(), 200, must(protected())))
	t.Logf("without: %+v", without)
	t.Logf("with:    %+v", with)
	if without.failed < 50 || with.failed != 0 || with.fresh+with.old != 200 || with.whileDown >= without.whileDown {
		t.Error("it is of no use")
	}
}

// BenchmarkRecipe tells the figures of the README: a day of a thousand prices.
func BenchmarkRecipe(b *testing.B) {
	for _, c := range []struct {
		name string
		wrap func(core.Task[string]) core.Task[string]
	}{{"without", bare}, {"with", must(protected())}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				d := must(spend(b.Context(), 1000, c.wrap))
				b.ReportMetric(float64(d.fresh), "fresh")
				b.ReportMetric(float64(d.old), "old")
				b.ReportMetric(float64(d.failed), "failed")
				b.ReportMetric(float64(d.requests), "requests")
				b.ReportMetric(float64(d.whileDown), "while-down")
				b.ReportMetric(d.p50.Seconds()*1000, "p50-ms")
				b.ReportMetric(d.p99.Seconds()*1000, "p99-ms")
				b.ReportMetric(d.whole.Seconds(), "day-s")
			}
		})
	}
}
