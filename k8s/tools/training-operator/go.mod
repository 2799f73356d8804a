module synaug/k8s/tools/training-operator

go 1.25

tool github.com/kubeflow/training-operator/cmd/training-operator.v1

require github.com/kubeflow/training-operator v1.9.3
