{{- /* Labels of every object of the chart. */ -}}
{{- define "synaug.labels" -}}
app.kubernetes.io/name: synaug
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- /* The image of one kind of pod (root, kind): the small one, where there is one, for the kinds that never import torch. */ -}}
{{- define "synaug.image" -}}
{{- $image := .root.Values.image -}}
{{- if and $image.control.repository (has .kind (list "index" "train" "report" "finish" "fetch" "test")) -}}
{{- $image = $image.control -}}
{{- end -}}
{{- $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- /* Several lists of named things (env, volumes, ...) as one JSON list; a later one of a name takes the earlier one's place. */ -}}
{{- define "synaug.byName" -}}
{{- $names := list -}}
{{- $items := dict -}}
{{- range $list := . -}}
{{- range $item := $list -}}
{{- $key := $item.mountPath | default $item.name -}}
{{- if not (hasKey $items $key) -}}{{- $names = append $names $key -}}{{- end -}}
{{- $_ := set $items $key $item -}}
{{- end -}}
{{- end -}}
{{- $result := list -}}
{{- range $names -}}{{- $result = append $result (index $items .) -}}{{- end -}}
{{- toJson $result -}}
{{- end -}}
