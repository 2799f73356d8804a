{{- /* Environment, volumes and mounts that the values outside `pods` give one kind of pod (root, kind), as YAML. */ -}}
{{- define "synaug.environment" -}}
{{- $values := .root.Values -}}
{{- $loads := has .kind (list "plan" "prompts" "images" "preview" "worker" "evaluate" "test") }}{{/* reads models, or asks the hub for their revision */}}
env:
  - {name: SYNAUG_STORE, value: {{ $values.store.url | quote }}}
  {{- with $values.store.endpoint }}
  - {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
  {{- end }}
  {{- with $values.store.region }}
  - {name: AWS_REGION, value: {{ . | quote }}}
  - {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
  {{- end }}
  {{- with $values.store.secret }}
  {{- $keys := $values.store.secretKeys }}
  - {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $keys.accessKeyId | quote }}}}}
  - {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $keys.secretAccessKey | quote }}}}}
  {{- if $keys.sessionToken }}
  - {name: AWS_SESSION_TOKEN, valueFrom: {secretKeyRef: {name: {{ . | quote }}, key: {{ $keys.sessionToken | quote }}}}}
  {{- end }}
  {{- end }}
  {{- if $values.store.ca.configMap }}
  - {name: AWS_CA_BUNDLE, value: /etc/synaug/ca/{{ $values.store.ca.key }}}
  {{- end }}
  {{- if has .kind (list "prompts" "images" "worker") }}
  - {name: SYNAUG_METRICS_PORT, value: {{ $values.metrics.port | toString | quote }}}
  {{- end }}
  {{- if and .root.Values.llm.keySecret.name (has .kind (list "plan" "prompts" "preview")) }}
  {{- $secret := $values.llm.keySecret }}
  - name: {{ $secret.variable }}
    valueFrom: {secretKeyRef: {name: {{ $secret.name | quote }}, key: {{ $secret.key | quote }}}}
  {{- end }}
  {{- if $loads }}
  - {name: HF_HOME, value: /tmp/huggingface}
  {{- if $values.models.claim }}
  - {name: HF_HUB_CACHE, value: {{ $values.models.path }}/hub}
  {{- if eq .kind "test" }}
  - {name: SYNAUG_MODELS, value: {{ $values.models.path | quote }}}
  {{- end }}
  {{- end }}
  {{- if or $values.models.offline $values.models.claim }}{{/* the hub's newest revision could not be written to the claim */}}
  - {name: HF_HUB_OFFLINE, value: "1"}
  {{- end }}
  {{- if $values.models.tokenSecret.name }}
  - name: HF_TOKEN
    valueFrom: {secretKeyRef: {name: {{ $values.models.tokenSecret.name | quote }}, key: {{ $values.models.tokenSecret.key | quote }}}}
  {{- end }}
  {{- end }}
{{- $claim := and $loads $values.models.claim }}
volumes:
  {{- if $claim }}
  - {name: models, persistentVolumeClaim: {claimName: {{ $values.models.claim | quote }}, readOnly: true}}
  {{- end }}
  {{- if $values.store.ca.configMap }}
  - {name: store-ca, configMap: {name: {{ $values.store.ca.configMap | quote }}}}
  {{- end }}
  {{- if eq .kind "worker" }}
  - {name: shared-memory, emptyDir: {medium: Memory, sizeLimit: {{ $values.training.sharedMemory | quote }}}}
  {{- end }}
  {{- if eq .kind "train" }}
  - {name: training-job, configMap: {name: {{ include "synaug.trainingJobName" .root }}}}
  {{- end }}
volumeMounts:
  {{- if $claim }}
  - {name: models, mountPath: {{ $values.models.path | quote }}, readOnly: true}
  {{- end }}
  {{- if $values.store.ca.configMap }}
  - {name: store-ca, mountPath: /etc/synaug/ca, readOnly: true}
  {{- end }}
  {{- if eq .kind "worker" }}
  - {name: shared-memory, mountPath: /dev/shm}
  {{- end }}
  {{- if eq .kind "train" }}
  - {name: training-job, mountPath: /etc/synaug/training-job.yaml, subPath: training-job.yaml, readOnly: true}
  {{- end }}
{{- end -}}
