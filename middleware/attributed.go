package middleware

import (
	"reflect"
	"time"

	"github.com/uptutu/goman/core"
)

// attributed is a decorated task whose attributes are those of the task within.
type attributed[T any] struct {
	decorated[T]
	task any
}

// Name returns the task's own name, or else its type, as the engine names tasks.
func (a *attributed[T]) Name() string {
	if t, ok := a.task.(core.Named); ok {
		if name := t.Name(); name != "" {
			return name
		}
	}
	return reflect.TypeOf(a.task).String()
}

// Priority returns the task's own priority, or none.
func (a *attributed[T]) Priority() core.Priority {
	if t, ok := a.task.(core.Prioritized); ok {
		return t.Priority()
	}
	return 0
}

// Key returns the task's own key, or "".
func (a *attributed[T]) Key() string {
	if t, ok := a.task.(core.Keyed); ok {
		return t.Key()
	}
	return ""
}

// Tenant returns the task's own tenant, or "".
func (a *attributed[T]) Tenant() string {
	if t, ok := a.task.(core.Tenanted); ok {
		return t.Tenant()
	}
	return ""
}

// Labels returns the task's own labels, or none.
func (a *attributed[T]) Labels() map[string]string {
	if t, ok := a.task.(core.Labeled); ok {
		return t.Labels()
	}
	return nil
}

// Limits returns the task's own limits, or none.
func (a *attributed[T]) Limits() (queue, run time.Duration) {
	if t, ok := a.task.(core.Limited); ok {
		return t.Limits()
	}
	return 0, 0
}
