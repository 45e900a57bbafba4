module github.com/uptutu/goman/docs

go 1.26.0

require (
	github.com/alitto/pond/v2 v2.7.1
	github.com/google/go-cmp v0.7.0
	github.com/panjf2000/ants/v2 v2.12.1
	github.com/uptutu/goman/core v0.1.0
	github.com/uptutu/goman/scheduler v0.1.0
	github.com/vbauerster/mpb/v8 v8.16.2
	go.uber.org/goleak v1.3.0
	golang.org/x/term v0.47.0
)

require (
	github.com/VividCortex/ewma v1.2.0 // indirect
	github.com/acarl005/stripansi v0.0.0-20180116102854-5a71ef0e047d // indirect
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/mattn/go-runewidth v0.0.30 // indirect
	github.com/netresearch/go-cron v0.9.1 // indirect
	github.com/uptutu/goman/queue v0.1.0 // indirect
	github.com/vbauerster/cupwriter v0.0.5 // indirect
	golang.org/x/sync v0.13.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace (
	github.com/uptutu/goman/core => ../core
	github.com/uptutu/goman/queue => ../queue
	github.com/uptutu/goman/scheduler => ../scheduler
	github.com/uptutu/goman/scheduler/schedulertest => ../scheduler/schedulertest
)
