{{- /* The PyTorchJob that the launcher starts from, as `make render` wrote it, with the chart's values in it, as YAML. */ -}}
{{- define "synaug.trainingJob" -}}
{{- $job := .Files.Get "files/training-job.yaml" | fromYaml -}}
{{- with $job.Error -}}{{- fail (printf "files/training-job.yaml: %s" .) -}}{{- end -}}
{{- $given := dict "root" . "kind" "worker" -}}
{{- $training := .Values.training -}}
{{- $_ := set $job.spec "nprocPerNode" ($training.processesPerWorker | toString) -}}
{{- $_ := set $job.spec.elasticPolicy "minReplicas" $training.workers -}}
{{- $_ := set $job.spec.elasticPolicy "maxReplicas" $training.workers -}}
{{- $worker := $job.spec.pytorchReplicaSpecs.Worker -}}
{{- $_ := set $worker "replicas" $training.workers -}}
{{- $pod := $worker.template -}}
{{- $_ := set $pod "metadata" (include "synaug.metadata" (merge (dict "metadata" $pod.metadata) $given) | fromJson) -}}
{{- $spec := include "synaug.scheduling" (merge (dict "spec" $pod.spec) $given) | fromJson -}}
{{- /* The pod's: the operator's own, runPolicy.activeDeadlineSeconds, counts the hours that workers wait for GPUs. */ -}}
{{- $_ := set $spec "activeDeadlineSeconds" (include "synaug.pod" $given | fromYaml).deadlineSeconds -}}
{{- with include "synaug.runtimeClass" $given -}}{{- $_ := set $spec "runtimeClassName" . -}}{{- end -}}
{{- with .Values.imagePullSecrets -}}{{- $_ := set $spec "imagePullSecrets" . -}}{{- end -}}
{{- $containers := list -}}
{{- range $container := $spec.containers -}}
{{- $containers = append $containers (include "synaug.container" (merge (dict "container" $container) $given) | fromJson) -}}
{{- end -}}
{{- $_ := set $spec "containers" $containers -}}
{{- $_ := set $pod "spec" $spec -}}
{{- toYaml $job -}}
{{- end -}}

{{- /* Named by its content: a run that goes on while the chart is upgraded keeps the job it began with. */ -}}
{{- define "synaug.trainingJobName" -}}
synaug-training-job-{{ include "synaug.trainingJob" . | sha256sum | trunc 8 }}
{{- end -}}
