{{- /* GPUs of a kind of pod (root, kind); empty: none. */ -}}
{{- define "synaug.gpus" -}}
{{- $values := .root.Values -}}
{{- $own := index $values.pods .kind | default dict -}}
{{- $gpus := eq .kind "worker" | ternary $values.training.processesPerWorker ($own.gpus | default 0) | int -}}
{{- if and $values.gpu.resource $gpus -}}{{- $gpus -}}{{- end -}}
{{- end -}}

{{- /* The runtime class of a kind of pod (root, kind); empty: the cluster's default. */ -}}
{{- define "synaug.runtimeClass" -}}
{{- if include "synaug.gpus" . -}}{{- .root.Values.gpu.runtimeClass -}}{{- end -}}
{{- end -}}

{{- /*
What the values say about one kind of pod (root, kind), as YAML: image, resources, env, volumes, volumeMounts, nodeSelector, tolerations, labels,
annotations, deadlineSeconds. `pods.default`, then `pods.KIND`; see values.yaml.
*/ -}}
{{- define "synaug.pod" -}}
{{- $values := .root.Values -}}
{{- $default := $values.pods.default -}}
{{- $own := index $values.pods .kind | default dict -}}
{{- $both := mergeOverwrite (deepCopy $default) (deepCopy $own) -}}
{{- $environment := include "synaug.environment" . | fromYaml -}}
{{- $gpus := include "synaug.gpus" . | int -}}
{{- $resources := $both.resources | default dict -}}
{{- $tolerations := concat ($default.tolerations | default list) ($own.tolerations | default list) -}}
{{- $selector := deepCopy ($default.nodeSelector | default dict) -}}
{{- if $gpus -}}
{{- $resources = merge (dict "requests" (dict $values.gpu.resource $gpus) "limits" (dict $values.gpu.resource $gpus)) $resources -}}
{{- $selector = mergeOverwrite $selector (deepCopy $values.gpu.nodeSelector) -}}
{{- $tolerations = concat $tolerations $values.gpu.tolerations -}}
{{- end -}}
{{- $selector = mergeOverwrite $selector (deepCopy ($own.nodeSelector | default dict)) -}}
{{- /* A lost node is given up after a minute instead of five; what the pod finished is safe in the store. */ -}}
{{- range $condition := list "not-ready" "unreachable" -}}
{{- $toleration := dict "key" (print "node.kubernetes.io/" $condition) "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" 60 -}}
{{- $tolerations = append $tolerations $toleration -}}
{{- end -}}
{{- /* An autoscaler that tidies up would throw away minutes of GPU work; the launcher's end would take its training along. */ -}}
{{- $undisturbed := dict "cluster-autoscaler.kubernetes.io/safe-to-evict" "false" "karpenter.sh/do-not-disrupt" "true" -}}
{{- range $quantities := $resources -}}
{{- range $name, $quantity := $quantities -}}{{- $_ := set $quantities $name (toString $quantity) -}}{{- end -}}{{- /* Argo's schema: strings */ -}}
{{- end -}}
image: {{ include "synaug.image" . }}
deadlineSeconds: {{ mulf $both.deadlineHours 3600 | int }}
resources: {{- toJson $resources | nindent 2 }}
nodeSelector: {{- toJson $selector | nindent 2 }}
tolerations: {{- toJson $tolerations | nindent 2 }}
labels: {{- toJson ($both.labels | default dict) | nindent 2 }}
annotations: {{- toJson (merge (deepCopy ($both.annotations | default dict)) $undisturbed) | nindent 2 }}
{{- range $field := list "env" "volumes" "volumeMounts" }}
{{ $field }}: {{ include "synaug.byName" (list (index $environment $field) (index $default $field) (index $own $field)) }}
{{- end }}
{{- end -}}

{{- /* A container (root, kind, container), as JSON: what the values say merged into what was rendered. */ -}}
{{- define "synaug.container" -}}
{{- $pod := include "synaug.pod" . | fromYaml -}}
{{- $container := deepCopy .container -}}
{{- $_ := set $container "image" $pod.image -}}
{{- $_ := set $container "imagePullPolicy" .root.Values.image.pullPolicy -}}
{{- $_ := set $container "resources" $pod.resources -}}
{{- range $field := list "env" "volumeMounts" -}}
{{- $_ := set $container $field (include "synaug.byName" (list (index $container $field) (index $pod $field)) | fromJsonArray) -}}
{{- end -}}
{{- /* `auto` would compute on the CPU, for weeks, where the driver is out of reach. */ -}}
{{- if and (include "synaug.gpus" .) (ne .root.Values.gpu.device "auto") -}}
{{- $_ := set $container "args" (append $container.args (print "compute.device=" .root.Values.gpu.device)) -}}
{{- end -}}
{{- if has .kind (list "prompts" "images" "worker") -}}
{{- $port := dict "name" "metrics" "containerPort" .root.Values.metrics.port -}}
{{- $_ := set $container "ports" (include "synaug.byName" (list $container.ports (list $port)) | fromJsonArray) -}}
{{- end -}}
{{- toJson $container -}}
{{- end -}}

{{- /* A pod's spec or a template (root, kind, spec: rendered), as JSON: what is beside the containers merged into it. */ -}}
{{- define "synaug.scheduling" -}}
{{- $pod := include "synaug.pod" . | fromYaml -}}
{{- $spec := .spec -}}
{{- $_ := set $spec "tolerations" (concat ($spec.tolerations | default list) $pod.tolerations) -}}
{{- with merge $pod.nodeSelector ($spec.nodeSelector | default dict) -}}{{- $_ := set $spec "nodeSelector" . -}}{{- end -}}
{{- with include "synaug.byName" (list $spec.volumes $pod.volumes) | fromJsonArray -}}{{- $_ := set $spec "volumes" . -}}{{- end -}}
{{- toJson $spec -}}
{{- end -}}

{{- /* A pod's metadata (root, kind, metadata: rendered), as JSON. */ -}}
{{- define "synaug.metadata" -}}
{{- $pod := include "synaug.pod" . | fromYaml -}}
{{- $metadata := .metadata | default dict -}}
{{- range $field := list "labels" "annotations" -}}
{{- with merge (index $metadata $field | default dict) (index $pod $field) -}}{{- $_ := set $metadata $field . -}}{{- end -}}
{{- end -}}
{{- toJson $metadata -}}
{{- end -}}
