use super::*;
use serde_json::json;

fn read(object: &Value) -> Result<Definition, Vec<String>> {
    let registry = Registry::builtin();
    let rules = Rules {
        registry: &registry,
        settings: &Settings::default(),
        origin: Origin::Configuration,
        poll_url: Some("https://us.example/poll"),
    };
    rules.read(object.as_object().expect("an object")).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn what_is_missing_or_null_gets_its_default() {
    let expected = Definition {
        description: None,
        feeds: vec!["default".into()],
        events_requested: None,
        resource_types: None,
        mode: None,
        attributes: AttributePolicy::default(),
        format: None,
        algorithm: None,
        receiving: Receiving::Poll,
    };
    assert_eq!(read(&json!({})), Ok(expected.clone()));
    let nulls: Object = SUPPLIED.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
    assert_eq!(read(&nulls.into()), Ok(expected));
}

#[test]
fn what_is_said_is_spelled_as_the_registry_does() {
    let said = json!({
        "resource_types": ["USER", "group"], "mode": "full", "alg": "EdDSA", "format": "json", "lanes": 7.0,
        "events_requested": ["urn:x", "urn:x"],
        "attributes": {"allow": ["NAME.familyname", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"], "deny": ["members"]},
        "delivery": {"method": PUSH, "endpoint_url": "https://r.example/e?x=1", "authorization_header": "Bearer x"},
    });
    let read = read(&said).expect("a definition");
    assert_eq!(read.resource_types, Some(vec!["User".into(), "Group".into()]));
    assert_eq!(read.events_requested, Some(vec!["urn:x".into()]));
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    assert_eq!(read.attributes.allow, Some(vec!["name.familyName".into(), urn.into()]));
    assert_eq!((read.mode, read.algorithm, read.format), (Some(Mode::Full), Some(Algorithm::EdDsa), Some(Format::Json)));
    let shown = format!("{:?}", read.receiving);
    assert_eq!(shown, "Push { endpoint: https://r.example/e, authorization: New(Secret(…)), lanes: 7 }");
}

#[test]
fn everything_that_is_wrong_is_named() {
    let wrong = json!({
        "name": 1, "feeds": ["x"], "resource_types": ["Cat"], "mode": "loud", "attributes": {"allow": ["nope"], "hide": []},
        "alg": "HS256", "format": 7, "description": ["x"], "events_requested": "x", "lanes": 17,
        "delivery": {"method": PUSH, "endpoint_url": "http://r.example/", "authorization_header": "a\nb", "x": 1},
    });
    insta::assert_snapshot!(read(&wrong).expect_err("wrong").join("\n"), @r"
        name: expected nothing: a stream has no such member
        description: expected a text of at most 1024 characters
        feeds: expected feeds that there are, at least one: there is default
        events_requested: expected a list of at most 128 texts of 1 to 256 characters
        resource_types: expected at least one of User, Group
        mode: expected one of notice, full
        attributes.hide: expected nothing: a stream has no such member
        attributes.allow: expected paths of attributes and extensions that are served, not 'nope'
        format: expected one of jwt, json
        alg: expected one of ES256, EdDSA, RS256
        delivery.x: expected nothing: a stream has no such member
        delivery.endpoint_url: expected the URL of a receiver: it has to be https
        delivery.authorization_header: expected the value of an Authorization header: printable ASCII, at most 8192 bytes
        ");
    for (delivery, member) in [
        (json!("x"), "delivery"),
        (json!({}), "delivery.method"),
        (json!({"method": POLL, "endpoint_url": "https://r.example/"}), "delivery.endpoint_url"),
        (json!({"method": POLL, "authorization_header": "x"}), "delivery.authorization_header"),
        (json!({"method": PUSH}), "delivery.endpoint_url"),
    ] {
        let faults = read(&json!({"delivery": delivery})).expect_err("wrong");
        assert!(faults.len() == 1 && faults[0].starts_with(&format!("{member}: ")), "{faults:?}");
    }
    assert!(read(&json!({"delivery": {"method": POLL, "endpoint_url": "https://us.example/poll"}})).is_ok());
}

#[test]
fn a_text_has_so_many_characters_at_most() {
    let said =
        |description: usize, event: usize| json!({"description": "ü".repeat(description), "events_requested": ["ü".repeat(event)]});
    let (description, event) = (limits::STREAM_DESCRIPTION_CHARACTERS, limits::STREAM_EVENT_CHARACTERS);
    assert!(read(&said(description, event)).is_ok());
    assert_eq!(
        read(&said(description + 1, event + 1)).expect_err("wrong"),
        [
            "description: expected a text of at most 1024 characters",
            "events_requested: expected a list of at most 128 texts of 1 to 256 characters"
        ]
    );
}

#[test]
fn an_endpoint_is_https_or_here() {
    for (url, is_one) in [
        ("https://r.example/events", true),
        ("https://r.example:8443/?x=%20y", true),
        ("http://127.0.0.1:9/", true),
        ("http://[::1]:9/", true),
        ("http://localhost/", true),
        ("http://r.example/", false),
        ("https://ann@r.example/", false),
        ("https://ann:pw@r.example/", false),
        ("https://r.example/#x", false),
        ("ftp://r.example/", false),
        ("/events", false),
        (" https://r.example/", false),
        ("https:///x y", false),
        ("", false),
        (&format!("https://r.example/{}", "x".repeat(limits::ENDPOINT_BYTES)), false),
    ] {
        let read = read(&json!({"delivery": {"method": PUSH, "endpoint_url": url}}));
        assert_eq!(read.is_ok(), is_one, "{url} {read:?}");
    }
}

#[test]
fn an_audience_is_one_or_several() {
    assert_eq!(audience(&json!("https://a.example")), Ok(vec!["https://a.example".into()]));
    assert_eq!(audience(&json!(["a", "b"])), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(audience(&json!("Ann & Söhne")), Ok(vec!["Ann & Söhne".into()]));
    for wrong in [
        json!([]),
        json!(""),
        json!(":x"),
        json!("urn:söhne"),
        json!("https://a b"),
        json!("/a:b"),
        json!([7]),
        json!(7),
        json!(vec!["a"; limits::AUDIENCES + 1]),
    ] {
        assert!(audience(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_request_names_no_address_of_the_inside() {
    let (registry, settings) = (Registry::builtin(), Settings::default());
    let rules = Rules { registry: &registry, settings: &settings, origin: Origin::Request, poll_url: None };
    let faults = |url: &str| {
        let said = json!({"delivery": {"method": PUSH, "endpoint_url": url}});
        rules.read(said.as_object().expect("an object")).err().unwrap_or_default()
    };
    assert_eq!(faults("https://receiver.example/"), []);
    let expected = "the URL of a receiver: its host or its port is not one that this server sends to".to_owned();
    let fault = Fault { member: "delivery.endpoint_url".into(), expected };
    for url in ["https://127.0.0.1/", "https://169.254.169.254/latest", "https://receiver.example:22/"] {
        assert_eq!(faults(url), std::slice::from_ref(&fault), "{url}");
    }
}
