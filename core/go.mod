module github.com/uptutu/goman/core

go 1.26.0
