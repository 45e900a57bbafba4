module github.com/uptutu/goman/docs/benchmarks

go 1.26.0

require (
	github.com/Workiva/go-datastructures v1.1.7
	github.com/alitto/pond/v2 v2.7.1
	github.com/bytedance/gopkg v0.1.4
	github.com/gammazero/workerpool v1.3.0
	github.com/google/go-cmp v0.7.0
	github.com/panjf2000/ants/v2 v2.12.1
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/samber/lo v1.53.0
	github.com/sourcegraph/conc v0.3.0
	github.com/tidwall/btree v1.8.2
	github.com/uptutu/goman/core v0.1.0
	github.com/uptutu/goman/queue v0.1.0
	github.com/uptutu/goman/scheduler v0.1.0
	github.com/zyedidia/generic v1.2.1
	golang.org/x/sync v0.24.0
	gonum.org/v1/plot v0.17.0
	pgregory.net/rapid v1.3.0
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/gammazero/deque v1.2.2 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/netresearch/go-cron v0.9.1 // indirect
	github.com/segmentio/fasthash v1.0.3 // indirect
	go.uber.org/atomic v1.7.0 // indirect
	go.uber.org/multierr v1.9.0 // indirect
	golang.org/x/exp v0.0.0-20220218215828-6cf2b201936e // indirect
	golang.org/x/image v0.30.0 // indirect
	golang.org/x/sys v0.30.0 // indirect
	golang.org/x/text v0.28.0 // indirect
)

replace github.com/uptutu/goman/queue => ../../queue

replace github.com/uptutu/goman/scheduler => ../../scheduler

replace github.com/uptutu/goman/scheduler/schedulertest => ../../scheduler/schedulertest

replace github.com/uptutu/goman/core => ../../core
