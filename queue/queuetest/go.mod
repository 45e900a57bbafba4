module github.com/uptutu/goman/queue/queuetest

go 1.26.0

require github.com/uptutu/goman/queue v0.1.0

replace github.com/uptutu/goman/queue => ../
