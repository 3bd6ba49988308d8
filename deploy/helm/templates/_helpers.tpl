{{- define "gatehouse.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "gatehouse.selector" -}}
app.kubernetes.io/name: gatehouse
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gatehouse.labels" -}}
{{ include "gatehouse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The configuration file. Secrets stay in their files; `config` may set everything else. */}}
{{- define "gatehouse.configuration" -}}
{{- $secrets := "/etc/gatehouse/secrets" -}}
{{- $master := list (dict "file" (printf "%s/%s" $secrets .Values.secret.masterKey)) -}}
{{- with .Values.secret.previousMasterKey -}}
{{- $master = append $master (dict "file" (printf "%s/%s" $secrets .)) -}}
{{- end -}}
{{- $own := dict
  "issuer" .Values.issuer
  "listen" (dict "host" "0.0.0.0" "port" 3000)
  "trustProxy" .Values.trustProxy
  "masterKey" $master
  "stores" (dict
    "artifacts" (dict "file" (printf "%s/%s" $secrets .Values.secret.artifactsUrl))
    "directory" (dict "file" (printf "%s/%s" $secrets .Values.secret.directoryUrl)))
-}}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $own) -}}
{{- end -}}
