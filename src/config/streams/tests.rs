use crate::config::{Flags, Problems, Settings};
use crate::delivery::{Authorization, Configured, Receiving};

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("carillon.toml");
    std::fs::write(&path, text).expect("written");
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(&Flags { config: Some(path), ..Flags::default() }, environment)
}

#[test]
fn streams_come_from_the_variables_and_from_tables() {
    let text = r#"
        [[auth.keys]]
        name = "payroll"
        key = "a-key-of-payroll"
        [[events.streams]]
        name = "payroll"
        owner = "payroll"
        poll = true
        resource_types = ["user"]
        deny = ["NAME.familyname", "urn:ietf:params:scim:schemas:core:2.0:User:title"]
        audience = ["https://a.example", "https://b.example"]
        start = "2026-01-01T00:00:00Z"
        [[events.streams]]
        name = "hr"
        push = "http://127.0.0.1:9/events?key=hidden"
        authorization = "Basic hidden"
        lanes = 16
    "#;
    let settings = load(text, &[("SET_PUSH_URL", "https://r.example/events"), ("SET_PUSH_TOKEN", "hidden")]).expect("read");
    let shown = format!("{:?}", settings.delivery.streams);
    assert!(!shown.contains("hidden"), "{shown}");
    let [push, payroll, hr] = &settings.delivery.streams[..] else { panic!("{shown}") };
    let pushed = |stream: &Configured| match &stream.definition.receiving {
        Receiving::Push { endpoint, authorization: Authorization::New(header), lanes } => {
            (endpoint.0.clone(), header.expose().to_owned(), *lanes)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(pushed(push), ("https://r.example/events".into(), "Bearer hidden".into(), 4));
    assert_eq!(pushed(hr), ("http://127.0.0.1:9/events?key=hidden".into(), "Basic hidden".into(), 16));
    assert_eq!((payroll.id.as_str(), payroll.owner.as_str(), hr.owner.as_str()), ("payroll", "payroll", "api-key"));
    assert_eq!(payroll.definition.receiving, Receiving::Poll);
    assert_eq!(payroll.definition.attributes.deny, ["name.familyName", "title"]);
    assert_eq!(payroll.definition.resource_types, Some(vec!["User".to_owned()]));
    assert_eq!(payroll.audience, ["https://a.example", "https://b.example"]);
}

#[test]
fn every_problem_of_streams_is_listed_and_no_secret_is() {
    let text = r#"
        [[events.streams]]
        name = "a b"
        poll = true
        [[events.streams]]
        name = "push"
        push = "http://r.example/?hunter2"
        authorization = "hunter2\u0007"
        feeds = ["nowhere"]
        [[events.streams]]
        name = "c"
        [[events.streams]]
        name = "d"
        poll = true
        push = "https://r.example/"
        [[events.streams]]
        name = "e"
        poll = true
        colour = "blue"
        lanes = 1
        mode = "loud"
        alg = "HS256"
        allow = ["nope"]
        resource_types = []
        owner = "nobody"
        start = "oldest"
        audience = []
        [[events.streams]]
        name = "feed-x"
        poll = "yes"
    "#;
    let problems = load(text, &[("SET_PUSH_URL", "ftp://hunter2"), ("SET_POLL_ENABLED", "maybe")]).expect_err("wrong").to_string();
    assert!(!problems.contains("hunter"), "{problems}");
    insta::assert_snapshot!(problems, @r"
        SET_POLL_ENABLED (events.poll_enabled): expected true or false, found 'maybe'
        SET_PUSH_URL (events.push_url): expected the URL of a receiver: it has to be an absolute https URL
        events.streams (1): name: expected letters, digits, '.', '_', '~' and '-', at most 64 of them, no UUID, and not 'feed-' before them
        events.streams (2): feeds: expected feeds that there are, at least one: there is default
        events.streams (2): push: expected the URL of a receiver: it has to be https
        events.streams (2): authorization: expected the value of an Authorization header: printable ASCII, at most 8192 bytes
        events.streams (3): expected one of push, a URL, and poll = true
        events.streams (4): expected one of push, a URL, and poll = true
        events.streams (5): colour is not a setting
        events.streams (5): owner: expected the name of one of [[auth.keys]], or 'api-key'
        events.streams (5): start: expected now, a time such as 2026-01-01T00:00:00Z, or the jti of an event
        events.streams (5): resource_types: expected at least one of User, Group
        events.streams (5): mode: expected one of notice, full
        events.streams (5): allow: expected paths of attributes and extensions that are served, not 'nope'
        events.streams (5): alg: expected one of ES256, EdDSA, RS256
        events.streams (5): lanes: expected nothing: it is of streams that are pushed
        events.streams (5): audience: expected a URI or a name without a colon, or a list of at most 16 of them
        events.streams (6): name: expected letters, digits, '.', '_', '~' and '-', at most 64 of them, no UUID, and not 'feed-' before them
        events.streams (6): poll: expected true or false
        ");
}

#[test]
fn a_token_needs_a_url_and_tls_can_be_let_go() {
    let problems = load("", &[("SET_PUSH_TOKEN", "hunter2")]).expect_err("a URL is missing").to_string();
    assert_eq!(problems, "SET_PUSH_TOKEN is set, but SET_PUSH_URL is not: expected both");
    let clear = [("SET_PUSH_URL", "http://r.example/"), ("SET_PUSH_REQUIRE_TLS", "false")];
    assert_eq!(load("", &clear).expect("read").delivery.streams.len(), 1);
    let strict = [("SET_PUSH_URL", "http://127.0.0.1/"), ("SET_PUSH_REQUIRE_TLS", "true")];
    assert!(load("", &strict).is_err());
}
