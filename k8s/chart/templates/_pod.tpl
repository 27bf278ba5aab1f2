{{- /* The pod: the brain, and where a scheduler asks, the front end, and that scheduler. */ -}}
{{- define "optsched.pod" -}}
metadata:
  labels:
    {{- include "optsched.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "optsched.account" . }}
  # The token is mounted where it is needed, which the front end is not.
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "optsched.podSecurity" . | nindent 4 }}
  {{- if include "optsched.hasExtender" . }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- end }}
  {{- if eq .Values.deployment "ControlPlane" }}
  # The scheduler, a static pod, reaches 127.0.0.1 of its node and no Service.
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $own := eq .Values.deployment "ControlPlane" | ternary .Values.controlPlane dict }}
  {{- with merge (dict) ($own.nodeSelector | default dict) .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with concat ($own.tolerations | default list) .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: brain
      {{- include "optsched.container" (list . "brain") | nindent 6 }}
      ports:
        - {name: brain-metrics, containerPort: {{ .Values.ports.brainMetrics }}}
        - {name: brain-health, containerPort: {{ .Values.ports.brainHealth }}}
      # Reading a large cluster takes a while; until then it is alive and not ready.
      readinessProbe:
        {{- include "optsched.probe" (list . "/readyz" "brain-health") | nindent 8 }}
      livenessProbe:
        {{- include "optsched.probe" (list . "/livez" "brain-health") | nindent 8 }}
        periodSeconds: 10
      startupProbe:
        {{- include "optsched.probe" (list . "/livez" "brain-health") | nindent 8 }}
        periodSeconds: 2
        failureThreshold: 60
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/optsched, readOnly: true}
        - {name: runtime, mountPath: /run/optsched}
        - {name: brain-tmp, mountPath: /tmp}
        - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
        {{- if and (include "optsched.hasExtender" .) (ne .Values.tls.source "None") }}
        - {name: server-tls, mountPath: /etc/optsched-tls, readOnly: true}
        {{- end }}
    {{- if include "optsched.hasExtender" . }}
    - name: extender
      {{- include "optsched.container" (list . "extender") | nindent 6 }}
      ports:
        - {name: metrics, containerPort: {{ .Values.ports.metrics }}}
        - {name: health, containerPort: {{ .Values.ports.health }}}
      readinessProbe:
        {{- include "optsched.probe" (list . "/readyz" "health") | nindent 8 }}
        periodSeconds: 2
      livenessProbe:
        {{- include "optsched.probe" (list . "/livez" "health") | nindent 8 }}
        periodSeconds: 5
      startupProbe:
        {{- include "optsched.probe" (list . "/livez" "health") | nindent 8 }}
        periodSeconds: 1
        failureThreshold: 60
      resources:
        {{- toYaml .Values.extenderResources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/optsched, readOnly: true}
        - {name: runtime, mountPath: /run/optsched}
        - {name: extender-tmp, mountPath: /tmp}
        {{- if ne .Values.tls.source "None" }}
        - {name: server-tls, mountPath: /etc/optsched-tls, readOnly: true}
        {{- end }}
    {{- end }}
    {{- if eq .Values.deployment "Gated" }}
    # Opens the gates that have ended, also when the brain is gone. It has no port: whoever starts
    # it keeps it alive.
    - name: reaper
      {{- include "optsched.container" (list . "reaper") | nindent 6 }}
      resources:
        {{- toYaml .Values.extenderResources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/optsched, readOnly: true}
        - {name: runtime, mountPath: /run/optsched}
        - {name: reaper-tmp, mountPath: /tmp}
        - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
    {{- end }}
    {{- if eq .Values.deployment "SecondScheduler" }}
    {{- include "optsched.scheduler" . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "optsched.name" . }}}
    # Where the parts meet. A plan's table must not outlive the pod.
    - name: runtime
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    - name: brain-tmp
      emptyDir: {medium: Memory, sizeLimit: 128Mi}
    {{- if eq .Values.deployment "Gated" }}
    - name: reaper-tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- end }}
    - name: token
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: {path: token, expirationSeconds: 3607}
          - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
          - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
    {{- if include "optsched.hasExtender" . }}
    - name: extender-tmp
      emptyDir: {medium: Memory, sizeLimit: 64Mi}
    {{- if ne .Values.tls.source "None" }}
    - name: server-tls
      secret: {secretName: {{ include "optsched.serverSecret" . }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
    {{- if eq .Values.deployment "SecondScheduler" }}
    - name: scheduler-config
      configMap: {name: {{ include "optsched.name" . }}-scheduler}
    {{- if ne .Values.tls.source "None" }}
    - name: client-tls
      secret: {secretName: {{ include "optsched.clientSecret" . }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
{{- end }}

{{- /* What both parts have in common: root, name of the part. */ -}}
{{- define "optsched.container" -}}
{{- $root := index . 0 -}}
image: {{ include "optsched.image" (list $root.Values.image $root.Chart.AppVersion) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [serve, --config, /etc/optsched/optsched.yaml, --part, {{ index . 1 }}]
env:
  {{- include "optsched.environment" $root | nindent 2 }}
securityContext:
  {{- include "optsched.containerSecurity" $root | nindent 2 }}
{{- end }}

{{- define "optsched.scheduler" -}}
{{- $version := regexFind "^v[0-9]+\\.[0-9]+\\.[0-9]+" .Capabilities.KubeVersion.Version -}}
- name: scheduler
  image: {{ include "optsched.image" (list .Values.scheduler.image $version) }}
  imagePullPolicy: {{ .Values.scheduler.image.pullPolicy }}
  command: [kube-scheduler, --config=/etc/kubernetes/scheduler.yaml, --secure-port=10259]
  # Its calls of the front end stay on this machine, whatever proxy there is.
  env:
    - {name: NO_PROXY, value: 127.0.0.1}
  ports:
    - {name: scheduler, containerPort: 10259}
  livenessProbe:
    httpGet: {path: /livez, port: scheduler, scheme: HTTPS}
    periodSeconds: 10
    timeoutSeconds: 5
  startupProbe:
    httpGet: {path: /livez, port: scheduler, scheme: HTTPS}
    periodSeconds: 2
    failureThreshold: 60
  resources:
    {{- toYaml .Values.scheduler.resources | nindent 4 }}
  securityContext:
    {{- include "optsched.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: scheduler-config, mountPath: /etc/kubernetes, readOnly: true}
    - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
    {{- if ne .Values.tls.source "None" }}
    - {name: client-tls, mountPath: /etc/optsched-client, readOnly: true}
    {{- end }}
{{- end }}
