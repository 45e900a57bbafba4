module github.com/uptutu/goman/scheduler

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/netresearch/go-cron v0.9.1
	github.com/uptutu/goman/core v0.1.0
	github.com/uptutu/goman/queue v0.1.0
	go.uber.org/goleak v1.3.0
	pgregory.net/rapid v1.3.0
)

replace (
	github.com/uptutu/goman/core => ../core
	github.com/uptutu/goman/queue => ../queue
)
