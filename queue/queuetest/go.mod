module github.com/uptutu/goman/queue/queuetest

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/gammazero/deque v1.2.3
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/uptutu/goman/queue v0.1.0
	go.uber.org/goleak v1.3.0
	pgregory.net/rapid v1.3.0
)

replace github.com/uptutu/goman/queue => ./..
