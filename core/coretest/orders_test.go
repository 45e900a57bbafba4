package coretest_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/uptutu/goman/core"
	"github.com/uptutu/goman/core/coretest"
)

// The service and the tests of docs/testing.md.

// Orders charges orders in the background.
type Orders struct {
	engine *core.Engine
	charge func(ctx context.Context, id string) error
}

// Place accepts an order, or says that there are too many.
func (o *Orders) Place(ctx context.Context, id string) error {
	order := core.Attributes{Name: id, QueueLimit: time.Minute}
	_, err := core.TrySubmitWith(context.WithoutCancel(ctx), o.engine, order, core.Func(func(ctx context.Context) (int, error) {
		err := o.charge(ctx, id)
		if n := core.Attempt(ctx); err != nil && n < 3 {
			return 0, core.Again(time.Second<<n, err) // after 1, 2, 4 seconds
		}
		return 0, err
	}))
	return err
}

// Close charges what was placed until ctx ends, and returns the orders left.
func (o *Orders) Close(ctx context.Context) (left []string) {
	report, _ := errors.AsType[*core.ShutdownError](o.engine.Shutdown(ctx))
	if report != nil {
		for _, undone := range report.Undone {
			left = append(left, undone.Name())
		}
	}
	return left
}

func TestOrders_Charged(t *testing.T) {
	engine := coretest.New(t)
	rec := coretest.Record(t, engine)
	orders := &Orders{engine, func(context.Context, string) error { return nil }}
	if err := orders.Place(t.Context(), "book"); err != nil {
		t.Fatal(err)
	}
	if err := rec.WaitEnded(t.Context(), "book", 1); err != nil { // no sleep, no polling
		t.Fatal(err)
	}
	if rec.Outcomes()["book"][core.OutcomeSucceeded] != 1 {
		t.Error(rec.Events())
	}
}

func TestOrders_TriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := coretest.New(t)
		rec := coretest.Record(t, engine)
		failures := 2
		orders := &Orders{engine, func(context.Context, string) error {
			if failures == 0 {
				return nil
			}
			failures--
			return errors.New("the bank sleeps")
		}}
		began := time.Now()
		if err := orders.Place(t.Context(), "book"); err != nil {
			t.Fatal(err)
		}
		if err := rec.WaitEnded(t.Context(), "book", 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second { // exactly, and at once
			t.Errorf("two retries took %v", took)
		}
	})
}

func TestOrders_QueueLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := coretest.New(t, core.WithWorkers(1), core.WithQueueCapacity(1))
		rec := coretest.Record(t, engine)
		orders := &Orders{engine, func(context.Context, string) error { time.Sleep(80 * time.Second); return nil }}
		_ = orders.Place(t.Context(), "slow")
		synctest.Wait() // the worker is busy from here on
		if err := orders.Place(t.Context(), "late"); err != nil {
			t.Error(err)
		}
		if err := orders.Place(t.Context(), "one too many"); !errors.Is(err, core.ErrQueueFull) {
			t.Error(err)
		}
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		if n := engine.Stats().Queued; n != 1 {
			t.Errorf("just before the limit %d are queued", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if rec.Outcomes()["late"][core.OutcomeTimedOut] != 1 {
			t.Error(rec.Events())
		}
	})
}

func TestOrders_HandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := coretest.New(t, core.WithWorkers(1))
		orders := &Orders{engine, func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }}
		_ = orders.Place(t.Context(), "first")
		synctest.Wait() // it is being charged
		_ = orders.Place(t.Context(), "second")
		_ = orders.Place(t.Context(), "third")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if left := orders.Close(ctx); !slices.Equal(left, []string{"second", "third"}) {
			t.Errorf("handed back: %q", left)
		}
		coretest.Verify(t, engine)
	})
}

func TestOrders_AnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := coretest.Seeded(t, coretest.Seed(t)) // a failing run tells its seed
		stock, sold := 2, []string{}
		orders := &Orders{s.Engine, func(_ context.Context, id string) error {
			if stock == 0 {
				return errors.New("sold out")
			}
			stock--
			sold = append(sold, id)
			return nil
		}}
		for _, id := range []string{"a", "b", "c", "d"} {
			_ = orders.Place(t.Context(), id)
		}
		s.Step() // one order, no other
		if len(sold) != 1 {
			t.Errorf("after one step %q", sold)
		}
		s.Run() // the rest, with its retries
		if stats := s.Engine.Stats(); len(sold) != 2 || stats.Failed != 2 || stats.Retried != 6 {
			t.Errorf("sold %q: %+v", sold, stats)
		}
	})
}

// Every line of Go that the guide shows is one of this file, in the same order.
func TestGuideShowsTestedLines(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			t.Skipf("%s is not here: the module is used outside its repository; in a clone of that: go test ./core/coretest", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	guide, tested := read(filepath.Join("..", "..", "docs", "testing.md")), read("orders_test.go")
	blocks := strings.Split(guide, "```go\n")[1:]
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		if !strings.Contains(tested, block) {
			t.Errorf("not in orders_test.go:\n%s", block)
		}
	}
	if len(blocks) < 5 {
		t.Errorf("the guide has %d blocks of Go", len(blocks))
	}
}
