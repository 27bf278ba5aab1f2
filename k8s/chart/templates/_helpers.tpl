{{- define "optsched.name" -}}
{{- if contains "optsched" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-optsched" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "optsched.selector" -}}
app.kubernetes.io/name: optsched
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "optsched.labels" -}}
{{ include "optsched.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "optsched.account" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "optsched.name" . }}
{{- else }}{{ fail "serviceAccount.create is false: give serviceAccount.name" }}{{ end }}
{{- end }}

{{- define "optsched.subject" -}}
- kind: ServiceAccount
  name: {{ include "optsched.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "optsched.image" -}}
{{- $image := index . 0 }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default (index . 1) }}{{ end }}
{{- end }}

{{- define "optsched.hasExtender" -}}
{{- if has .Values.deployment (list "ControlPlane" "SecondScheduler") }}yes{{ end }}
{{- end }}

{{- define "optsched.acts" -}}
{{- $mode := .Values.config.mode | default "Advisory" }}
{{- if or (eq .Values.deployment "Gated") (eq .Values.rbac.executor "Always") (and (eq .Values.rbac.executor "Auto") (has $mode (list "DryRun" "Enforce"))) }}yes{{ end }}
{{- end }}

{{- define "optsched.serverSecret" -}}
{{ .Values.tls.serverSecret | default (printf "%s-extender-tls" (include "optsched.name" .)) }}
{{- end }}

{{- define "optsched.clientSecret" -}}
{{ .Values.tls.clientSecret | default (printf "%s-scheduler-tls" (include "optsched.name" .)) }}
{{- end }}

{{- define "optsched.schedulerLease" -}}
{{- if eq .Values.deployment "SecondScheduler" }}{{ .Release.Namespace }}/{{ .Values.scheduler.name }}
{{- else if eq .Values.deployment "ControlPlane" }}{{ .Values.controlPlane.schedulerLease }}{{ end }}
{{- end }}

{{- /* What makes no sense together, in one sentence. */ -}}
{{- define "optsched.check" -}}
{{- $mode := .Values.config.mode | default "Advisory" }}
{{- if and (eq .Values.deployment "Advisory") (has $mode (list "DryRun" "Enforce")) }}
{{- fail (printf "config.mode %s needs a way to steer pods: deployment SecondScheduler, ControlPlane or Gated, not Advisory" $mode) }}
{{- end }}
{{- if and (or (eq .Values.deployment "Gated") (has $mode (list "DryRun" "Enforce"))) (eq .Values.rbac.executor "Never") }}
{{- fail (printf "deployment %s in mode %s needs the right to evict: rbac.executor Auto or Always, not Never" .Values.deployment $mode) }}
{{- end }}
{{- if and (eq .Values.deployment "Gated") .Values.gated.policy (semverCompare "<1.36-0" .Capabilities.KubeVersion.Version) }}
{{- fail "gated.policy needs Kubernetes 1.36: set it to false and put the gate optsched.io/gate into the templates" }}
{{- end }}
{{- if and (eq .Values.deployment "ControlPlane") (eq .Values.tls.source "None") }}
{{- fail "deployment ControlPlane needs tls.source Secret or CertManager: every process of the node could ask the verbs" }}
{{- end }}
{{- if and (eq .Values.deployment "ControlPlane") (not .Values.tls.clientNames) }}
{{- fail "deployment ControlPlane needs tls.clientNames: the common name in the scheduler's certificate" }}
{{- end }}
{{- if and (eq .Values.deployment "SecondScheduler") (hasKey .Values.config "schedulerNames") }}
{{- fail "deployment SecondScheduler helps pods of scheduler.name only: give that, not config.schedulerNames" }}
{{- end }}
{{- if and (eq .Values.deployment "SecondScheduler") (eq .Values.scheduler.name "default-scheduler") }}
{{- fail "scheduler.name default-scheduler is the cluster's own: two schedulers of one name would race" }}
{{- end }}
{{- end }}

{{- define "optsched.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "optsched.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What the pod decides; the file says the rest, and is read again while the service runs. */ -}}
{{- define "optsched.environment" -}}
{{- $address := eq .Values.deployment "ControlPlane" | ternary .Values.controlPlane.address "0.0.0.0" -}}
- {name: OPTSCHED_CONFIG_DEPLOYMENT, value: {{ .Values.deployment | replace "Advisory" "ControlPlane" }}}
- {name: OPTSCHED_CONFIG_RUNTIME, value: /run/optsched/parts}
- {name: OPTSCHED_CONFIG_LEADER_LEASE_NAME, value: {{ include "optsched.name" . | quote }}}
- {name: OPTSCHED_CONFIG_LEADER_NAMESPACE, value: {{ .Release.Namespace | quote }}}
{{- with include "optsched.schedulerLease" . }}
- {name: OPTSCHED_CONFIG_LEADER_BESIDE, value: {{ . | quote }}}
{{- end }}
{{- if eq .Values.deployment "SecondScheduler" }}
- {name: OPTSCHED_CONFIG_SCHEDULER_NAMES, value: {{ .Values.scheduler.name | quote }}}
{{- end }}
- {name: OPTSCHED_CONFIG_EXTENDER_PORT, value: {{ .Values.ports.extender | quote }}}
{{- if and (include "optsched.hasExtender" .) (ne .Values.tls.source "None") }}
- {name: OPTSCHED_CONFIG_EXTENDER_TLS_CERT_FILE, value: /etc/optsched-tls/tls.crt}
- {name: OPTSCHED_CONFIG_EXTENDER_TLS_KEY_FILE, value: /etc/optsched-tls/tls.key}
- {name: OPTSCHED_CONFIG_EXTENDER_TLS_CA_FILE, value: /etc/optsched-tls/ca.crt}
- {name: OPTSCHED_CONFIG_EXTENDER_TLS_CLIENT_NAMES, value: {{ .Values.tls.clientNames | default (list .Values.scheduler.name) | join "," | quote }}}
{{- end }}
- {name: OPTSCHED_CONFIG_METRICS_ADDRESS, value: {{ $address | quote }}}
- {name: OPTSCHED_CONFIG_METRICS_PORT, value: {{ .Values.ports.metrics | quote }}}
- {name: OPTSCHED_CONFIG_HEALTH_ADDRESS, value: {{ $address | quote }}}
- {name: OPTSCHED_CONFIG_HEALTH_PORT, value: {{ .Values.ports.health | quote }}}
- {name: OPTSCHED_CONFIG_BRAIN_METRICS_ADDRESS, value: {{ $address | quote }}}
- {name: OPTSCHED_CONFIG_BRAIN_METRICS_PORT, value: {{ .Values.ports.brainMetrics | quote }}}
- {name: OPTSCHED_CONFIG_BRAIN_HEALTH_ADDRESS, value: {{ $address | quote }}}
- {name: OPTSCHED_CONFIG_BRAIN_HEALTH_PORT, value: {{ .Values.ports.brainHealth | quote }}}
# The root is read-only: compiled kernels and whatever a library keeps go into memory.
- {name: HOME, value: /tmp}
- {name: NUMBA_CACHE_DIR, value: /tmp/numba}
{{- end }}

{{- /* A probe of one of our two health ports: root, path, port. */ -}}
{{- define "optsched.probe" -}}
{{- $root := index . 0 -}}
httpGet:
  path: {{ index . 1 }}
  port: {{ index . 2 }}
  {{- if eq $root.Values.deployment "ControlPlane" }}
  host: {{ $root.Values.controlPlane.address | replace "0.0.0.0" "127.0.0.1" | quote }}
  {{- end }}
timeoutSeconds: 2
{{- end }}
