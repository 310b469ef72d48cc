//! Settings: precedence, and every problem at once.

use super::*;
use crate::auth::{Scope, Scopes};
use crate::delivery::stream::Algorithm;

fn load(flags: &Flags, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(flags, environment)
}

fn file(text: &str) -> (tempfile::TempDir, Flags) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("carillon.toml");
    std::fs::write(&path, text).expect("written");
    (folder, Flags { config: Some(path), ..Flags::default() })
}

#[test]
fn nothing_set_is_the_defaults() {
    let settings = load(&Flags::default(), &[]).expect("the defaults");
    let expected = Settings {
        server: Server {
            host: "127.0.0.1".into(),
            port: 8000,
            base_path: String::new(),
            public_url: None,
            page: true,
            trusted_proxies: vec![],
            shutdown_delay_ms: 0,
            metrics_public: false,
        },
        log_level: LogLevel::Info,
        log_format: LogFormat::Text,
        api_keys: vec![],
        me_user_name: None,
        named_keys: vec![],
        store: Store::default(),
        switches: Switches {
            known_members_only: false,
            quirks: Quirks::LENIENT,
            event_mode: Mode::Notice,
            issuer: None,
            audience: None,
        },
        delivery: delivery::Settings::default(),
        patch_answer: PatchAnswer::Auto,
        unique_group_names: true,
        limits: Limits::default(),
        schemas: Loaded {
            registry: Registry::builtin().with_loose_formats().with_unique("Group", "displayName"),
            files: BTreeMap::new(),
        },
        dump_resources: None,
    };
    assert_eq!(settings, expected);
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_folder, flags) = file("[server]\nhost = \"0.0.0.0\"\nport = 1\nbase_path = \"/scim/v2/\"\n[limits]\npage_size = 7\n");
    let flags = Flags { port: Some("3".into()), ..flags };
    let settings = load(&flags, &[("PORT", "2"), ("PAGE", "false"), ("PAGE_SIZE", "8"), ("DATA_PATH", "/srv/d"), ("STORE", "")])
        .expect("fine");
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("0.0.0.0", 3));
    assert_eq!(settings.server.base_path, "/scim/v2");
    assert_eq!((settings.server.page, settings.limits.page_size), (false, 8));
    assert_eq!(settings.store, Store { data_path: "/srv/d".into(), ..Store::default() });
}

#[test]
fn keys_come_from_flags_else_variable_else_file() {
    let (folder, flags) = file("[auth]\napi_key = [\"one\", \"two\"]\n");
    let keys = |flags: &Flags, environment: &[(&str, &str)]| load(flags, environment).expect("fine").api_keys;
    assert_eq!(keys(&flags, &[]), [Secret::new("one"), Secret::new("two")]);
    assert_eq!(keys(&flags, &[("API_KEY", "three")]), [Secret::new("three")]);
    let flagged = Flags { bearer_tokens: vec![Secret::new("four")], ..flags };
    assert_eq!(keys(&flagged, &[("API_KEY", "three")]), [Secret::new("four")]);
    let path = folder.path().join("key");
    std::fs::write(&path, "five\n").expect("written");
    assert_eq!(keys(&Flags::default(), &[("API_KEY_FILE", path.to_str().expect("text"))]), [Secret::new("five")]);
}

#[test]
fn a_secret_without_an_algorithm_means_hs256() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(&path, format!("{secret}\n")).expect("written");
    let signing = |environment: &[(&str, &str)]| {
        let delivery = load(&Flags::default(), environment).expect("fine").delivery;
        (delivery.algorithm, delivery.signing_secret, delivery.secrets_key)
    };
    let path = path.to_str().expect("text");
    assert_eq!(signing(&[]), (Algorithm::Es256, None, None));
    assert_eq!(signing(&[("SET_SIGNING_SECRET", secret)]), (Algorithm::Hs256, Some(Secret::new(secret)), None));
    assert_eq!(signing(&[("SET_SIGNING_SECRET_FILE", path)]), (Algorithm::Hs256, Some(Secret::new(secret)), None));
    assert_eq!(
        signing(&[("SET_SIGNING_SECRET", secret), ("SET_SIGNING_ALGORITHM", "EdDSA"), ("SECRETS_KEY_FILE", path)]),
        (Algorithm::EdDsa, Some(Secret::new(secret)), Some(Secret::new(secret)))
    );
}

/// 8417-2.4-01
#[test]
fn what_cannot_sign_is_refused_and_no_secret_is_shown() {
    let problems = |environment: &[(&str, &str)]| load(&Flags::default(), environment).expect_err("wrong").0;
    assert_eq!(
        problems(&[
            ("SET_SIGNING_ALGORITHM", "none"),
            ("SET_SIGNING_SECRET", "hunter2"),
            ("SECRETS_KEY", "a"),
            ("SECRETS_KEY_FILE", "b")
        ]),
        [
            "SET_SIGNING_ALGORITHM (events.signing_algorithm): expected one of ES256, EdDSA, RS256, HS256, found 'none'",
            "SET_SIGNING_SECRET: expected a secret of 32 bytes or more",
            "SECRETS_KEY and SECRETS_KEY_FILE are both set: expected one of them",
        ]
    );
    assert_eq!(
        problems(&[("SET_SIGNING_ALGORITHM", "HS256")]),
        ["SET_SIGNING_ALGORITHM is HS256: expected SET_SIGNING_SECRET or SET_SIGNING_SECRET_FILE too"]
    );
}

#[test]
fn every_problem_is_listed_and_no_secret_is() {
    let (folder, flags) = file("colour = 1\n[server]\nporte = 1\n[events]\nmode = \"loud\"\n[limits]\nscans = true\n[store]\n");
    let environment = [
        ("HOST", "a b"),
        ("PORT", "70000"),
        ("LOGLEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("REVERSE_PROXY", "perhaps"),
        ("TRUSTED_PROXIES", "10.0.0.1"),
        ("PATCH_ANSWER", "none"),
        ("PAGE_SIZE", "0"),
        ("BASE_PATH", "scim"),
        ("PUBLIC_URL", "ftp://user:hunter2@example.com"),
        ("API_KEY", "hunter 2"),
        ("STORE", "ldap"),
        ("DATABASE_URL", "oracle://u:hunter2@h/d"),
        ("UNKNOWN_MEMBERS", "maybe"),
        ("UNIQUE_GROUP_NAMES", "ja"),
        ("QUIRKS", "strict,+colours"),
        ("INDEXED_ATTRIBUTES", "User:title,title,Cat:name,User:nope,User:name,User:password,Group:members"),
        ("SET_ISSUER", ":me"),
        ("LDAP_PASSWORD", "hunter2"),
        ("ASYNC_REQUEST", "long"),
        ("SET_FORMAT", "xml"),
        ("SET_PUSH_TOKEN", "hunter2"),
        ("USER_MODEL_NAME", "Users"),
        ("SET_FEEDS", "default"),
        ("SET_AUDIENCE", "https://receiver.example.com/"),
    ];
    let problems = load(&flags, &environment).expect_err("all of this is wrong").to_string();
    assert!(!problems.contains("hunter"), "{problems}");
    let problems = problems.replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(problems, @r#"
        FOLDER/carillon.toml: colour is not a setting
        FOLDER/carillon.toml: server.porte is not a setting
        LDAP_PASSWORD: what it names is not built yet; unset it
        ASYNC_REQUEST: what it asks for is not built yet; expected none, or not to be set
        HOST (server.host): expected a host name or an IP address, found 'a b'
        PORT (server.port): expected a port number, 0 to 65535, found '70000'
        BASE_PATH (server.base_path): expected a path such as /scim/v2, found 'scim'
        PUBLIC_URL (server.public_url): expected an http or https URL without user, query and fragment
        REVERSE_PROXY (server.reverse_proxy): expected true or false, found 'perhaps'
        TRUSTED_PROXIES is set, but REVERSE_PROXY is not true: expected both
        LOGLEVEL (log.level): expected one of ERROR, WARN, INFO, DEBUG, TRACE, found 'LOUD'
        LOG_FORMAT (log.format): expected text or json, found 'xml'
        API_KEY: expected a key of printable ASCII characters without spaces
        STORE (store.backend): expected sqlite or postgres or memory (no other store is built yet), found 'ldap'
        DATABASE_URL (store.database_url): expected sqlite:<folder>/carillon.db or postgresql://<user>:<password>@<host>/<database> (no other database is built yet)
        EVENT_MODE (events.mode): expected notice or full, found 'loud'
        UNKNOWN_MEMBERS (groups.unknown_members): expected accept or reject, found 'maybe'
        QUIRKS (protocol.quirks): expected lenient or strict, then any number of ,+name or ,-name of json_in_strings, dotted_names, own_id, manager_id, manager_as_string, booleans_as_strings, microsoft_schemas, extension_schemas, value_path_comparisons, bare_words_in_filters, create_from_filter, remove_listed_members, loose_formats, found 'strict,+colours'
        SET_ISSUER (events.issuer): expected a URI, or a name without a colon, found ':me'
        SET_FORMAT (events.format): expected jwt or json, found 'xml'
        PATCH_ANSWER (protocol.patch_answer): expected auto, resource or no_content, found 'none'
        UNIQUE_GROUP_NAMES (groups.unique_names): expected true or false, found 'ja'
        PAGE_SIZE (limits.page_size): expected a whole number, at least 1, found '0'
        LIMIT_SCANS (limits.scans): expected a whole number, at least 1, found 'true'
        INDEXED_ATTRIBUTES: expected a resource type, a colon and an attribute, such as User:name.familyName, found 'title'
        INDEXED_ATTRIBUTES: expected a resource type, a colon and an attribute, such as User:name.familyName, found 'Cat:name'
        INDEXED_ATTRIBUTES: 'User:nope': attribute 'nope' is not defined
        INDEXED_ATTRIBUTES: 'User:name': attribute 'name' is complex: name one of its parts
        INDEXED_ATTRIBUTES: 'User:password': attribute 'password' cannot be indexed
        INDEXED_ATTRIBUTES: 'Group:members': attribute 'members.value' cannot be indexed
        SET_PUSH_TOKEN is set, but SET_PUSH_URL is not: expected both
        "#);
}

#[test]
fn a_file_that_is_not_toml_is_a_problem_that_shows_none_of_it() {
    let (_folder, flags) = file("[auth]\napi_key = hunter2 hunter2\n");
    let problems = load(&flags, &[]).expect_err("not TOML");
    assert_eq!(problems.0.len(), 1);
    assert!(problems.0[0].contains("expected TOML") && !problems.0[0].contains("hunter2"), "{problems}");
    let absent = Flags { config: Some("/nowhere/carillon.toml".into()), ..Flags::default() };
    assert!(load(&absent, &[]).expect_err("no file").0[0].starts_with("--config: expected a file that can be read"));
}

#[test]
fn keys_with_names_come_from_the_file() {
    let (folder, flags) = file("");
    let kept = folder.path().join("kept");
    std::fs::write(&kept, "three\n").expect("written");
    let text = format!(
        "[[auth.keys]]\nname = \"entra\"\nkey = \"one\"\nuser_name = \"ann\"\n\
         [[auth.keys]]\nname = \"entra\"\nkey = \"two\"\nuser_name = \"ann\"\n\
         [[auth.keys]]\nname = \"okta\"\nkey_file = {kept:?}\nscopes = [\"scim:read\", \"events:read\"]\n[auth]\nuser_name = \"bob\"\n"
    );
    std::fs::write(flags.config.as_ref().expect("a file"), text).expect("written");
    let settings = load(&flags, &[]).expect("fine");
    let credential = |principal: &str, key: &str, user_name: Option<&str>| Credential {
        principal: principal.into(),
        key: Secret::new(key),
        user_name: user_name.map(Secret::new),
        scopes: if principal == "okta" { [Scope::ScimRead, Scope::EventsRead].into_iter().collect() } else { Scopes::default() },
    };
    let expected =
        [credential("entra", "one", Some("ann")), credential("entra", "two", Some("ann")), credential("okta", "three", None)];
    assert_eq!(settings.named_keys, expected);
    assert_eq!((settings.api_keys, settings.me_user_name), (vec![], Some(Secret::new("bob"))));
}

#[test]
fn every_problem_of_keys_with_names_is_listed_and_no_key_is() {
    let (_folder, flags) = file(concat!(
        "[[auth.keys]]\nname = \"a b\"\nkey = \"hunter1\"\n",
        "[[auth.keys]]\nname = \"api-key\"\nkey = \"hunter2\"\n",
        "[[auth.keys]]\nname = \"c\"\n",
        "[[auth.keys]]\nname = \"d\"\nkey = \"hunter3\"\nkey_file = \"x\"\nscope = 1\n",
        "[[auth.keys]]\nname = \"e\"\nkey = \"hunter 4\"\n",
        "[[auth.keys]]\nname = \"f\"\nkey = \"hunter5\"\nuser_name = 7\n",
        "[[auth.keys]]\nname = \"f\"\nkey = \"hunter5\"\nuser_name = \"ann\"\n",
        "[[auth.keys]]\nname = \"g\"\nkey_file = \"/nowhere/key\"\n",
        "[[auth.keys]]\nname = \"h\"\nkey = \"hunter6\"\nscopes = [\"scim:read\", \"users:write\", \"Admin\"]\n",
        "[[auth.keys]]\nname = \"i\"\nkey = \"hunter7\"\nscopes = \"scim:read\"\n",
        "[[auth.keys]]\nname = \"j\"\nkey = \"hunter8\"\nscopes = []\n",
    ));
    let problems = load(&flags, &[]).expect_err("all of this is wrong").to_string();
    assert!(!problems.contains("hunter"), "{problems}");
    insta::assert_snapshot!(problems, @r"
        auth.keys (1): name: expected letters, digits, '.', '_' and '-', at most 64 of them, and not 'api-key'
        auth.keys (2): name: expected letters, digits, '.', '_' and '-', at most 64 of them, and not 'api-key'
        auth.keys (3): expected one of key and key_file
        auth.keys (4): scope is not a setting
        auth.keys (4): expected one of key and key_file
        auth.keys (5): expected a key of printable ASCII characters without spaces
        auth.keys (6): user_name: expected a text
        auth.keys (8): key_file: expected a file that can be read: No such file or directory (os error 2)
        auth.keys (9): scopes: expected scim:read, scim:write, events:read, streams:manage, admin, found 'users:write'
        auth.keys (9): scopes: expected scim:read, scim:write, events:read, streams:manage, admin, found 'Admin'
        auth.keys (10): scopes: expected a list of texts, at least one of scim:read, scim:write, events:read, streams:manage, admin
        auth.keys (11): scopes: expected a list of texts, at least one of scim:read, scim:write, events:read, streams:manage, admin
        auth.keys: f has a key that stands there twice
        auth.keys: the keys of f differ in user_name
        ");
}

#[test]
fn proxies_are_believed_when_asked_for() {
    let proxies = |flags: &Flags, environment: &[(&str, &str)]| {
        let settings = load(flags, environment).map(|settings| settings.server.trusted_proxies);
        settings.map(|networks| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    let usual = "127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7";
    assert_eq!(proxies(&Flags::default(), &[]).as_deref(), Ok(""));
    assert_eq!(proxies(&Flags::default(), &[("REVERSE_PROXY", "true")]).as_deref(), Ok(usual));
    assert_eq!(proxies(&Flags { reverse_proxy: true, ..Flags::default() }, &[]).as_deref(), Ok(usual));
    let named = [("REVERSE_PROXY", "true"), ("TRUSTED_PROXIES", "192.0.2.1, 2001:db8::/32")];
    assert_eq!(proxies(&Flags::default(), &named).as_deref(), Ok("192.0.2.1/32 2001:db8::/32"));
    for wrong in ["proxy.example.com", "10.0.0.0/99", "10.0.0.1,,", "*"] {
        let problems = proxies(&Flags::default(), &[("REVERSE_PROXY", "true"), ("TRUSTED_PROXIES", wrong)]).expect_err(wrong);
        assert!(problems.0[0].starts_with("TRUSTED_PROXIES (server.trusted_proxies): expected"), "{problems}");
    }
    let (_folder, flags) = file("[server]\nreverse_proxy = true\ntrusted_proxies = [\"192.0.2.1\", \"::1\"]\n");
    assert_eq!(proxies(&flags, &[]).as_deref(), Ok("192.0.2.1/32 ::1/128"));
}

#[test]
fn a_database_url_names_the_data_folder() {
    let folder = |url| load(&Flags::default(), &[("DATABASE_URL", url)]).map(|settings| settings.store.data_path);
    assert_eq!(folder("sqlite:carillon.db"), Ok(".".into()));
    assert_eq!(folder("sqlite:data/carillon.db"), Ok("data".into()));
    assert_eq!(folder("sqlite:///srv/carillon/carillon.db"), Ok("/srv/carillon".into()));
    assert!(folder("sqlite:///srv/other.db").is_err() && folder("sqlite:").is_err());
    assert!(load(&Flags::default(), &[("DATABASE_URL", "sqlite:a/carillon.db"), ("DATA_PATH", "b")]).is_err());
    assert!(load(&Flags::default(), &[("DATABASE_URL", "sqlite:a/carillon.db"), ("STORE", "memory")]).is_err());
}

#[test]
fn base_paths_and_public_urls_are_checked() {
    assert_eq!(path_prefix("/"), Some(String::new()));
    assert_eq!(path_prefix("/scim/v2"), Some("/scim/v2".into()));
    for wrong in ["", "scim", "//", "/a//b", "/{id}", "/a b", "/a?b", "/a/../b", "/%41"] {
        assert_eq!(path_prefix(wrong), None, "{wrong}");
    }
    assert_eq!(public_url("https://scim.example.com/"), Some("https://scim.example.com".into()));
    assert_eq!(public_url("https://example.com:8443/a/"), Some("https://example.com:8443/a".into()));
    for wrong in ["example.com", "ftp://example.com", "https://example.com?a", "https://example.com#a", "https://u:p@example.com"] {
        assert_eq!(public_url(wrong), None, "{wrong}");
    }
}

#[test]
fn every_setting_is_shown_with_its_value() {
    let (_, shown) = Settings::explained(&Flags::default(), []).expect("the defaults");
    let silent: Vec<&str> = shown.iter().filter(|shown| shown.value == "(not set)").map(|shown| shown.variable).collect();
    // Other ways to say what another setting shows, or the list of indexes. A new setting gets a line in `effective`.
    let files = ["SET_PUSH_TOKEN_FILE", "SET_SIGNING_SECRET_FILE"];
    let stores = ["API_KEY_FILE", "SECRETS_KEY_FILE", "DATABASE_URL", "DATABASE_URL_FILE", "INDEXED_ATTRIBUTES"];
    let expected: Vec<&str> = stores.into_iter().chain(files).collect();
    assert_eq!(silent, expected);
    assert!(shown.iter().all(|shown| shown.source == Source::Default));
}

#[test]
fn where_a_value_comes_from_is_shown_and_no_secret_is() {
    let (_folder, flags) = file("[auth]\napi_key = \"hunter2hunter2\"\n[limits]\nscans = 2\n");
    let flags = Flags { port: Some("3".into()), ..flags };
    let environment =
        [("PORT", "2"), ("DATABASE_URL", "sqlite:x/carillon.db")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (_, shown) = Settings::explained(&flags, environment).expect("fine");
    let of = |variable: &str| {
        let one = shown.iter().find(|shown| shown.variable == variable).expect("a setting");
        (one.value.clone(), one.source)
    };
    assert_eq!(of("PORT"), ("3".to_owned(), Source::Flag("--port")));
    assert_eq!(of("LIMIT_SCANS"), ("2".to_owned(), Source::File));
    assert_eq!(of("DATA_PATH"), ("x".to_owned(), Source::Default));
    assert_eq!(of("DATABASE_URL"), ("(set, not shown)".to_owned(), Source::Environment));
    assert_eq!(of("API_KEY"), ("(1 key, not shown)".to_owned(), Source::File));
}

#[test]
fn how_much_of_the_log_is_kept_is_read() {
    let kept = |environment: &[(&str, &str)]| load(&Flags::default(), environment).map(|settings| settings.delivery.retention);
    let retention = |events, age_ms| Ok(delivery::Retention { events, age_ms });
    assert_eq!(kept(&[]), retention(1_000_000, 30 * 24 * 60 * 60 * 1_000));
    assert_eq!(kept(&[("SET_POLL_MAX_EVENTS", "5"), ("EVENT_RETENTION", "90m")]), retention(5, 90 * 60 * 1_000));
    let problems = kept(&[("SET_POLL_MAX_EVENTS", "0"), ("EVENT_RETENTION", "0")]).expect_err("both are wrong");
    insta::assert_snapshot!(problems, @r"
        SET_POLL_MAX_EVENTS (events.retention_events): expected a whole number, at least 1, found '0'
        EVENT_RETENTION (events.retention): expected a time above 0, such as 30d, 12h, 90m, 3600s, or a number of days, found '0'
        ");
    let (_folder, flags) = file("[events]\nretention = 7\nretention_events = 12\n");
    let settings = load(&flags, &[]).expect("fine");
    assert_eq!(settings.delivery.retention, delivery::Retention { events: 12, age_ms: 7 * 24 * 60 * 60 * 1_000 });
}
