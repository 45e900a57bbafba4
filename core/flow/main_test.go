package flow_test

import (
	"log/slog"
	"testing"

	"go.uber.org/goleak"

	"github.com/uptutu/goman/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quietly drops what the engine logs.
func quietly() core.Option { return core.WithLogger(slog.New(slog.DiscardHandler)) }
