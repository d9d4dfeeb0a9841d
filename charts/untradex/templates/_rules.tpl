{{/*
What the operator may do where sessions are: what its code does, and no more. Server-side apply is `patch`, and `create`
where nothing is yet. A test holds this table to the API.
*/}}
{{- define "untradex.operatorRules" -}}
- apiGroups: [untradex.io]
  resources: [examsessions]
  verbs: [get, list, watch, patch]
- apiGroups: [untradex.io]
  resources: [examsessions/status]
  verbs: [patch]
{{- if .Values.adminApi.enabled }}
# The admin API writes spec.phase for people who may do that.
- apiGroups: [untradex.io]
  resources: [examsessions/finalize]
  verbs: [update]
{{- end }}
# For ownerReferences that block their owner's end.
- apiGroups: [untradex.io]
  resources: [examsessions/finalizers]
  verbs: [update]
# Identity, configurations, attempts, and rosters that sessions name.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch, update, delete]
# Passwords and keys of sessions, each by its name: it never lists Secrets, nor watches them. They go with their session.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, update]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, create, patch, delete]
# Pods are made by their workloads; a shard's is deleted to take a new configuration.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, update, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, create, patch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
