//! Settings: precedence, and every problem at once.

use super::*;

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
        server: Server { host: "127.0.0.1".into(), port: 8000, base_path: String::new(), public_url: None },
        log_level: LogLevel::Info,
        api_keys: vec![],
        store: Store { backend: "sqlite", data_path: "./data".into() },
        switches: Switches { known_members_only: false, event_mode: Mode::Notice, issuer: None, audience: None },
        unique_group_names: true,
        limits: Limits::default(),
    };
    assert_eq!(settings, expected);
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_folder, flags) = file("[server]\nhost = \"0.0.0.0\"\nport = 1\nbase_path = \"/scim/v2/\"\n[limits]\npage_size = 7\n");
    let flags = Flags { port: Some("3".into()), ..flags };
    let settings = load(&flags, &[("PORT", "2"), ("PAGE_SIZE", "8"), ("DATA_PATH", "/srv/d"), ("STORE", "")]).expect("fine");
    assert_eq!((settings.server.host.as_str(), settings.server.port), ("0.0.0.0", 3));
    assert_eq!(settings.server.base_path, "/scim/v2");
    assert_eq!(settings.limits.page_size, 8);
    assert_eq!(settings.store, Store { backend: "sqlite", data_path: "/srv/d".into() });
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
fn every_problem_is_listed_and_no_secret_is() {
    let (folder, flags) = file("colour = 1\n[server]\nporte = 1\n[events]\nmode = \"loud\"\n[limits]\nscans = true\n[store]\n");
    let flags = Flags { reverse_proxy: true, ..flags };
    let environment = [
        ("HOST", "a b"),
        ("PORT", "70000"),
        ("LOGLEVEL", "LOUD"),
        ("PAGE_SIZE", "0"),
        ("BASE_PATH", "scim"),
        ("PUBLIC_URL", "ftp://user:hunter2@example.com"),
        ("API_KEY", "hunter 2"),
        ("STORE", "ldap"),
        ("DATABASE_URL", "postgresql://u:hunter2@h/d"),
        ("UNKNOWN_MEMBERS", "maybe"),
        ("UNIQUE_GROUP_NAMES", "ja"),
        ("SET_ISSUER", ":me"),
        ("LDAP_PASSWORD", "hunter2"),
        ("ASYNC_REQUEST", "long"),
        ("SET_FORMAT", "jwt"),
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
        --reverse-proxy is not built yet: set PUBLIC_URL instead
        LDAP_PASSWORD: what it names is not built yet; unset it
        ASYNC_REQUEST: what it asks for is not built yet; expected none, or not to be set
        SET_FORMAT: what it asks for is not built yet; expected json, or not to be set
        HOST (server.host): expected a host name or an IP address, found 'a b'
        PORT (server.port): expected a port number, 0 to 65535, found '70000'
        BASE_PATH (server.base_path): expected a path such as /scim/v2, found 'scim'
        PUBLIC_URL (server.public_url): expected an http or https URL without user, query and fragment
        LOGLEVEL (log.level): expected one of ERROR, WARN, INFO, DEBUG, TRACE, found 'LOUD'
        API_KEY: expected a key of printable ASCII characters without spaces
        STORE (store.backend): expected sqlite or memory (no other store is built yet), found 'ldap'
        DATABASE_URL (store.database_url): expected sqlite:<folder>/carillon.db (no other database is built yet)
        EVENT_MODE (events.mode): expected notice or full, found 'loud'
        UNKNOWN_MEMBERS (groups.unknown_members): expected accept or reject, found 'maybe'
        SET_ISSUER (events.issuer): expected a URI, or a name without a colon, found ':me'
        UNIQUE_GROUP_NAMES (groups.unique_names): expected true or false, found 'ja'
        PAGE_SIZE (limits.page_size): expected a whole number, at least 1, found '0'
        LIMIT_SCANS (limits.scans): expected a whole number, at least 1, found 'true'
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
    assert_eq!(base_path("/"), Some(String::new()));
    assert_eq!(base_path("/scim/v2"), Some("/scim/v2".into()));
    for wrong in ["", "scim", "//", "/a//b", "/{id}", "/a b", "/a?b", "/a/../b", "/%41"] {
        assert_eq!(base_path(wrong), None, "{wrong}");
    }
    assert_eq!(public_url("https://scim.example.com/"), Some("https://scim.example.com".into()));
    assert_eq!(public_url("https://example.com:8443/a/"), Some("https://example.com:8443/a".into()));
    for wrong in ["example.com", "ftp://example.com", "https://example.com?a", "https://example.com#a", "https://u:p@example.com"] {
        assert_eq!(public_url(wrong), None, "{wrong}");
    }
}
