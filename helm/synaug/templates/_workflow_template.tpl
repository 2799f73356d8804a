{{- /*
A WorkflowTemplate that `make render` wrote (root, file), as YAML with the chart's values in it: by the names of its templates, which are the kinds of
pods in values.yaml. It is parsed, never rendered, so that Argo's {{ }} stay as they are.
*/ -}}
{{- define "synaug.workflowTemplate" -}}
{{- $values := .root.Values -}}
{{- $object := .root.Files.Get .file | fromYaml -}}
{{- with $object.Error -}}{{- fail (printf "%s: %s" $.file .) -}}{{- end -}}
{{- $annotations := dict "synaug/argo-namespace" $values.argo.namespace -}}
{{- with $values.argo.uiUrl -}}{{- $_ := set $annotations "synaug/ui-url" . -}}{{- end -}}
{{- $metadata := $object.metadata -}}
{{- $_ := set $metadata "labels" (merge (include "synaug.labels" .root | fromYaml) ($metadata.labels | default dict)) -}}
{{- $_ := set $metadata "annotations" (merge $annotations ($metadata.annotations | default dict)) -}}
{{- $spec := $object.spec -}}
{{- with $values.imagePullSecrets -}}{{- $_ := set $spec "imagePullSecrets" . -}}{{- end -}}
{{- $_ := set $spec "podSpecPatch" (include "synaug.podSpecPatch" .root) -}}
{{- $keep := $values.argo.keepHours -}}
{{- $seconds := dict "secondsAfterSuccess" (mulf $keep.succeeded 3600 | int) "secondsAfterFailure" (mulf $keep.failed 3600 | int) -}}
{{- $_ := set $spec "ttlStrategy" $seconds -}}
{{- $templates := list -}}
{{- range $template := $spec.templates -}}
{{- $arguments := dict "root" $.root "kind" $template.name "template" $template -}}
{{- $templates = append $templates (include "synaug.template" $arguments | fromJson) -}}
{{- end -}}
{{- $_ := set $spec "templates" $templates -}}
{{- toYaml $object -}}
{{- end -}}

{{- /* One template (root, kind: its name, template), as JSON. */ -}}
{{- define "synaug.template" -}}
{{- $values := .root.Values -}}
{{- $template := .template -}}
{{- if $template.container -}}
{{- if not (hasKey $values.pods .kind) -}}{{- fail (printf "files/: template %q is no kind of pod in values.yaml" .kind) -}}{{- end -}}
{{- $given := dict "root" .root "kind" .kind -}}
{{- $container := include "synaug.container" (merge (dict "container" $template.container) $given) | fromJson -}}
{{- if eq .kind "plan" -}}
{{- $settings := list -}}
{{- with $values.gpu.pool -}}{{- $settings = append $settings (print "compute.pool=" .) -}}{{- end -}}
{{- with $values.limits.gpus -}}{{- $settings = append $settings (print "compute.gpus=" .) -}}{{- end -}}
{{- $_ := set $container "args" (concat $container.args $settings) -}}
{{- end -}}
{{- $template = include "synaug.scheduling" (merge (dict "spec" $template) $given) | fromJson -}}
{{- $_ := set $template "container" $container -}}
{{- $_ := set $template "metadata" (include "synaug.metadata" (merge (dict "metadata" $template.metadata) $given) | fromJson) -}}
{{- $_ := set $template "activeDeadlineSeconds" (include "synaug.pod" $given | fromYaml).deadlineSeconds -}}
{{- with include "synaug.runtimeClass" $given -}}
{{- $_ := set $template "podSpecPatch" (toJson (dict "runtimeClassName" .)) -}}{{- /* no field of Argo's own */ -}}
{{- end -}}
{{- else if and (has .kind (list "shards" "evaluations")) $values.limits.gpus -}}
{{- $_ := set $template "parallelism" $values.limits.gpus -}}
{{- end -}}
{{- toJson $template -}}
{{- end -}}

{{- /*
Argo gives its init and wait containers neither a securityContext nor resources, unless the controller is configured to; a namespace that
enforces *restricted*, or has a quota, would refuse the pods. User and seccomp profile come from the pod. `wait` also reports progress: every
minute, unless its own environment sets another rhythm.
*/ -}}
{{- define "synaug.podSpecPatch" -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- $patch := dict "securityContext" $context "resources" .Values.executor.resources -}}
{{- $often := list (dict "name" "ARGO_PROGRESS_PATCH_TICK_DURATION" "value" "10s") -}}
{{- $wait := merge (dict "name" "wait" "env" $often) $patch -}}
{{- toJson (dict "initContainers" (list (merge (dict "name" "init") $patch)) "containers" (list $wait)) -}}
{{- end -}}
