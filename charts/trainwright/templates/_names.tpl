{{/* Labels of every object; without those of Helm they are the labels in manifests/. */}}
{{- define "trainwright.labels" -}}
{{ include "trainwright.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "trainwright.selector" -}}
app.kubernetes.io/name: trainwright
app.kubernetes.io/component: operator
{{- end }}

{{/* An image: (list $ .Values.….image). */}}
{{- define "trainwright.image" -}}
{{- $root := index . 0 }}{{ $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The operator's account, as a subject of bindings. */}}
{{- define "trainwright.subjects" -}}
subjects:
- kind: ServiceAccount
  name: trainwright-operator
  namespace: {{ .Release.Namespace }}
{{- end }}
