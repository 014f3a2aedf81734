{{/* Names, labels, and what every pod and container of ours has. */}}

{{- define "lentigo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "lentigo.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "lentigo.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "lentigo.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Takes a dict of `root` and `component`. */}}
{{- define "lentigo.selector" -}}
app.kubernetes.io/name: {{ include "lentigo.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "lentigo.labels" -}}
{{ include "lentigo.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: lentigo
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Takes a dict of `image` and `tag`, the default. */}}
{{- define "lentigo.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) }}
{{- end }}
{{- end }}

{{- define "lentigo.inferenceImage" -}}
{{- include "lentigo.image" (dict "image" .Values.image "tag" (printf "%s-slim" .Chart.AppVersion)) }}
{{- end }}

{{/*
Members of every pod. Without enableServiceLinks the kubelet sets LENTIGO_PORT=tcp://... for a Service that is
named lentigo, and the service would take that for its setting.
*/}}
{{- define "lentigo.pod" -}}
serviceAccountName: {{ include "lentigo.fullname" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lentigo.container" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities:
    drop: [ALL]
{{- end }}

{{/*
An init container that makes a private copy of a key. Lentigo refuses a private key that its group can read, and a
Secret's files belong to root and are read through the group. Takes a dict of `root`, `image`, `pullPolicy`, `file`.
*/}}
{{- define "lentigo.privateKey" -}}
- name: private-key
  image: {{ .image }}
  imagePullPolicy: {{ .pullPolicy }}
  command: [install, --mode=0400, /run/secrets/shared/{{ .file }}, /run/secrets/private/{{ .file }}]
  {{- include "lentigo.container" .root | nindent 2 }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
    limits: {cpu: 100m, memory: 32Mi}
  volumeMounts:
    - {name: shared-key, mountPath: /run/secrets/shared, readOnly: true}
    - {name: private-key, mountPath: /run/secrets/private}
{{- end }}

{{/* The volumes of the above. Takes a dict of `secret` and `file`. */}}
{{- define "lentigo.privateKeyVolumes" -}}
- name: shared-key
  secret:
    secretName: {{ .secret }}
    defaultMode: 0440
    items: [{key: {{ .file }}, path: {{ .file }}}]
- name: private-key
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}

{{/* The value of a setting as text. Helm has 20971520 as 2.097152e+07, which is no integer for the service. */}}
{{- define "lentigo.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{/* Whether requests need a key or a token: "true" or nothing. */}}
{{- define "lentigo.asksWho" -}}
{{- if or .Values.access.keysSecret (get .Values.settings "LENTIGO_OIDC_ISSUER") }}true{{ end }}
{{- end }}

{{- define "lentigo.modelClaim" -}}
{{- if .Values.model.claim.existing }}
{{- .Values.model.claim.existing }}
{{- else if .Values.model.claim.create }}
{{- printf "%s-models" (include "lentigo.fullname" .) }}
{{- end }}
{{- end }}

{{- define "lentigo.auditClaim" -}}
{{- if .Values.audit.claim.existing }}
{{- .Values.audit.claim.existing }}
{{- else if .Values.audit.claim.create }}
{{- printf "%s-audit" (include "lentigo.fullname" .) }}
{{- end }}
{{- end }}

{{- define "lentigo.fetches" -}}
{{- if or .Values.model.fetch.url .Values.model.fetch.urlSecret }}true{{ end }}
{{- end }}

{{- define "lentigo.trains" -}}
{{- if or .Values.training.job.enabled .Values.training.cronJob.enabled }}true{{ end }}
{{- end }}

{{/* Whether replicas could be on more than one node: "true" or nothing. */}}
{{- define "lentigo.isReplicated" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicaCount) 1) }}true{{ end }}
{{- end }}

{{/* Whether a volume can be mounted by one node alone, so that a new pod must wait for the old one to end. */}}
{{- define "lentigo.isBoundToANode" -}}
{{- $once := list "ReadWriteOnce" "ReadWriteOncePod" }}
{{- $model := and (include "lentigo.modelClaim" .) (has .Values.model.claim.accessMode $once) }}
{{- $audit := and .Values.audit.enabled (has .Values.audit.claim.accessMode $once) }}
{{- if or $model $audit }}true{{ end }}
{{- end }}

{{/* Seconds that Kubernetes waits: five more than the service needs, as docs/how-to/scale.md says. */}}
{{- define "lentigo.terminationGrace" -}}
{{- add (.Values.settings.LENTIGO_DRAIN_S | float64 | ceil | int) (int .Values.settings.LENTIGO_SHUTDOWN_GRACE_S) 5 }}
{{- end }}

{{/* Takes a dict of `root`, `name`, `component`, `accessMode`, `size` and `storageClass`. */}}
{{- define "lentigo.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  labels: {{- include "lentigo.labels" . | nindent 4 }}
  annotations:
    # What is in it outlives the release.
    helm.sh/resource-policy: keep
spec:
  accessModes: [{{ .accessMode }}]
  {{- with .storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .size }}
{{- end }}
