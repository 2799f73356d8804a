module synaug/k8s/tools/coredns

go 1.25

tool github.com/coredns/coredns

require github.com/coredns/coredns v1.12.4
