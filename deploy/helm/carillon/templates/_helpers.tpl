{{- define "carillon.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "carillon.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "carillon.labels" -}}
{{ include "carillon.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "carillon.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "carillon.name" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{/* The secret that holds the API key; none when the server makes one. */}}
{{- define "carillon.authSecret" -}}
{{- if .Values.auth.existingSecret -}}
{{ .Values.auth.existingSecret }}
{{- else if .Values.auth.apiKey -}}
{{ include "carillon.name" . }}
{{- else if and (eq .Values.store "postgres") (not (dig "auth" "keys" nil .Values.settings)) -}}
{{ fail "store is postgres: auth.existingSecret (or auth.apiKey) must say which key all nodes share" }}
{{- end -}}
{{- end -}}

{{- define "carillon.databaseSecret" -}}
{{- if .Values.database.existingSecret -}}
{{ .Values.database.existingSecret }}
{{- else if .Values.database.url -}}
{{ include "carillon.name" . }}
{{- else -}}
{{ fail "store is postgres: database.existingSecret (or database.url) must say where the database is" }}
{{- end -}}
{{- end -}}

{{- define "carillon.publicUrl" -}}
{{- if .Values.publicUrl -}}
{{ .Values.publicUrl }}
{{- else if .Values.ingress.enabled -}}
https://{{ .Values.ingress.host }}
{{- else if eq .Values.store "postgres" -}}
{{ fail "store is postgres: publicUrl must say under which address all nodes are known, or ingress be enabled" }}
{{- end -}}
{{- end -}}

{{/* One node has nobody to send its requests to: it does not wait. */}}
{{- define "carillon.shutdownDelayMs" -}}
{{ ternary (int64 .Values.shutdownDelayMs) 0 (eq .Values.store "postgres") }}
{{- end -}}

{{/* A value is written as JSON, which is TOML too for texts, numbers, booleans and lists of them. */}}
{{- define "carillon.toml" -}}
{{- range $section, $settings := .Values.settings }}
[{{ $section }}]
{{- range $name, $value := $settings }}
{{- if not (and (kindIs "slice" $value) $value (kindIs "map" (first $value))) }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
{{- if and (kindIs "slice" $value) $value (kindIs "map" (first $value)) }}
{{- range $table := $value }}
[[{{ $section }}.{{ $name }}]]
{{- range $member, $text := $table }}
{{ $member }} = {{ toJson $text }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The pod, the same for one node and for many. */}}
{{- define "carillon.pod" -}}
metadata:
  labels:
    {{- include "carillon.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "carillon.toml" . | sha256sum }}
    {{- if or .Values.auth.apiKey .Values.database.url }}
    checksum/secret: {{ printf "%s\n%s" .Values.auth.apiKey .Values.database.url | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "carillon.serviceAccount" . }}
  automountServiceAccountToken: false
  # Variables that the cluster makes of the names of services are not for this program.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  # The delay before the listener closes, 25 seconds for requests, deliveries and what was delivered, and some to spare.
  terminationGracePeriodSeconds: {{ add 40 (div (add (include "carillon.shutdownDelayMs" . | int64) 999) 1000) }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- if eq .Values.store "postgres" }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "carillon.selector" $ | nindent 10 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: carillon
      image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: ["--config", "/etc/carillon/carillon.toml"]
      env:
        - name: HOST
          value: "0.0.0.0"
        - name: PORT
          value: "8000"
        - name: STORE
          value: {{ .Values.store }}
        - name: DATA_PATH
          value: /data
        - name: SHUTDOWN_DELAY_MS
          value: {{ include "carillon.shutdownDelayMs" . | quote }}
        {{- with include "carillon.publicUrl" . }}
        - name: PUBLIC_URL
          value: {{ . | quote }}
        {{- end }}
        {{- if include "carillon.authSecret" . }}
        - name: API_KEY_FILE
          value: /run/secrets/carillon/api-key
        {{- end }}
        {{- if .Values.secretsKey.existingSecret }}
        - name: SECRETS_KEY_FILE
          value: /run/secrets/carillon/secrets-key
        {{- end }}
        {{- if eq .Values.store "postgres" }}
        - name: DATABASE_URL_FILE
          value: /run/secrets/carillon/database-url
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: http
          containerPort: 8000
      # It listens once it has its database: it waits a minute for one, and brings it up to date.
      startupProbe:
        httpGet:
          path: /health
          port: http
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet:
          path: /health
          port: http
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /ready
          port: http
        periodSeconds: 2
        timeoutSeconds: 5
        failureThreshold: 1
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - name: config
          mountPath: /etc/carillon
          readOnly: true
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        {{- if or (eq .Values.store "postgres") (include "carillon.authSecret" .) .Values.secretsKey.existingSecret }}
        - name: secrets
          mountPath: /run/secrets/carillon
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "carillon.name" . }}
    - name: tmp
      emptyDir:
        sizeLimit: 64Mi
    {{- if eq .Values.store "postgres" }}
    - name: data
      emptyDir:
        sizeLimit: 64Mi
    {{- end }}
    {{- if or (eq .Values.store "postgres") (include "carillon.authSecret" .) .Values.secretsKey.existingSecret }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- with include "carillon.authSecret" . }}
          - secret:
              name: {{ . }}
              items:
                - key: {{ ternary $.Values.auth.key "api-key" (ne $.Values.auth.existingSecret "") }}
                  path: api-key
          {{- end }}
          {{- with .Values.secretsKey.existingSecret }}
          - secret:
              name: {{ . }}
              items:
                - key: {{ $.Values.secretsKey.key }}
                  path: secrets-key
          {{- end }}
          {{- if eq .Values.store "postgres" }}
          - secret:
              name: {{ include "carillon.databaseSecret" . }}
              items:
                - key: {{ ternary .Values.database.key "database-url" (ne .Values.database.existingSecret "") }}
                  path: database-url
          {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
