module synaug/k8s/tools/etcd

go 1.25
