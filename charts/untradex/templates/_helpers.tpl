{{/* What everything of this release is called after. */}}
{{- define "untradex.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 44 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 44 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Deployment, ServiceAccount, Lease, roles. */}}
{{- define "untradex.operator" -}}
{{ include "untradex.fullname" . }}-operator
{{- end -}}

{{- define "untradex.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "untradex.operator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name an account that exists, or set serviceAccount.create to true" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Selects the operator's pods; never changes for a release. */}}
{{- define "untradex.selector" -}}
app.kubernetes.io/name: untradex-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "untradex.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: untradex
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "untradex.labels" -}}
{{ include "untradex.selector" . }}
{{ include "untradex.commonLabels" . }}
{{- end -}}

{{/* Pods that look once and end; the operator's Deployment must not select them. */}}
{{- define "untradex.checkLabels" -}}
app.kubernetes.io/name: untradex-check
app.kubernetes.io/instance: {{ .Release.Name }}
{{ include "untradex.commonLabels" . }}
{{- end -}}

{{- define "untradex.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag -}}
{{- .Values.image.repository -}}:{{- $tag -}}
{{- if .Values.image.digest -}}@{{ .Values.image.digest }}{{- end -}}
{{- end -}}

{{- define "untradex.pullSecrets" -}}
{{- with .Values.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The "restricted" profile of pod security. */}}
{{- define "untradex.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "untradex.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A pod that runs files/check.mjs once. Takes a dict: root, what. */}}
{{- define "untradex.checkPod" -}}
serviceAccountName: {{ include "untradex.serviceAccount" .root }}
# It asks the API server.
automountServiceAccountToken: true
restartPolicy: Never
{{- include "untradex.pullSecrets" .root }}
securityContext:
  {{- include "untradex.podSecurity" .root | nindent 2 }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: check
    image: {{ include "untradex.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: [node]
    args:
      - --input-type=module
      - --eval
      - {{ .root.Files.Get "files/check.mjs" | toJson }}
      - "--"
      - {{ .what }}
    env:
      - name: NODE_EXTRA_CA_CERTS
        value: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
      - name: CHECK
        value: {{ include "untradex.check" .root | fromYaml | toJson | quote }}
    securityContext:
      {{- include "untradex.containerSecurity" .root | nindent 6 }}
    resources:
      requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 16Mi}
      limits: {memory: 256Mi, ephemeral-storage: 64Mi}
{{- end -}}

{{/* What the check needs to know of the release. */}}
{{- define "untradex.check" -}}
release: {{ .Release.Name }}
namespace: {{ .Release.Namespace }}
watchNamespaces: {{ toJson .Values.watchNamespaces }}
lease: {{ include "untradex.operator" . }}
leaseSeconds: {{ .Values.leaderElection.leaseSeconds }}
version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{/* The namespaces where the admission policies hold; empty: all. */}}
{{- define "untradex.policyScope" -}}
{{- with .Values.watchNamespaces }}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ toJson . }}
{{- end }}
{{- end -}}
