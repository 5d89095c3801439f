module gohost

go 1.26.0
