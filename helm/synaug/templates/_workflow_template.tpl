{{- /*
A WorkflowTemplate that `make render` wrote (root, file), as YAML with the chart's values in it: by the names of its templates, which are the kinds of
pods in values.yaml. It is parsed, never rendered, so that Argo's {{ }} stay as they are.
*/ -}}
{{- define "synaug.workflowTemplate" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $object := $root.Files.Get .file | fromYaml -}}
{{- with $object.Error -}}{{- fail (printf "%s: %s" $.file .) -}}{{- end -}}
{{- $annotations := dict "synaug/version" $root.Chart.AppVersion "synaug/argo-namespace" $values.argo.namespace -}}
{{- with $values.argo.uiUrl -}}{{- $_ := set $annotations "synaug/ui-url" . -}}{{- end -}}
{{- $metadata := $object.metadata -}}
{{- $_ := set $metadata "labels" (merge (include "synaug.labels" $root | fromYaml) ($metadata.labels | default dict)) -}}
{{- $_ := set $metadata "annotations" (merge $annotations ($metadata.annotations | default dict)) -}}
{{- $spec := $object.spec -}}
{{- $_ := set $spec "serviceAccountName" "synaug-stage" -}}
{{- $_ := set $spec "automountServiceAccountToken" false -}}
{{- $_ := set $spec "executor" (dict "serviceAccountName" "synaug-executor") -}}
{{- $_ := set $spec "podSpecPatch" (include "synaug.podSpecPatch" $root) -}}
{{- $_ := set $spec "podGC" (dict "strategy" "OnPodSuccess") -}}{{- /* failed ones stay, to be looked at */ -}}
{{- $keep := $values.argo.keepHours -}}
{{- $seconds := dict "secondsAfterSuccess" (mulf $keep.succeeded 3600 | int) "secondsAfterFailure" (mulf $keep.failed 3600 | int) -}}
{{- $_ := set $spec "ttlStrategy" $seconds -}}
{{- with $values.imagePullSecrets -}}{{- $_ := set $spec "imagePullSecrets" . -}}{{- end -}}
{{- $templates := list -}}
{{- range $template := $spec.templates -}}
{{- $templates = append $templates (include "synaug.template" (dict "root" $root "template" $template) | fromJson) -}}
{{- end -}}
{{- $_ := set $spec "templates" $templates -}}
{{- toYaml $object -}}
{{- end -}}

{{- /* One template of it (root, template), as JSON. */ -}}
{{- define "synaug.template" -}}
{{- $template := .template -}}
{{- $kind := $template.name -}}
{{- $values := .root.Values -}}
{{- if $template.container -}}
{{- if not (hasKey $values.pods $kind) -}}{{- fail (printf "files/: template %q is no kind of pod in values.yaml" $kind) -}}{{- end -}}
{{- $pod := include "synaug.pod" (dict "root" .root "kind" $kind) | fromYaml -}}
{{- $container := include "synaug.container" (dict "root" .root "kind" $kind "container" $template.container) | fromJson -}}
{{- if eq $kind "plan" -}}
{{- $settings := list -}}
{{- with $values.gpu.pool -}}{{- $settings = append $settings (print "compute.pool=" .) -}}{{- end -}}
{{- with $values.limits.gpus -}}{{- $settings = append $settings (print "compute.gpus=" .) -}}{{- end -}}
{{- $_ := set $container "args" (concat $container.args $settings) -}}
{{- end -}}
{{- $_ := set $template "container" $container -}}
{{- $_ := set $template "volumes" (include "synaug.byName" (list $template.volumes $pod.volumes) | fromJsonArray) -}}
{{- $_ := set $template "activeDeadlineSeconds" $pod.deadlineSeconds -}}
{{- $_ := set $template "tolerations" $pod.tolerations -}}
{{- with $pod.nodeSelector -}}{{- $_ := set $template "nodeSelector" . -}}{{- end -}}
{{- $metadata := $template.metadata | default dict -}}
{{- range $field := list "labels" "annotations" -}}
{{- with merge (index $metadata $field | default dict) (index $pod $field) -}}{{- $_ := set $metadata $field . -}}{{- end -}}
{{- end -}}
{{- $_ := set $template "metadata" $metadata -}}
{{- if has $kind (list "train" "finish") -}}
{{- $_ := set $template "serviceAccountName" "synaug-launcher" -}}
{{- $_ := set $template "automountServiceAccountToken" true -}}
{{- end -}}
{{- else if and (has $kind (list "shards" "evaluations")) $values.limits.gpus -}}
{{- $_ := set $template "parallelism" $values.limits.gpus -}}
{{- end -}}
{{- toJson $template -}}
{{- end -}}

{{- /*
Argo gives its init and wait containers neither a securityContext nor resources, unless the controller is configured to; a namespace that
enforces *restricted* would refuse the pods.
*/ -}}
{{- define "synaug.podSpecPatch" -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true -}}
{{- $_ := set $context "capabilities" (dict "drop" (list "ALL")) -}}
{{- $_ := set $context "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- $patch := dict "securityContext" $context "resources" .Values.executor.resources -}}
{{- $init := merge (dict "name" "init") $patch -}}
{{- $wait := merge (dict "name" "wait") $patch -}}
{{- toJson (dict "initContainers" (list $init) "containers" (list $wait)) -}}
{{- end -}}
