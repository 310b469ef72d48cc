//! The tables of settings: what a variable is called in the file, and what names something that is not built yet.

/// Every setting: its variable, and its key in the file.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("HOST", "server.host"),
    ("PORT", "server.port"),
    ("BASE_PATH", "server.base_path"),
    ("PUBLIC_URL", "server.public_url"),
    ("PAGE", "server.page"),
    ("REVERSE_PROXY", "server.reverse_proxy"),
    ("TRUSTED_PROXIES", "server.trusted_proxies"),
    ("SHUTDOWN_DELAY_MS", "server.shutdown_delay_ms"),
    ("METRICS_PUBLIC", "metrics.public"),
    ("LOGLEVEL", "log.level"),
    ("LOG_FORMAT", "log.format"),
    ("API_KEY", "auth.api_key"),
    ("API_KEY_FILE", "auth.api_key_file"),
    ("ME_USER_NAME", "auth.user_name"),
    ("SECRETS_KEY", "auth.secrets_key"),
    ("SECRETS_KEY_FILE", "auth.secrets_key_file"),
    ("STORE", "store.backend"),
    ("DATA_PATH", "store.data_path"),
    ("DATABASE_URL", "store.database_url"),
    ("DATABASE_URL_FILE", "store.database_url_file"),
    ("USER_MODEL_NAME", "store.user_view"),
    ("GROUP_MODEL_NAME", "store.group_view"),
    ("INDEXED_ATTRIBUTES", "store.indexed_attributes"),
    ("PATCH_ANSWER", "protocol.patch_answer"),
    ("QUIRKS", "protocol.quirks"),
    ("UNKNOWN_MEMBERS", "groups.unknown_members"),
    ("UNIQUE_GROUP_NAMES", "groups.unique_names"),
    ("SCHEMA_PATH", "schemas.path"),
    ("EVENT_MODE", "events.mode"),
    ("SET_ISSUER", "events.issuer"),
    ("SET_AUDIENCE", "events.audience"),
    ("SET_FORMAT", "events.format"),
    ("SET_PUSH_URL", "events.push_url"),
    ("SET_PUSH_TOKEN", "events.push_token"),
    ("SET_PUSH_TOKEN_FILE", "events.push_token_file"),
    ("SET_PUSH_REQUIRE_TLS", "events.push_require_tls"),
    ("SET_PUSH_ALLOW", "events.push_allow"),
    ("SET_PUSH_PORTS", "events.push_ports"),
    ("SET_PUSH_CA_FILE", "events.push_ca_file"),
    ("SET_POLL_ENABLED", "events.poll_enabled"),
    ("SET_SIGNING_ALGORITHM", "events.signing_algorithm"),
    ("SET_SIGNING_SECRET", "events.signing_secret"),
    ("SET_SIGNING_SECRET_FILE", "events.signing_secret_file"),
    ("SET_POLL_MAX_EVENTS", "events.retention_events"),
    ("EVENT_RETENTION", "events.retention"),
    ("PAGE_SIZE", "limits.page_size"),
    ("LIMIT_BODY_BYTES", "limits.body_bytes"),
    ("LIMIT_BODY_READ_MS", "limits.body_read_ms"),
    ("LIMIT_REQUEST_MS", "limits.request_ms"),
    ("LIMIT_WRITE_MS", "limits.write_ms"),
    ("LIMIT_MEMBERS_PER_REQUEST", "limits.members_per_request"),
    ("LIMIT_MEMBERS_IN_PATCH_ANSWER", "limits.members_in_patch_answer"),
    ("LIMIT_SCAN_MS", "limits.scan_ms"),
    ("LIMIT_SCANS", "limits.scans"),
    ("LIMIT_BULK_OPERATIONS", "limits.bulk_operations"),
    ("LIMIT_CURSOR_SECONDS", "limits.cursor_seconds"),
    ("LIMIT_POLL_WAIT_SECONDS", "limits.poll_wait_seconds"),
];

/// What only the file can say: lists of tables.
pub(super) const TABLES: &[&str] = &["auth.keys", "events.streams"];

/// Settings whose value may hold a secret: a problem never shows it.
pub(super) const SECRET: &[&str] = &[
    "API_KEY",
    "ME_USER_NAME",
    "PUBLIC_URL",
    "DATABASE_URL",
    "SECRETS_KEY",
    "SET_SIGNING_SECRET",
    "SET_PUSH_URL",
    "SET_PUSH_TOKEN",
];

/// The settings whose value can stand in a file instead, and those that name the file.
const IN_FILES: &[(&str, &str)] = &[
    ("API_KEY", "API_KEY_FILE"),
    ("SECRETS_KEY", "SECRETS_KEY_FILE"),
    ("DATABASE_URL", "DATABASE_URL_FILE"),
    ("SET_PUSH_TOKEN", "SET_PUSH_TOKEN_FILE"),
    ("SET_SIGNING_SECRET", "SET_SIGNING_SECRET_FILE"),
];

/// The setting that names the file in which another one's value can stand.
pub(super) fn in_file(variable: &str) -> Option<&'static str> {
    IN_FILES.iter().find(|(name, _)| *name == variable).map(|(_, file)| *file)
}

/// Variables of what is not built yet, and the values of them that ask for nothing more than what there is.
pub(super) const NOT_BUILT: &[(&str, &[&str])] = &[
    ("MONGO_DB", &[]),
    ("LDAP_HOSTNAME", &[]),
    ("LDAP_BASENAME", &[]),
    ("LDAP_USERNAME", &[]),
    ("LDAP_PASSWORD", &[]),
    ("LDAP_PASSWORD_FILE", &[]),
    ("JUMPCLOUD_URL", &[]),
    ("JUMPCLOUD_KEY", &[]),
    ("JUMPCLOUD_KEY_FILE", &[]),
    ("FORWARD_SCIM_URL", &[]),
    ("FORWARD_SCIM_KEY", &[]),
    ("FORWARD_SCIM_KEY_FILE", &[]),
    ("SCIM_FORWARD_URL", &[]),
    ("SCIM_FORWARD_KEY", &[]),
    ("SCIM_FORWARD_KEY_FILE", &[]),
    ("IRODS_HOST", &[]),
    ("IRODS_PORT", &[]),
    ("IRODS_ZONE", &[]),
    ("IRODS_ADMIN_USERNAME", &[]),
    ("IRODS_ADMIN_PASSWORD", &[]),
    ("IRODS_ADMIN_PASSWORD_FILE", &[]),
    ("USER_MAPPING", &["{}"]),
    ("GROUP_MAPPING", &["{}"]),
    ("LEDGER_URL", &[]),
    ("ASYNC_REQUEST", &["none"]),
    ("SET_FEEDS", &["default"]),
    ("SET_FEEDS_ENABLED", &["false"]),
    ("SET_GROUP_AS_FEED", &["false"]),
    ("AMQP", &[]),
    ("QUEUE", &["SCIM"]),
];
