{{- define "network-observer.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The name of what is made: at most 63 characters, as names of services may be. */}}
{{- define "network-observer.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ .Values.fullnameOverride | default $release | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "network-observer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "network-observer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "network-observer.labels" -}}
{{ include "network-observer.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: skupper-network-observer
{{- if not .Values.skipManagementLabels }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Metadata of what has no annotations of its own. */}}
{{- define "network-observer.metadata" -}}
labels:
  {{- include "network-observer.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "network-observer.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "network-observer.clientSecret" -}}
{{ .Values.router.certificate.nameOverride | default (printf "%s-client" (include "network-observer.fullname" .)) }}
{{- end }}

{{- define "network-observer.tlsSecret" -}}
{{ .Values.tls.secretName | default (printf "%s-tls" (include "network-observer.fullname" .)) }}
{{- end }}

{{- define "network-observer.usersSecret" -}}
{{ .Values.auth.basic.secretName | default (printf "%s-auth" (include "network-observer.fullname" .)) }}
{{- end }}

{{- /* The chart of the network observer documents cookieSecretName, and reads secretName. */}}
{{- define "network-observer.cookieSecret" -}}
{{- $named := .Values.auth.openshift.cookieSecretName | default .Values.auth.openshift.secretName -}}
{{ $named | default (printf "%s-session" (include "network-observer.fullname" .)) }}
{{- end }}

{{- define "network-observer.serviceAccount" -}}
{{ .Values.auth.openshift.serviceAccount.nameOverride | default (include "network-observer.fullname" .) }}
{{- end }}

{{- define "network-observer.setup" -}}
{{ printf "%s-setup" (include "network-observer.fullname" .) }}
{{- end }}

{{- /* Annotations of what is there for the job that makes a secret, and no longer. */}}
{{- define "network-observer.setupMetadata" -}}
labels:
  {{- include "network-observer.labels" . | nindent 2 }}
annotations:
  helm.sh/hook: pre-install,pre-upgrade
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  {{- with .Values.commonAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* Resources of a container, or those that are for all of them. */}}
{{- define "network-observer.resources" -}}
{{- with .own | default .all }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* OpenShift has a range of users for each namespace, and refuses others. */}}
{{- define "network-observer.isOpenShift" -}}
{{- if or (eq .Values.auth.strategy "openshift") .Values.tls.openshiftIssued .Values.route.enabled (.Capabilities.APIVersions.Has "route.openshift.io/v1") -}}
true
{{- end }}
{{- end }}
