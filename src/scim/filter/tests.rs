use super::*;
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::path;
use crate::scim::schema::{ENTERPRISE_USER, Registry};
use serde_json::json;

fn resolved(text: &str) -> Result<Filter, Error> {
    let registry = Registry::builtin();
    resolve(registry.by_name("User").expect("User"), &parse(text)?)
}

fn barbara() -> Object {
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_USER],
        "id": "2819C223",
        "externalId": "BJensen",
        "userName": "bjensen@example.com",
        "name": {"familyName": "O'Malley", "givenName": "Zoë"},
        "title": "Vice President",
        "nickName": "",
        "userType": "Employee",
        "active": true,
        "emails": [
            {"value": "bjensen@example.com", "type": "work", "primary": true},
            {"value": "babs@jensen.org", "type": "home"},
        ],
        "ims": [{"value": "babs@foo.com", "type": "xmpp"}],
        "x509Certificates": [{"value": "MIIDQzCC"}],
        "groups": [{"value": "e9e30dba", "display": "Tour Guides", "type": "direct"}],
        "meta": {"resourceType": "User", "created": "2010-01-23T04:56:22.000Z", "lastModified": "2011-05-13T04:42:34.000Z",
                 "version": "\"3\""},
        ENTERPRISE_USER: {"department": "Tour Operations", "manager": {"value": "26118915"}},
    });
    user.as_object().expect("an object").clone()
}

fn matches(text: &str) -> bool {
    resolved(text).unwrap_or_else(|error| panic!("{text}: {error}")).matches(&barbara())
}

fn refusal(text: &str) -> String {
    let error = resolved(text).expect_err(text);
    assert_eq!(error.kind, ErrorKind::InvalidFilter, "{text}");
    error.detail
}

fn assert_matching(filters: &[(&str, bool)]) {
    for (text, expected) in filters {
        assert_eq!(matches(text), *expected, "{text}");
    }
}

/// 7644-3.4.2.2-02 7644-3.4.2.2-06 7644-3.4.2.2-16
#[test]
fn the_examples_of_rfc_7644_figure_2() {
    assert_matching(&[
        (r#"userName eq "bjensen""#, false),
        (r#"userName eq "BJensen@example.com""#, true),
        (r#"name.familyName co "O'Malley""#, true),
        (r#"userName sw "J""#, false),
        (r#"userName sw "B""#, true),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J""#, false),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "b""#, true),
        ("title pr", true),
        (r#"meta.lastModified gt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified ge "2011-05-13T04:42:34Z""#, true),
        (r#"meta.lastModified lt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified le "2011-05-13T04:42:34Z""#, true),
        (r#"title pr and userType eq "Employee""#, true),
        (r#"title pr or userType eq "Intern""#, true),
        (r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#, true),
        (r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#, true),
        (r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#, false),
        (r#"userType eq "Employee" and (emails.type eq "work")"#, true),
        (r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#, true),
        (r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#, true),
    ]);
}

/// 7644-3.4.2.2-03 7644-3.4.2.2-04 7643-2.1-01
#[test]
fn operators_literals_and_names_have_no_case() {
    assert_matching(&[
        (r#"USERNAME EQ"bjensen@EXAMPLE.com""#, true),
        ("NOT(title PR) Or active Eq TRUE", true),
        ("not (title pr)", false),
        ("not(title pr)", false),
        ("  ( title   pr )AND( active ne False ) ", true),
        (&format!(r#"{}:DEPARTMENT sw "tour""#, ENTERPRISE_USER.to_uppercase()), true),
        (&format!(r#"{ENTERPRISE_USER}.department sw "tour""#), true),
        (&format!(r#"{ENTERPRISE_USER}:manager.value eq "26118915""#), true),
        (&format!(r#"{ENTERPRISE_USER}:manager eq "26118915""#), true),
        (&format!(r#"{ENTERPRISE_USER}:manager[value eq "26118916"]"#), false),
    ]);
}

/// 7644-3.4.2.2-05
#[test]
fn and_binds_before_or_and_not_before_both() {
    let term = |name: &str| Expression::Present(name.into());
    let parsed = |text| parse(text).expect(text);
    let b_and_c = Expression::And(vec![term("b"), term("c")]);
    assert_eq!(parsed("a pr or b pr and c pr"), Expression::Or(vec![term("a"), b_and_c.clone()]));
    assert_eq!(parsed("b pr and c pr or a pr"), Expression::Or(vec![b_and_c.clone(), term("a")]));
    let a_or_b = Expression::Or(vec![term("a"), term("b")]);
    assert_eq!(parsed("(a pr or b pr) and c pr"), Expression::And(vec![a_or_b.clone(), term("c")]));
    let not_a = Expression::Not(Box::new(term("a")));
    assert_eq!(parsed("not (a pr) and b pr"), Expression::And(vec![not_a, term("b")]));
    let path = Expression::ValuePath { path: "x".into(), filter: Box::new(a_or_b) };
    assert_eq!(parsed("x[a pr or b pr] and c pr"), Expression::And(vec![path, term("c")]));
    assert_eq!(parsed("not pr and and pr"), Expression::And(vec![term("not"), term("and")]));
}

/// 7644-3.4.2.2-10 7644-3.4.2.2-16
#[test]
fn strings_follow_the_case_of_their_attribute() {
    assert_matching(&[
        (r#"externalId eq "BJensen""#, true),
        (r#"externalId eq "bjensen""#, false),
        (r#"id eq "2819C223""#, true),
        (r#"id eq "2819c223""#, false),
        (r#"name.givenName eq "ZOE\u0308""#, true),
        (r#"name.givenName ew "Ë""#, true),
        (r#"x509Certificates eq "miidqzcc""#, false),
        (r#"x509Certificates sw "MII""#, true),
        (r#"groups.display gt "tour""#, true),
        (r#"groups eq "e9e30dba""#, true),
        (r#"meta.version eq "\"3\"""#, true),
    ]);
}

/// 7644-3.4.2.2-08
#[test]
fn times_compare_as_instants() {
    assert_matching(&[
        (r#"meta.lastModified eq "2011-05-13T06:42:34+02:00""#, true),
        (r#"meta.lastModified lt "2011-05-13T04:42:34+02:00""#, false),
        (r#"meta.created lt "2010-01-23T04:56:22.001Z""#, true),
    ]);
}

/// 7644-3.4.2.2-07: `""` is not present; `ne` holds where there is no value, also of a multi-valued attribute
#[test]
fn absence_of_a_value() {
    assert_matching(&[
        ("nickName pr", false),
        ("nickName eq null", true),
        (r#"nickName eq """#, true),
        (r#"nickName ne """#, false),
        ("displayName pr", false),
        ("displayName eq null", true),
        ("displayName ne null", false),
        ("title ne null", true),
        (r#"displayName eq """#, false),
        (r#"displayName ne "x""#, true),
        (r#"displayName le "x""#, false),
        (r#"phoneNumbers ne "x""#, true),
        ("phoneNumbers pr", false),
        ("phoneNumbers eq null", true),
        ("name pr", true),
        ("meta pr", true),
        ("addresses pr", false),
        ("emails[primary eq null]", false),
        ("emails[primary eq false]", true),
        (r#"emails[display ne "x"]"#, true),
    ]);
}

/// 7644-3.4.2.2-11 7644-3.4.2.2-12
#[test]
fn one_value_of_many_is_enough() {
    assert_matching(&[
        (r#"emails.type ne "work""#, true),
        (r#"ims.type ne "xmpp""#, false),
        (r#"emails.type eq "work" and emails.value ew "jensen.org""#, true),
        (r#"emails[type eq "work" and value ew "jensen.org"]"#, false),
        (r#"emails[type eq "home" and value ew "jensen.org"]"#, true),
        (r#"emails[not (type eq "work")]"#, true),
        (r#"not (emails[type eq "work"])"#, false),
        ("emails[primary eq true]", true),
    ]);
}

/// 7644-3.4.2.2-02 7644-3.4.2.2-03 7644-3.4.2.2-14
#[test]
fn what_does_not_follow_the_grammar_is_refused_with_its_place() {
    let at = |character: usize, what: &str| format!("The filter is malformed at character {character}: {what}.");
    let unquoted = "a string must stand in double quotes";
    for (text, expected) in [
        ("", at(1, "an attribute is expected")),
        ("userName", at(9, "an operator is expected")),
        ("userName xx \"a\"", at(10, "'xx' is not an operator")),
        ("userName eq", at(12, "a value is expected")),
        ("userName eq bjensen", at(13, unquoted)),
        ("userName eq 'bjensen'", at(13, unquoted)),
        ("userName eq \"bjensen", at(13, "the string is not closed")),
        ("userName eq \"a\\\"", at(13, "the string is not closed")),
        ("userName eq \"\\x\"", at(13, "this is not a JSON string (RFC 8259 section 7)")),
        ("userName eq \"\\ud800\"", at(13, "this is not a JSON string (RFC 8259 section 7)")),
        ("userName eq \"a\nb\"", at(13, "this is not a JSON string (RFC 8259 section 7)")),
        ("userName eq \"\\u0000\"", at(13, "the string contains the character U+0000")),
        ("userName eq \"\0\"", at(13, "this is not a JSON string (RFC 8259 section 7)")),
        ("userName eq 01", at(13, "this is not a JSON number, or one out of range")),
        ("userName eq 1e999", at(13, "this is not a JSON number, or one out of range")),
        ("userName eq \"ü\" title pr", at(17, "'and', 'or' or the end is expected")),
        ("userName pr)", at(12, "'and', 'or' or the end is expected")),
        ("(userName pr", at(13, "'and', 'or' or ')' is expected")),
        ("emails[type pr", at(15, "'and', 'or' or ']' is expected")),
        ("emails[type pr)", at(15, "'and', 'or' or ']' is expected")),
        ("emails[]", at(8, "an attribute is expected")),
        ("emails[type pr].value pr", at(16, "'and', 'or' or the end is expected")),
        ("title pr and", at(13, "an attribute is expected")),
        ("title pr or or", at(15, "an operator is expected")),
        ("not title pr", at(5, "'title' is not an operator")),
        ("1title pr", at(1, "'1title' is not an attribute path")),
        ("a.b.c pr", at(1, "'a.b.c' is not an attribute path")),
        ("emails[x[y pr]]", at(9, "a value path may not stand within another one")),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn hostile_filters_meet_a_named_limit() {
    let nested = |opening: &str, inner: &str, closing: &str, times: usize| opening.repeat(times) + inner + &closing.repeat(times);
    assert!(refusal(&"(".repeat(10_000)).contains("nested deeper than 64 levels"));
    assert!(refusal(&nested("not (", "a pr", ")", 2_000)).contains("nested deeper than 64 levels"));
    assert!(refusal(&"a[".repeat(5_000)).contains("within another one"));
    for (opening, closing) in [("(", ")"), ("not (", ")"), ("a[", "]")] {
        assert_eq!(refusal(&nested(opening, "a pr", closing, 10_000)), "The filter is longer than 16384 bytes.");
    }
    assert!(parse(&nested("(", "a pr", ")", 64)).is_ok());
    assert!(parse(&nested("(", "a pr", ")", 65)).is_err());
    assert!(parse(&vec!["a pr"; 256].join(" or ")).is_ok());
    assert!(refusal(&vec!["a pr"; 257].join(" or ")).contains("more than 256 terms"));
    assert!(refusal(&format!("{} pr", "a".repeat(2_000))).contains("is not an attribute path"));
    let error = parse_path(&nested("a[", "a pr", "]", 10_000)).expect_err("too long");
    assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::InvalidPath, "The path is longer than 16384 bytes."));
}

/// 7644-3.4.2.2-08 7644-3.4.2.2-09 7644-3.4.2.2-17
#[test]
fn what_does_not_go_together_is_refused_by_name() {
    let enterprise = format!("{ENTERPRISE_USER} pr");
    for (text, expected) in [
        ("nope pr", "attribute 'nope' is not defined."),
        ("name.nope pr", "attribute 'name.nope' is not defined."),
        ("emails[nope pr]", "attribute 'emails.nope' is not defined."),
        ("urn:x:y:z pr", "attribute 'urn:x:y:z' is not defined."),
        (&enterprise, "'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User' is a schema, not an attribute."),
        (r#"password eq "t0ps3cret""#, "attribute 'password' is never returned, so it can not be filtered by."),
        ("PASSWORD pr", "attribute 'password' is never returned, so it can not be filtered by."),
        ("name eq \"x\"", "attribute 'name' is complex: name one of its sub-attributes."),
        ("name eq null", "attribute 'name' is complex: name one of its sub-attributes."),
        ("active gt true", "attribute 'active' can not be compared with 'gt'."),
        ("active co \"t\"", "attribute 'active' can not be compared with 'co'."),
        ("active eq \"true\"", "attribute 'active' is compared to true or false."),
        ("userName eq true", "attribute 'userName' is compared to a string in double quotes."),
        ("userName eq 5", "attribute 'userName' is compared to a string in double quotes."),
        ("userName gt null", "attribute 'userName' can not be compared with 'gt' to null."),
        ("emails co null", "attribute 'emails.value' can not be compared with 'co' to null."),
        ("x509Certificates gt \"a\"", "attribute 'x509Certificates.value' can not be compared with 'gt'."),
        ("meta.created sw \"2010\"", "attribute 'meta.created' can not be compared with 'sw'."),
        ("meta.created gt \"2010-01-01\"", "attribute 'meta.created' is compared to a time such as \"2011-05-13T04:42:34Z\"."),
        ("meta.location pr", "attribute 'meta.location' depends on the address of the server, so it can not be filtered by."),
        ("groups[$ref pr]", "attribute 'groups.$ref' depends on the address of the server, so it can not be filtered by."),
        ("schemas[value eq \"x\"]", "attribute 'schemas' has no sub-attributes, so it takes no filter in brackets."),
        ("emails.value[type pr]", "attribute 'emails.value' has no sub-attributes, so it takes no filter in brackets."),
    ] {
        assert_eq!(refusal(text), expected, "{text}");
    }
}

#[test]
fn a_filter_within_another_is_refused_when_it_was_not_parsed() {
    let inner = Expression::ValuePath { path: "type".into(), filter: Box::new(Expression::Present("x".into())) };
    let outer = Expression::ValuePath { path: "emails".into(), filter: Box::new(inner) };
    let registry = Registry::builtin();
    let error = resolve(registry.by_name("User").expect("User"), &outer).expect_err("nested");
    assert_eq!(error, Error::invalid_filter("A value path may not stand within another one."));
}

/// 7644-3.5.2-02 7644-3.10-01
#[test]
fn paths_of_patch() {
    let parsed = |text: &str| {
        let PathExpression { path, filter, sub_attribute } = parse_path(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        (path, filter.map(|filter| filter.to_string()), sub_attribute)
    };
    let manager = format!("{ENTERPRISE_USER}:manager.value");
    let filtered = |path: &str, filter: &str, sub: Option<&str>| (path.into(), Some(filter.into()), sub.map(String::from));
    assert_eq!(parsed("members"), ("members".into(), None, None));
    assert_eq!(parsed("name.familyName"), ("name.familyName".into(), None, None));
    assert_eq!(parsed(&manager), (manager.clone(), None, None));
    assert_eq!(parsed("members.$ref"), ("members.$ref".into(), None, None));
    assert_eq!(parsed(r#"addresses[type eq "work"]"#), filtered("addresses", r#"type eq "work""#, None));
    assert_eq!(
        parsed(r#"members[value EQ"2819]c223" ].displayName"#),
        filtered("members", r#"value eq "2819]c223""#, Some("displayName"))
    );
    assert_eq!(parsed(r#"urn:x:2.0:T:links[name eq "a.b"].$ref"#), filtered("urn:x:2.0:T:links", r#"name eq "a.b""#, Some("$ref")));

    for text in [
        "",
        " ",
        "emails[0]",
        "emails[-1].value",
        "emails[ 2 ]",
        "1a",
        "a b",
        "a..b",
        "a.b.c",
        ".a",
        "a.",
        "[type pr]",
        "a]",
        "(a)",
        "emails[type pr]x",
        "emails[type pr].",
        "emails[type pr].a.b",
        "emails[type pr] ",
        "emails.[type pr]",
        "emails[type pr][value pr]",
        "ü",
        "urn:x y",
    ] {
        assert_eq!(parse_path(text).expect_err(text).kind, ErrorKind::InvalidPath, "{text}");
    }
    for text in
        ["emails[]", "emails[type]", "emails[type eq work]", "emails[type pr", "emails[x[y pr]]", "emails[type eq \"x]", "a["]
    {
        assert_eq!(parse_path(text).expect_err(text).kind, ErrorKind::InvalidFilter, "{text}");
    }
}

#[test]
fn a_value_is_selected_by_the_filter_in_the_brackets() {
    let registry = Registry::builtin();
    let members = path::resolve(registry.by_name("Group").expect("Group"), "members").expect("members");
    let within = |text: &str| resolve_within(&members, &parse(text).expect(text));
    let member = json!({"value": "2819c223", "type": "User"});
    assert!(within(r#"value eq "2819c223""#).expect("a filter").matches_element(&member));
    assert!(within(r#"type eq "user" and not (display pr)"#).expect("a filter").matches_element(&member));
    assert!(!within(r#"value eq "2819C223""#).expect("a filter").matches_element(&member));
    assert!(!within(r#"value eq "2819c223""#).expect("a filter").matches_element(&json!("2819c223")));
    assert_eq!(within("nope pr"), Err(Error::invalid_filter("attribute 'members.nope' is not defined.")));
}

#[test]
fn mentions_names_the_core_attributes_that_are_looked_at() {
    let filter = resolved(r#"userName pr or not (title pr and groups[display eq "a"])"#).expect("a filter");
    assert!(filter.mentions("groups") && filter.mentions("title") && filter.mentions("userName"));
    assert!(!filter.mentions("members") && !filter.mentions("display"));
    assert!(!resolved(&format!("{ENTERPRISE_USER}:manager pr")).expect("a filter").mentions("manager"));
}

#[test]
fn a_printed_filter_keeps_its_shape() {
    for text in [
        "a pr or b pr and c pr",
        "(a pr or b pr) and (c pr and d pr)",
        "a pr or (b pr or c pr)",
        r#"not (not (a.b eq "\"\\ü\u0001"))"#,
        r#"e[t eq "work" or t eq null] and f gt -1.5"#,
    ] {
        let expression = parse(text).expect(text);
        assert_eq!(expression.to_string(), text);
    }
}

/// 7643-2.4-02
#[test]
fn a_value_that_does_not_say_so_is_not_primary() {
    assert_matching(&[
        (r#"emails[type eq "home" and primary eq false]"#, true),
        (r#"emails[type eq "home" and primary ne true]"#, true),
        (r#"emails[type eq "work" and primary eq false]"#, false),
        ("emails.primary eq false", true),
        ("phoneNumbers.primary eq false", false),
        ("ims[not (primary eq true)]", true),
    ]);
}

/// 7643-2.3.6-01
#[test]
fn base64_compares_without_its_padding() {
    let user = json!({"x509Certificates": [{"value": "MA=="}]}).as_object().expect("an object").clone();
    for (literal, is_equal) in [("MA", true), ("MA=", true), ("MA==", true), ("ma", false), ("M", false)] {
        let filter = resolved(&format!("x509Certificates.value eq \"{literal}\"")).expect("a filter");
        assert_eq!(filter.matches(&user), is_equal, "{literal}");
    }
}

/// 7643-2.4-05
#[test]
fn a_reference_is_found_under_every_version_of_the_api() {
    let manager = json!({"value": "1", "$ref": "https://example.com/v2/Users/1"});
    let user = json!({ENTERPRISE_USER: {"manager": manager}, "profileUrl": "https://example.com/v2/ann"});
    let user = user.as_object().expect("an object").clone();
    let matches = |text: &str| resolved(text).expect("a filter").matches(&user);
    for address in ["https://example.com/v2/Users/1", "https://example.com/Users/1", "HTTPS://example.COM/v1/Users/1"] {
        assert!(matches(&format!("{ENTERPRISE_USER}:manager.$ref eq \"{address}\"")), "{address}");
        assert!(!matches(&format!("{ENTERPRISE_USER}:manager.$ref ne \"{address}\"")), "{address}");
    }
    assert!(matches(&format!("{ENTERPRISE_USER}:manager.$ref sw \"https://example.com/v2/\"")));
    assert!(!matches(&format!("{ENTERPRISE_USER}:manager.$ref eq \"https://example.com/Users/2\"")));
    assert!(!matches("profileUrl eq \"https://example.com/ann\"") && matches("profileUrl eq \"https://Example.com/v2/ann\""));
}
