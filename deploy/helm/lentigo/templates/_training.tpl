{{/* What a Job does, once or by the CronJob. Takes a dict of `root` and `run`: the name of the run's work folder. */}}
{{- define "lentigo.trainingJob" -}}
{{- $component := dict "root" .root "component" "training" }}
{{- $values := .root.Values.training }}
{{- $image := include "lentigo.image" (dict "image" $values.image "tag" .root.Chart.AppVersion) }}
backoffLimit: {{ $values.backoffLimit }}
activeDeadlineSeconds: {{ $values.activeDeadlineSeconds }}
podFailurePolicy:
  rules:
    # A node that is drained or taken away is no failure of the run.
    - action: Ignore
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
    # Wrong usage, and a run that the gate does not let be published: another attempt would end the same way.
    - action: FailJob
      onExitCodes: {containerName: trainer, operator: In, values: [2, 3]}
template:
  metadata:
    labels: {{- include "lentigo.labels" $component | nindent 6 }}
  spec:
    {{- include "lentigo.pod" .root | nindent 4 }}
    restartPolicy: Never
    # A run ends at once and keeps what is finished; this is for the file it is writing.
    terminationGracePeriodSeconds: 30
    {{- if $values.signingKeySecret }}
    initContainers:
      {{- include "lentigo.privateKey" (dict "root" .root "image" $image "pullPolicy" $values.image.pullPolicy "file" "model.key") | nindent 6 }}
    {{- end }}
    containers:
      - name: trainer
        image: {{ $image }}
        imagePullPolicy: {{ $values.image.pullPolicy }}
        args:
          - run
          - --source=/data
          # One folder a run: a run goes on from its own steps, and refuses those of another.
          - --work=/work/$(RUN)
          - --models=/models
          {{- if $values.weightsClaim }}
          - --weights-dir=/weights
          {{- end }}
          {{- if $values.signingKeySecret }}
          - --sign=/run/secrets/private/model.key
          {{- end }}
          {{- range $values.arguments }}
          - {{ . | quote }}
          {{- end }}
        {{- include "lentigo.container" .root | nindent 8 }}
        env:
          - name: RUN
            {{- .run | nindent 12 }}
        resources: {{- toYaml $values.resources | nindent 10 }}
        volumeMounts:
          - {name: data, mountPath: /data, readOnly: true}
          - {name: work, mountPath: /work}
          - {name: models, mountPath: /models}
          - {name: tmp, mountPath: /tmp}
          {{- if $values.weightsClaim }}
          - {name: weights, mountPath: /weights, readOnly: true}
          {{- end }}
          {{- if $values.signingKeySecret }}
          - {name: private-key, mountPath: /run/secrets/private, readOnly: true}
          {{- end }}
    volumes:
      - name: data
        persistentVolumeClaim: {claimName: {{ $values.dataClaim }}, readOnly: true}
      - name: work
        persistentVolumeClaim: {claimName: {{ $values.workClaim.existing | default (printf "%s-work" (include "lentigo.fullname" .root)) }}}
      - name: models
        persistentVolumeClaim: {claimName: {{ include "lentigo.modelClaim" .root }}}
      # Matplotlib's list of fonts.
      - name: tmp
        emptyDir: {sizeLimit: 64Mi}
      {{- with $values.weightsClaim }}
      - name: weights
        persistentVolumeClaim: {claimName: {{ . }}, readOnly: true}
      {{- end }}
      {{- with $values.signingKeySecret }}
      {{- include "lentigo.privateKeyVolumes" (dict "secret" . "file" "model.key") | nindent 6 }}
      {{- end }}
    {{- with $values.nodeSelector }}
    nodeSelector: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $values.tolerations }}
    tolerations: {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
