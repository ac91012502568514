module weir.dev/test/pause

go 1.21
