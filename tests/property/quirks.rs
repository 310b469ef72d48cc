//! Quirks change nothing about legal requests: what is accepted strictly comes to the same with every quirk allowed. The one
//! exception is named where it is made, in `json_in_strings`: a `value` that is itself a JSON object; it is not drawn here.

use crate::generate;
use crate::patch::{any_value, document, kind, operation};
use carillon::scim::Object;
use carillon::scim::error::Result;
use carillon::scim::filter::{Filter, parse, resolve};
use carillon::scim::message::PATCH_OP;
use carillon::scim::patch::{Patch, Patched};
use carillon::scim::quirks::{self, Quirk, Quirks};
use carillon::scim::schema::{ENTERPRISE_USER, USER};
use carillon::scim::validate;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

const ID: &str = "0190c7a4-7f2a-7000-8000-000000000001";
/// Every quirk, also the one that is not usual.
const ALL: Quirks = Quirks::LENIENT.with(Quirk::BareWordsInFilters);

fn patched(body: &Value, before: &Object, quirks: Quirks) -> Result<Patched> {
    let user = kind("User");
    Patch::parse(user, &quirks::patch(user, ID, body, quirks), quirks)?.apply(user, before, None)
}

fn created(body: &Value, quirks: Quirks) -> Result<validate::Validated> {
    let user = kind("User");
    validate::create(user, &quirks::resource(user, body, quirks))
}

fn found(text: &str, quirks: Quirks) -> Result<Filter> {
    let user = kind("User");
    resolve(user, &parse(&quirks::filter(user, text, quirks))?)
}

/// A value, and where it may stand: what clients send by habit, and what is almost that.
fn habit() -> impl Strategy<Value = Value> {
    let manager = format!("{ENTERPRISE_USER}:manager");
    let paths = vec![
        "active".to_owned(),
        "title".into(),
        "name".into(),
        "name.givenName".into(),
        "roles".into(),
        "emails[primary eq \"True\"].value".into(),
        "emails[type eq \"work\"].value".into(),
        "emails[type eq work].primary".into(),
        "roles[value eq \"true\"]".into(),
        "id".into(),
        ENTERPRISE_USER.into(),
        USER.into(),
        format!("{manager}.value"),
        manager,
    ];
    let values = vec![
        json!("True"),
        json!(false),
        json!(""),
        json!("7"),
        json!(ID),
        json!({"value": ""}),
        json!({"value": "7"}),
        json!({"managerId": "7"}),
        json!({"givenName": "true"}),
        json!("{\"givenName\":\"a\"}"),
        json!("{\"value\":\"a\"}"),
        json!([{"value": "a", "primary": "True"}]),
        json!(["{\"value\":\"a\",\"displayName\":\"b\"}"]),
        json!({"manager": "7", "division": ""}),
        json!({"manager.value": ""}),
        json!(null),
    ];
    let op = select(&["add", "Remove", "replace"][..]);
    let name = select(paths.clone());
    let on_path = (op.clone(), select(paths), select(values.clone()))
        .prop_map(|(op, path, value)| json!({"op": op, "path": path, "value": value}));
    let without = (op, vec((name, select(values)), 1..4)).prop_map(|(op, named)| {
        let value: Object = named.into_iter().collect();
        json!({"op": op, "value": value})
    });
    prop_oneof![on_path, without]
}

fn operations() -> impl Strategy<Value = Vec<Value>> {
    vec(prop_oneof![operation(), habit()], 1..4)
}

/// A user with an attribute more or another value.
fn body() -> impl Strategy<Value = Value> {
    let names = ["active", "title", "name", "roles", "emails", "schemas", "id", ENTERPRISE_USER];
    let habits = habit().prop_map(|operation| operation["value"].clone());
    (document(), select(names.to_vec()), prop_oneof![habits, any_value()]).prop_map(|(mut body, name, value)| {
        body.insert(name.to_owned(), value);
        Value::Object(body)
    })
}

fn filter_text() -> impl Strategy<Value = String> {
    let habits = [
        "active eq \"True\"",
        "title eq true",
        "title eq ada",
        "emails[primary eq \"false\"]",
        "emails[type eq work]",
        "not(active eq true)",
        "externalId eq null",
        "emails[type eq \"work\"].value eq \"ada\"",
        "(title eq \"a b\")",
    ];
    let habit = select(habits.to_vec()).prop_map(String::from);
    let term = prop_oneof![generate::term().prop_map(|term| term.to_string()), habit];
    vec((term, select(&[" and ", " or "][..])), 1..4).prop_map(|terms| {
        let mut text = String::new();
        for (term, join) in terms {
            if !text.is_empty() {
                text.push_str(join);
            }
            text.push_str(&term);
        }
        text
    })
}

proptest! {
    #[test]
    fn a_legal_patch_stays_what_it_is(before in document(), operations in operations()) {
        let body = json!({"schemas": [PATCH_OP], "Operations": operations});
        if let Ok(strict) = patched(&body, &before, Quirks::STRICT) {
            prop_assert_eq!(patched(&body, &before, ALL), Ok(strict));
        }
    }

    #[test]
    fn a_legal_resource_stays_what_it_is(body in body()) {
        if let Ok(strict) = created(&body, Quirks::STRICT) {
            prop_assert_eq!(created(&body, ALL), Ok(strict));
        }
    }

    #[test]
    fn a_legal_filter_stays_what_it_is(text in filter_text()) {
        if let Ok(strict) = found(&text, Quirks::STRICT) {
            prop_assert_eq!(found(&text, ALL), Ok(strict));
        }
    }

    #[test]
    fn any_text_is_read_as_a_filter_by_its_reader_alone(text in "[a-z \"\\\\()\\[\\]éeq]{0,40}") {
        let _ = found(&text, ALL);
    }
}

#[test]
fn the_requests_are_neither_all_legal_nor_all_refused() {
    const DRAWN: usize = 2_000;
    let mut runner = TestRunner::deterministic();
    let (mut legal, mut lenient) = (0, 0);
    for _ in 0..DRAWN {
        let (before, habit) = (document(), habit()).new_tree(&mut runner).expect("a value").current();
        let body = json!({"schemas": [PATCH_OP], "Operations": [habit]});
        let strictly = patched(&body, &before, Quirks::STRICT).is_ok();
        legal += usize::from(strictly);
        lenient += usize::from(!strictly && patched(&body, &before, ALL).is_ok());
    }
    assert!(legal > DRAWN / 20 && lenient > DRAWN / 20, "{legal} legal, {lenient} only by a quirk, of {DRAWN}");
}
