//! The algebra of PATCH.

use crate::generate;
use carillon::base::id::ResourceId;
use carillon::scim::Object;
use carillon::scim::diff::{Difference, diff};
use carillon::scim::message::PATCH_OP;
use carillon::scim::patch::{Patch, Patched};
use carillon::scim::quirks::Quirks;
use carillon::scim::resource::{Member, MemberChange};
use carillon::scim::schema::{ENTERPRISE_USER, GROUP, Registry, ResourceType, USER};
use carillon::scim::validate;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::LazyLock;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin().with_loose_formats());

pub(crate) fn kind(name: &str) -> &'static ResourceType {
    REGISTRY.by_name(name).expect("a built-in type")
}

/// Documents as a create stores them.
pub(crate) fn document() -> impl Strategy<Value = Object> {
    generate::user_document().prop_map(|document| {
        validate::create(kind("User"), &Value::Object(document)).expect("generated documents are valid").document
    })
}

fn body(operations: &[Value]) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// The document after these operations; `None` when they are refused.
fn patched(before: &Object, operations: &[Value]) -> Option<Object> {
    if operations.is_empty() {
        return Some(before.clone());
    }
    match Patch::parse(kind("User"), &body(operations), Quirks::LENIENT).and_then(|patch| patch.apply(kind("User"), before, None)) {
        Ok(Patched::Done { document, .. }) => Some(document),
        Ok(Patched::NeedsMembers) => unreachable!("users have no members"),
        Err(_) => None,
    }
}

fn operations(before: &Object, after: &Object) -> Vec<Value> {
    diff(kind("User"), before, after).iter().map(Difference::operation).collect()
}

fn is_same(left: &Object, right: &Object) -> bool {
    operations(left, right).is_empty() && left.get("schemas") == right.get("schemas")
}

/// Names, operators, types and values that a PATCH knows, so that many of the arbitrary ones get far.
const WORDS: [&str; 18] = [
    "value",
    "type",
    "primary",
    "display",
    "work",
    "home",
    "ada",
    "Zoë",
    "",
    "givenName",
    "title",
    "userName",
    "emails",
    "name",
    "members",
    "User",
    USER,
    ENTERPRISE_USER,
];

fn path() -> impl Strategy<Value = String> {
    let fixed = [
        "title",
        "userName",
        "NAME",
        "name.givenName",
        "emails",
        "emails.type",
        "emails.primary",
        "phoneNumbers",
        "active",
        "password",
        "schemas",
        "id",
        "groups",
        "members",
        "x509Certificates",
        "nope",
        "emails[",
        USER,
        ENTERPRISE_USER,
    ];
    let extended = format!("{ENTERPRISE_USER}:manager.value");
    let filtered = (generate::term(), select(&["", ".value", ".primary", ".type", ".nope"][..])).prop_map(|(term, sub)| {
        // Terms that are value paths already are paths of elements; of the others, most do not resolve within `emails`.
        let text = term.to_string();
        if text.ends_with(']') { format!("{text}{sub}") } else { format!("emails[{text}]{sub}") }
    });
    prop_oneof![6 => select(fixed.to_vec()).prop_map(String::from), 1 => Just(extended), 4 => filtered]
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => select(&WORDS[..]).prop_map(Value::from),
        2 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = select(&WORDS[..]).prop_map(String::from);
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(name, inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Values that fit somewhere, among others.
fn likely_value() -> impl Strategy<Value = Value> {
    let part = |name: &'static str, value: BoxedStrategy<Value>| proptest::option::of(value).prop_map(move |value| (name, value));
    let parts = (
        part("value", generate::text().boxed()),
        part("type", select(&["work", "home", "Other"][..]).prop_map(Value::from).boxed()),
        part("primary", any::<bool>().prop_map(Value::from).boxed()),
    );
    let element = parts.prop_map(|(value, kind, primary)| {
        let given = [value, kind, primary].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect())
    });
    prop_oneof![
        2 => generate::text(),
        1 => any::<bool>().prop_map(Value::from),
        2 => vec(element.clone(), 0..3).prop_map(Value::from),
        2 => element,
        1 => document().prop_map(Value::Object),
        2 => any_value(),
    ]
}

pub(crate) fn operation() -> impl Strategy<Value = Value> {
    let op = select(&["add", "Remove", "replace"][..]);
    (op, proptest::option::weighted(0.85, path()), proptest::option::weighted(0.9, likely_value())).prop_map(|(op, path, value)| {
        let mut operation = json!({"op": op});
        if let Some(path) = path {
            operation["path"] = path.into();
        }
        if let Some(value) = value {
            operation["value"] = value;
        }
        operation
    })
}

proptest! {
    #[test]
    fn a_difference_applied_as_a_patch_makes_the_second_document(before in document(), after in document()) {
        let operations = operations(&before, &after);
        let found = patched(&before, &operations).expect("a difference is a valid patch");
        prop_assert!(is_same(&found, &after), "{operations:?} gave {found:?}");
    }

    #[test]
    fn what_was_added_and_is_removed_leaves_the_document_as_it_was(before in document(), other in document()) {
        for difference in diff(kind("User"), &before, &other).into_iter().filter(|difference| !difference.existed) {
            let remove = json!({"op": "remove", "path": difference.path});
            prop_assert_eq!(patched(&before, &[difference.operation(), remove]), Some(before.clone()));
        }
    }

    #[test]
    fn to_replace_twice_is_to_replace_once(before in document(), path in path(), value in likely_value()) {
        // A value path may select something else once its values are replaced.
        let operation = json!({"op": "replace", "path": path, "value": value});
        if let Some(once) = patched(&before, std::slice::from_ref(&operation)).filter(|_| !path.contains('[')) {
            prop_assert_eq!(patched(&once, &[operation]), Some(once));
        }
    }

    #[test]
    fn to_add_twice_is_to_add_once(before in document(), value in likely_value()) {
        let operation = json!({"op": "add", "path": "emails", "value": value});
        let is_primary = value.to_string().contains("\"primary\":true");
        if let Some(once) = patched(&before, std::slice::from_ref(&operation)).filter(|_| !is_primary) {
            prop_assert_eq!(patched(&once, &[operation]), Some(once));
        }
    }

    #[test]
    fn one_request_is_the_sequence_of_its_operations_or_nothing(before in document(), operations in vec(operation(), 1..5)) {
        let stepwise = operations.iter().try_fold(before.clone(), |document, operation| patched(&document, std::slice::from_ref(operation)));
        prop_assert_eq!(patched(&before, &operations), stepwise);
    }

    #[test]
    fn what_a_patch_makes_is_valid(before in document(), operations in vec(operation(), 1..5)) {
        if let Some(after) = patched(&before, &operations) {
            let again = validate::create(kind("User"), &Value::Object(after.clone()));
            prop_assert_eq!(again.map(|validated| validated.document), Ok(after));
        }
    }

    #[test]
    fn any_body_is_answered(before in document(), any in any_value(), operations in vec(any_value(), 0..4)) {
        for body in [any, body(&operations)] {
            let _ = Patch::parse(kind("User"), &body, Quirks::LENIENT).and_then(|patch| patch.apply(kind("User"), &before, None));
            let _ = validate::create(kind("User"), &body);
            let _ = validate::replace(kind("Group"), &before, &body);
        }
    }

    #[test]
    fn members_are_folded_as_a_set_would_be_changed(
        before in vec(0..6_u8, 0..6),
        operations in vec((0..4_u8, vec(0..6_u8, 0..4)), 1..8),
    ) {
        let mut expected: HashSet<String> = before.iter().map(u8::to_string).collect();
        let current: Vec<Member> = members(&expected);
        let written: Vec<Value> = operations.iter().map(|(op, ids)| change(&mut expected, *op, ids)).collect();
        let group = validate::create(kind("Group"), &json!({"schemas": [GROUP], "displayName": "g"})).expect("valid").document;
        let patch = Patch::parse(kind("Group"), &body(&written), Quirks::LENIENT).expect("valid");
        let Ok(Patched::Done { members: folded, .. }) = patch.apply(kind("Group"), &group, Some(&current)) else {
            panic!("{written:?} is refused")
        };
        prop_assert_eq!(applied(&current, &folded), expected, "{:?}", written);
    }
}

fn members(ids: &HashSet<String>) -> Vec<Member> {
    ids.iter().map(|id| Member { id: ResourceId::parse(id), kind: None, display: None }).collect()
}

/// An operation on members, and what it does to a set.
fn change(expected: &mut HashSet<String>, op: u8, ids: &[u8]) -> Value {
    let ids: Vec<String> = ids.iter().map(u8::to_string).collect();
    let values: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
    match op {
        0 => {
            expected.extend(ids);
            json!({"op": "add", "path": "members", "value": values})
        }
        1 => {
            expected.retain(|id| !ids.contains(id));
            json!({"op": "remove", "path": "members", "value": values})
        }
        2 => {
            *expected = ids.into_iter().collect();
            json!({"op": "replace", "path": "members", "value": values})
        }
        _ => {
            expected.retain(|id| id.as_str() <= "2");
            json!({"op": "remove", "path": "members[value gt \"2\"]"})
        }
    }
}

/// The members after a change, which must be folded well: no id twice, none both present and absent.
fn applied(current: &[Member], change: &MemberChange) -> HashSet<String> {
    let mut members: HashSet<String> = current.iter().map(|member| member.id.to_string()).filter(|_| !change.reset).collect();
    for id in &change.absent {
        members.remove(&id.to_string());
    }
    members.extend(change.present.iter().map(|member| member.id.to_string()));
    let named = change.present.iter().map(|member| &member.id).chain(&change.absent);
    assert_eq!(named.clone().collect::<HashSet<_>>().len(), named.count());
    assert!(!change.reset || change.absent.is_empty());
    members
}

#[test]
fn the_arbitrary_operations_are_neither_all_refused_nor_all_accepted() {
    const DRAWN: usize = 2_000;
    let mut runner = TestRunner::deterministic();
    let accepted = (0..DRAWN).filter(|_| {
        let (before, operation) = (document(), operation()).new_tree(&mut runner).expect("a value").current();
        patched(&before, &[operation]).is_some_and(|after| after != before)
    });
    let accepted = accepted.count();
    assert!((DRAWN / 20..DRAWN * 19 / 20).contains(&accepted), "{accepted} of {DRAWN} operations changed something");
}
