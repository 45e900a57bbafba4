module github.com/uptutu/goman/scheduler/schedulertest

go 1.26.0

require (
	github.com/uptutu/goman/core v0.1.0
	go.uber.org/goleak v1.3.0
)

replace github.com/uptutu/goman/core => ../../core
