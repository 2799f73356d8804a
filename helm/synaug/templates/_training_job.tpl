{{- /* The PyTorchJob that the launcher starts from, as `make render` wrote it, with the chart's values in it, as YAML. */ -}}
{{- define "synaug.trainingJob" -}}
{{- $job := .Files.Get "files/training-job.yaml" | fromYaml -}}
{{- with $job.Error -}}{{- fail (printf "files/training-job.yaml: %s" .) -}}{{- end -}}
{{- $training := .Values.training -}}
{{- $pod := include "synaug.pod" (dict "root" . "kind" "worker") | fromYaml -}}
{{- $_ := set $job.spec "nprocPerNode" ($training.processesPerWorker | toString) -}}
{{- $_ := set $job.spec.elasticPolicy "minReplicas" $training.workers -}}
{{- $_ := set $job.spec.elasticPolicy "maxReplicas" $training.workers -}}
{{- $_ := set $job.spec.runPolicy "activeDeadlineSeconds" $pod.deadlineSeconds -}}
{{- $worker := $job.spec.pytorchReplicaSpecs.Worker -}}
{{- $_ := set $worker "replicas" $training.workers -}}
{{- $metadata := $worker.template.metadata | default dict -}}
{{- range $field := list "labels" "annotations" -}}
{{- with merge (index $metadata $field | default dict) (index $pod $field) -}}{{- $_ := set $metadata $field . -}}{{- end -}}
{{- end -}}
{{- $_ := set $worker.template "metadata" $metadata -}}
{{- $spec := $worker.template.spec -}}
{{- $_ := set $spec "serviceAccountName" "synaug-stage" -}}
{{- $_ := set $spec "automountServiceAccountToken" false -}}
{{- $_ := set $spec "tolerations" $pod.tolerations -}}
{{- with $pod.nodeSelector -}}{{- $_ := set $spec "nodeSelector" . -}}{{- end -}}
{{- with .Values.imagePullSecrets -}}{{- $_ := set $spec "imagePullSecrets" . -}}{{- end -}}
{{- $_ := set $spec "volumes" (include "synaug.byName" (list $spec.volumes $pod.volumes) | fromJsonArray) -}}
{{- $containers := list -}}
{{- range $container := $spec.containers -}}
{{- $arguments := dict "root" $ "kind" "worker" "container" $container -}}
{{- $containers = append $containers (include "synaug.container" $arguments | fromJson) -}}
{{- end -}}
{{- $_ := set $spec "containers" $containers -}}
{{- toYaml $job -}}
{{- end -}}

{{- /* Named by its content: a run that goes on while the chart is upgraded keeps the job it began with. */ -}}
{{- define "synaug.trainingJobName" -}}
synaug-training-job-{{ include "synaug.trainingJob" . | sha256sum | trunc 8 }}
{{- end -}}
