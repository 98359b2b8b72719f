{{- define "narrows.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that never change: selectors. Called with (dict "root" $ "part" "triton"). */}}
{{- define "narrows.selector" -}}
app.kubernetes.io/name: narrows
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "narrows.labels" -}}
{{ include "narrows.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{/* Pods as the restricted Pod Security Standard wants them. */}}
{{- define "narrows.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "narrows.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* One pod a node and a zone, as far as there are any. */}}
{{- define "narrows.spread" -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  nodeTaintsPolicy: Honor
  labelSelector:
    matchLabels: {{- include "narrows.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
Programs refuse secrets that others than their owner may read, and a Secret's volume has group bits: copied at the start
into memory, for the owner alone. After a rotation: kubectl rollout restart. Called with root, secret and keyring.
*/}}
{{- define "narrows.secretsInit" -}}
- name: secrets
  image: {{ .root.Values.image.orchestrator | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command:
    - sh
    - -euc
    - |
      umask 077
      cp -L /secret/* /run/secrets/
      {{- if .keyring }}
      mkdir -p /run/secrets/keyring
      cp -L /keyring/* /run/secrets/keyring/
      {{- end }}
  securityContext: {{- include "narrows.containerSecurity" . | nindent 4 }}
  resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 64Mi}}
  volumeMounts:
    - {name: secret, mountPath: /secret, readOnly: true}
    {{- if .keyring }}
    - {name: keyring, mountPath: /keyring, readOnly: true}
    {{- end }}
    - {name: run-secrets, mountPath: /run/secrets}
{{- end -}}

{{- define "narrows.secretsVolumes" -}}
- name: secret
  secret: {secretName: {{ .secret | quote }}, defaultMode: 0440}
{{- if .keyring }}
- name: keyring
  secret: {secretName: {{ .keyring | quote }}, defaultMode: 0440}
{{- end }}
- name: run-secrets
  emptyDir: {medium: Memory, sizeLimit: 8Mi}
{{- end -}}

{{/* Bundles come from a claim, or are copied out of their image. */}}
{{- define "narrows.bundlesInit" -}}
{{- if not .Values.bundles.existingClaim }}
- name: bundles
  image: {{ .Values.bundles.image | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [sh, -euc, cp -r /bundles/. /copied/]
  securityContext: {{- include "narrows.containerSecurity" . | nindent 4 }}
  resources: {requests: {cpu: 50m, memory: 32Mi}, limits: {memory: 256Mi}}
  volumeMounts:
    - {name: bundles, mountPath: /copied}
{{- end }}
{{- end -}}

{{- define "narrows.bundlesVolume" -}}
- name: bundles
  {{- if .Values.bundles.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .Values.bundles.existingClaim | quote }}, readOnly: true}
  {{- else }}
  emptyDir: {sizeLimit: 1Gi}
  {{- end }}
{{- end -}}

{{- define "narrows.bundlePaths" -}}
{{- range $i, $folder := .Values.bundles.serve }}{{ if $i }},{{ end }}/bundles/{{ $folder }}{{ end }}
{{- end -}}

{{- define "narrows.readyProbes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 4
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "narrows.pullSecrets" -}}
{{- range .Values.image.pullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end -}}
