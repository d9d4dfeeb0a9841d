{{/*
CEL that the policies share. Objects are asked with `?`, so that a field that is not there is no error: an error would
count as a refusal.
*/}}

{{/* Whether the session in this variable is verified. A status that was restored with another session has another uid. */}}
{{- define "untradex.cel.verified" -}}
{{ . }}.?status.?uid.orValue("") == {{ . }}.metadata.uid && {{ . }}.?status.?conditions.orValue([]).exists(c, c.type == "Verified" && c.status == "True")
{{- end -}}

{{/*
Whether nothing was made for it. The operator puts its finalizer on before it makes anything; a session that waits for
its time is Pending.
*/}}
{{- define "untradex.cel.neverProvisioned" -}}
{{ . }}.?status.?phase.orValue("") == "Pending" || ({{ . }}.?status.?phase.orValue("") == "" && !({{ . }}.metadata.?finalizers.orValue([]).exists(f, f == "untradex.io/session")))
{{- end -}}

{{/* Whether somebody said, by the uid, that this very object may go. */}}
{{- define "untradex.cel.breakGlass" -}}
{{ . }}.metadata.?annotations[?"untradex.io/delete-unverified"].orValue("") == {{ . }}.metadata.uid
{{- end -}}

{{/* A binding. Takes a dict: root, name, and the scope in lines, if any. */}}
{{- define "untradex.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "untradex.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
  {{- if .sessions }}
  # Every session of the namespace that is to be deleted.
  paramRef:
    selector: {}
    parameterNotFoundAction: Allow
  {{- end }}
  {{- with .scope }}
  matchResources:
    {{- . | nindent 4 }}
  {{- end }}
{{- end -}}
