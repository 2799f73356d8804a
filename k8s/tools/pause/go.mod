module synaug/k8s/tools/pause

go 1.25
