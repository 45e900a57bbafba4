module github.com/uptutu/goman/queue

go 1.26.0
