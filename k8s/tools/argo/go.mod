module synaug/k8s/tools/argo

go 1.25

tool (
	github.com/argoproj/argo-workflows/v3/cmd/argoexec
	github.com/argoproj/argo-workflows/v3/cmd/workflow-controller
)

require github.com/argoproj/argo-workflows/v3 v3.7.18

replace github.com/olekukonko/tablewriter => github.com/olekukonko/tablewriter v0.0.5
