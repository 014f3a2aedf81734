{{/*
Combinations that would be unsafe or could not work. Each ends the command with one line that says what to do.
Included by the Deployment, which is always there.
*/}}
{{- define "lentigo.refusals" -}}
{{- $v := .Values }}
{{- $asksWho := include "lentigo.asksWho" . }}
{{- $claim := include "lentigo.modelClaim" . }}
{{- $fetches := include "lentigo.fetches" . }}

{{- if and $v.ingress.enabled (not $asksWho) }}
{{- fail "ingress.enabled opens the service beyond the cluster, and it would ask nobody for a key: set access.keysSecret, or LENTIGO_OIDC_ISSUER in settings" }}
{{- end }}
{{- if and (not $asksWho) (not $v.access.allowAnonymous) }}
{{- fail "nobody would be asked for a key: set access.keysSecret, LENTIGO_OIDC_ISSUER in settings, or access.allowAnonymous=true to answer everybody who reaches it" }}
{{- end }}
{{- if and $asksWho $v.access.allowAnonymous }}
{{- fail "access.allowAnonymous contradicts access.keysSecret and LENTIGO_OIDC_ISSUER: choose one" }}
{{- end }}
{{- if and $v.ingress.enabled (not (and $v.ingress.host $v.ingress.tlsSecret)) }}
{{- fail "keys travel with every request, so an Ingress needs TLS: set ingress.host and ingress.tlsSecret" }}
{{- end }}

{{- if and $v.model.claim.existing $v.model.claim.create }}
{{- fail "model.claim.existing and model.claim.create contradict each other: choose one" }}
{{- end }}
{{- if not (or $claim $fetches) }}
{{- fail "there would be no model: set model.claim.existing, model.claim.create=true or model.fetch.url" }}
{{- end }}
{{- if and $v.model.fetch.url $v.model.fetch.urlSecret }}
{{- fail "model.fetch.url and model.fetch.urlSecret contradict each other: choose one" }}
{{- end }}
{{- if and $fetches (not $v.model.keyConfigMap) }}
{{- fail "a version that is fetched must be signed: set model.keyConfigMap to the ConfigMap with model.pub" }}
{{- end }}
{{- if and $claim $fetches (eq $v.model.claim.accessMode "ReadOnlyMany") }}
{{- fail "model.fetch writes the claim, which model.claim.accessMode does not allow: use ReadWriteMany" }}
{{- end }}

{{- if $v.audit.enabled }}
{{- if and $v.audit.claim.existing $v.audit.claim.create }}
{{- fail "audit.claim.existing and audit.claim.create contradict each other: choose one" }}
{{- end }}
{{- if not (include "lentigo.auditClaim" .) }}
{{- fail "an audit trail must outlive its pod: set audit.claim.existing or audit.claim.create=true" }}
{{- end }}
{{- if not $v.audit.keySecret }}
{{- fail "an audit trail is signed: set audit.keySecret to the Secret with audit.key" }}
{{- end }}
{{- end }}

{{- if and (include "lentigo.isBoundToANode" .) (include "lentigo.isReplicated" .) }}
{{- fail "several replicas cannot share a volume that one node mounts: use accessMode ReadWriteMany for model.claim and audit.claim, or replicaCount=1 without autoscaling" }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" }}
{{- end }}
{{- if and $v.autoscaling.enabled (not (dig "requests" "cpu" "" $v.resources)) }}
{{- fail "autoscaling.cpuPercent is of the request: set resources.requests.cpu" }}
{{- end }}

{{- if $v.monitoring.serviceMonitor.enabled }}
{{- if and $asksWho (not $v.monitoring.serviceMonitor.keySecret) }}
{{- fail "Prometheus needs a key of the scope metrics: set monitoring.serviceMonitor.keySecret" }}
{{- end }}
{{- end }}

{{- if $v.gateway.enabled }}
{{- if not $v.gateway.config }}
{{- fail "the gateway must know its archive: set gateway.config to its TOML file without [service] and [worklist]" }}
{{- end }}
{{- if and $asksWho (not $v.gateway.keySecret) }}
{{- fail "the gateway needs a key of the scope predict: set gateway.keySecret" }}
{{- end }}
{{- end }}

{{- if include "lentigo.trains" . }}
{{- if not $claim }}
{{- fail "a training publishes into model.claim: set model.claim.existing or model.claim.create=true" }}
{{- end }}
{{- if ne $v.model.claim.accessMode "ReadWriteMany" }}
{{- fail "a training writes the claim that the service reads: model.claim.accessMode must be ReadWriteMany" }}
{{- end }}
{{- if not $v.training.dataClaim }}
{{- fail "a training needs its images: set training.dataClaim" }}
{{- end }}
{{- if and $v.model.keyConfigMap (not $v.training.signingKeySecret) }}
{{- fail "the service would refuse what is trained, since it is not signed: set training.signingKeySecret" }}
{{- end }}
{{- end }}

{{- if $v.networkPolicy.enabled }}
{{- $beyond := false }}
{{- range $v.networkPolicy.ingressFrom }}
{{- if or (hasKey . "namespaceSelector") (hasKey . "ipBlock") }}{{ $beyond = true }}{{ end }}
{{- end }}
{{- if and $v.ingress.enabled (not $beyond) }}
{{- fail "the ingress controller could not connect: add its namespace to networkPolicy.ingressFrom" }}
{{- end }}
{{- $calls := list }}
{{- if $fetches }}{{ $calls = append $calls "model.fetch" }}{{ end }}
{{- if get $v.settings "LENTIGO_OIDC_ISSUER" }}{{ $calls = append $calls "LENTIGO_OIDC_ISSUER" }}{{ end }}
{{- if or (get $v.settings "OTEL_EXPORTER_OTLP_ENDPOINT") (get $v.settings "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") }}
{{- $calls = append $calls "the collector of traces" }}
{{- end }}
{{- if and $calls (not $v.networkPolicy.egress) }}
{{- fail (printf "the service could not connect to what it needs (%s): add rules to networkPolicy.egress" (join ", " $calls)) }}
{{- end }}
{{- if and $v.gateway.enabled (not $v.networkPolicy.gatewayEgress) }}
{{- fail "the gateway could not connect to its archive: add a rule to networkPolicy.gatewayEgress" }}
{{- end }}
{{- if and $v.gateway.enabled $v.gateway.dicom.enabled (not $v.networkPolicy.gatewayIngressFrom) }}
{{- fail "nobody could connect to the gateway's DICOM port: add peers to networkPolicy.gatewayIngressFrom" }}
{{- end }}
{{- if and (include "lentigo.trains" .) (not $v.training.weightsClaim) (not $v.networkPolicy.trainingEgress) (has "--recipe" $v.training.arguments) (not (has "--random-weights" $v.training.arguments)) }}
{{- fail "Keras could not download its weights: set training.weightsClaim, or add a rule to networkPolicy.trainingEgress" }}
{{- end }}
{{- end }}
{{- end }}
