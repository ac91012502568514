{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.operatorName" -}}{{ include "weir.fullname" . }}-operator{{- end -}}

{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selectorLabels" . }}
app.kubernetes.io/part-of: weir
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "weir.image" -}}
{{- $name := .Values.image.repository -}}
{{- if .Values.image.registry -}}{{- $name = printf "%s/%s" .Values.image.registry $name -}}{{- end -}}
{{- if .Values.image.digest -}}{{ $name }}@{{ .Values.image.digest }}{{- else -}}{{ $name }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end -}}

{{- define "weir.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "weir.operatorName" .) .Values.serviceAccount.name }}{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{- define "weir.quickstart.redis" -}}{{ include "weir.fullname" . }}-redis{{- end -}}
{{- define "weir.quickstart.s3" -}}{{ include "weir.fullname" . }}-s3{{- end -}}
{{- define "weir.quickstart.endpoint" -}}http://{{ include "weir.quickstart.s3" . }}.{{ .Release.Namespace }}.svc:7070{{- end -}}

{{/* Storage of jobs that name none: the user's, else the quickstart's. */}}
{{- define "weir.storage" -}}
{{- if .Values.defaults.storage -}}
{{ toYaml .Values.defaults.storage }}
{{- else if .Values.quickstart.enabled -}}
s3:
  bucket: weir
  endpoint: {{ include "weir.quickstart.endpoint" . }}
  region: {{ .Values.quickstart.s3.region }}
  forcePathStyle: true
  credentialsSecret: {{ include "weir.quickstart.s3" . }}
{{- end -}}
{{- end -}}

{{- define "weir.redis" -}}
{{- if .Values.defaults.redis -}}
{{ toYaml .Values.defaults.redis }}
{{- else if .Values.quickstart.enabled -}}
url: redis://{{ include "weir.quickstart.redis" . }}.{{ .Release.Namespace }}.svc:6379
{{- end -}}
{{- end -}}

{{/* The operator's configuration, operator/config.ts. */}}
{{- define "weir.config" -}}
{{- $defaults := dict "image" (default (include "weir.image" .) .Values.defaults.image) "resources" .Values.defaults.resources "env" .Values.defaults.env -}}
{{- $_ := set $defaults "imagePullSecrets" (default .Values.imagePullSecrets .Values.defaults.imagePullSecrets) -}}
{{- with include "weir.storage" . | fromYaml -}}{{- $_ := set $defaults "storage" . -}}{{- end -}}
{{- with include "weir.redis" . | fromYaml -}}{{- $_ := set $defaults "redis" . -}}{{- end -}}
{{- $config := dict "logLevel" .Values.logLevel "watchNamespaces" .Values.watchNamespaces "defaults" $defaults -}}
{{- $_ := set $config "lease" (dict "name" (include "weir.operatorName" .)) -}}
{{- $_ := set $config "tokenKeySecret" (include "weir.tokenKeySecret" .) -}}
{{- if .Values.clusterId -}}{{- $_ := set $config "clusterId" .Values.clusterId -}}{{- end -}}
{{- mergeOverwrite $config (deepCopy .Values.operator.extraConfig) | toPrettyJson -}}
{{- end -}}

{{- define "weir.tokenKeySecret" -}}{{ include "weir.operatorName" . }}-token-key{{- end -}}

{{/* Secrets of the release's namespace that the operator reads. */}}
{{- define "weir.readSecrets" -}}
{{- $names := list (include "weir.tokenKeySecret" .) -}}
{{- $storage := include "weir.storage" . | fromYaml -}}
{{- $redis := include "weir.redis" . | fromYaml -}}
{{- with ($storage.s3 | default dict).credentialsSecret -}}{{- $names = append $names . -}}{{- end -}}
{{- with $redis.credentialsSecret -}}{{- $names = append $names . -}}{{- end -}}
{{ toYaml $names }}
{{- end -}}

{{/* For pods of Weir's own image, which names its user: a platform that assigns users may give another. */}}
{{- define "weir.ownPodSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "weir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "weir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
