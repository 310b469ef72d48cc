use super::*;
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key, ResourceId, Tenant, TypeCode};
use crate::event::claims::{Rendering, Tag, claims};
use crate::event::{Event, Kind, Mode};
use crate::scim::diff::{Difference, diff};
use crate::scim::schema::{ENTERPRISE_USER, Registry};
use proptest::prelude::*;
use serde_json::json;

fn policy(allow: Option<&[&str]>, deny: &[&str]) -> AttributePolicy {
    let owned = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect();
    AttributePolicy { allow: allow.map(owned), deny: owned(deny) }
}

#[test]
fn a_path_covers_what_is_below_it_in_any_case() {
    let denies = policy(None, &["name", "urn:ietf:params:scim:schemas:core:2.0:User:EMAILS.value", ENTERPRISE_USER]);
    for (path, view) in [
        ("name", View::Nothing),
        ("NAME.familyName", View::Nothing),
        ("nameOfPet", View::Whole),
        ("emails", View::Part),
        ("emails.value", View::Nothing),
        ("emails.$ref", View::Nothing),
        ("emails.type", View::Whole),
        ("emails[type eq \"work\"].value", View::Nothing),
        (ENTERPRISE_USER, View::Nothing),
        (&format!("{ENTERPRISE_USER}:manager.value"), View::Nothing),
        (&format!("{ENTERPRISE_USER}2:manager"), View::Whole),
        ("id", View::Whole),
    ] {
        assert_eq!(denies.view(path), view, "{path}");
    }
    let allows = policy(Some(&["userName", "name.givenName", "urn:x:y:a"]), &["userName"]);
    for (path, view) in [
        ("userName", View::Nothing),
        ("name", View::Part),
        ("name.givenName", View::Whole),
        ("name.familyName", View::Nothing),
        ("urn:x:y", View::Part),
        ("urn:x:y:b", View::Nothing),
        ("title", View::Nothing),
        ("meta.created", View::Whole),
    ] {
        assert_eq!(allows.view(path), view, "{path}");
    }
}

#[test]
fn a_notice_names_what_may_be_named() {
    let paths: Vec<String> = ["id", "userName", "name", "name.givenName", "title"].map(str::to_owned).into();
    assert_eq!(policy(Some(&["name.givenName"]), &[]).visible(&paths), ["id", "name.givenName"]);
    assert_eq!(policy(None, &["name.givenName", "title"]).visible(&paths), ["id", "userName", "name"]);
    assert_eq!(AttributePolicy::default().visible(&paths), paths);
}

#[test]
fn an_operation_is_cut_to_what_may_be_seen() {
    let operations = json!([
        {"op": "replace", "path": "userName", "value": "u"},
        {"op": "add", "path": "emails", "value": [{"value": "a@b", "type": "work"}, {"value": "c@d"}]},
        {"op": "remove", "path": "name"},
        {"op": "remove", "path": "members[value eq \"7\"]"},
        {"op": "add", "path": "members", "value": [{"value": "8", "type": "User"}]},
    ]);
    let cut = |policy: &AttributePolicy| {
        Value::from(policy.cut_operations(operations.as_array().cloned().unwrap_or_default(), |_| false))
    };
    assert_eq!(
        cut(&policy(Some(&["emails.type", "name.givenName", "name.familyName"]), &["name.familyName"])),
        json!([{"op": "add", "path": "emails", "value": [{"type": "work"}]}, {"op": "remove", "path": "name.givenName"}])
    );
    assert_eq!(
        cut(&policy(None, &["members.value", "userName"])),
        json!([operations[1], operations[2], {"op": "add", "path": "members", "value": [{"type": "User"}]}])
    );
}

/// Attributes of a user with values that occur nowhere else, and the paths of a policy.
const PATHS: [&str; 16] = [
    "userName",
    "externalId",
    "name",
    "name.givenName",
    "name.familyName",
    "title",
    "nickName",
    "emails",
    "emails.value",
    "emails.display",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
    "urn:ietf:params:scim:schemas:core:2.0:User:NICKNAME",
    "Title",
];
/// A leaf of the user and the value there.
const LEAVES: [(&str, &str); 11] = [
    ("userName", "v-user"),
    ("externalId", "v-external"),
    ("name.givenName", "v-given"),
    ("name.familyName", "v-family"),
    ("title", "v-title"),
    ("nickName", "v-nick"),
    ("emails.value", "v-mail"),
    ("emails.display", "v-display"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "v-department"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "v-manager"),
    ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref", "../Users/v-manager"),
];

fn user(has: &[bool]) -> Object {
    let mut user: Object = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE_USER]})
        .as_object()
        .cloned()
        .unwrap_or_default();
    for ((path, value), _) in LEAVES.iter().zip(has).filter(|(_, has)| **has) {
        let (urn, rest) = path.rsplit_once(':').map_or((None, *path), |(urn, rest)| (Some(urn), rest));
        let place = match urn {
            Some(urn) => user.entry(urn).or_insert_with(|| json!({})),
            None => &mut Value::Null,
        };
        let (name, sub) = rest.split_once('.').map_or((rest, None), |(name, sub)| (name, Some(sub)));
        let put = |object: &mut Object| match sub {
            Some(sub) if name == "emails" => {
                object.entry(name).or_insert_with(|| json!([{}]))[0][sub] = (*value).into();
            }
            Some(sub) => object.entry(name).or_insert_with(|| json!({}))[sub] = (*value).into(),
            None => {
                object.insert(name.into(), (*value).into());
            }
        };
        match place.as_object_mut() {
            Some(extension) => put(extension),
            None => put(&mut user),
        }
    }
    user
}

/// Whether a policy, read word by word, hides a leaf.
fn hides(policy: &AttributePolicy, leaf: &str) -> bool {
    let of = |path: &String| path.to_lowercase().replace("urn:ietf:params:scim:schemas:core:2.0:user:", "");
    let leaf = leaf.to_lowercase();
    let above = |path: &String| {
        of(path) == leaf || leaf.starts_with(&format!("{}.", of(path))) || leaf.starts_with(&format!("{}:", of(path)))
    };
    policy.deny.iter().any(above) || policy.allow.as_ref().is_some_and(|allow| !allow.iter().any(above))
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(proptest::sample::select(&PATHS[..]).prop_map(str::to_owned), 0..5)
}

fn rendered(kind: Kind, before: &Object, after: &Object, policy: &AttributePolicy, mode: Mode) -> Value {
    let registry = Registry::builtin();
    let differences = diff(registry.by_name("User").expect("User"), before, after);
    let data = match kind {
        Kind::Patch => Value::from(differences.iter().map(Difference::operation).collect::<Vec<_>>()),
        _ => Value::Object(after.clone()),
    };
    let event = Event {
        id: EventId(uuid::Uuid::from_u128(7)),
        kind,
        subject: Key { tenant: Tenant(0), kind: TypeCode(1), id: ResourceId::parse("42") },
        external_id: after.get("externalId").and_then(Value::as_str).map(str::to_owned),
        version: 3,
        txn: "t".into(),
        at: Timestamp(0),
        attributes: differences.iter().map(|difference| difference.path.clone()).collect(),
        data: Some(data.to_string()),
    };
    let tag = Tag::new(&[1; 32], "s", 0);
    let audience = ["a".to_owned(), "b".to_owned()];
    let rendering = Rendering { issuer: "i", audience: &audience, base: "https://b", mode, policy, tag: &tag };
    claims(&event, &registry, rendering).expect("claims")
}

proptest! {
    /// 8417-6-01 9967-6-01
    #[test]
    fn nothing_hidden_is_ever_told(
        before in proptest::collection::vec(any::<bool>(), LEAVES.len()),
        after in proptest::collection::vec(any::<bool>(), LEAVES.len()),
        allow in proptest::option::of(paths()),
        deny in paths(),
        kind in proptest::sample::select(&[Kind::Create, Kind::Put, Kind::Patch][..]),
        is_full in any::<bool>(),
    ) {
        let policy = AttributePolicy { allow, deny };
        let mode = if is_full { Mode::Full } else { Mode::Notice };
        let claims = rendered(kind, &user(&before), &user(&after), &policy, mode);
        let text = claims.to_string().to_lowercase();
        for ((leaf, value), is_there) in LEAVES.iter().zip(&after) {
            if hides(&policy, leaf) {
                // A reference that may be seen repeats no identifier that may not.
                prop_assert!(!text.contains(&format!("\"{value}\"")), "{} of {:?} in {}", value, policy, claims);
                prop_assert!(!text.contains(&format!("\"{}\"", leaf.to_lowercase())), "{} of {:?} in {}", leaf, policy, claims);
            } else if *is_there && is_full && kind != Kind::Patch && !(leaf.ends_with("$ref") && policy.view(leaf) == View::Nothing) {
                prop_assert!(text.contains(&value.to_lowercase()), "{} of {:?} not in {}", value, policy, claims);
            }
        }
        prop_assert_eq!(&claims["aud"], &json!(["a", "b"]));
    }
}

/// 9967-2.2-03 9967-2.2-05
#[test]
fn a_full_event_of_which_nothing_is_left_is_a_notice() {
    let nobody = policy(Some(&["title"]), &[]);
    let claims = rendered(Kind::Put, &Object::new(), &user(&[true; 4]), &nobody, Mode::Full);
    assert_eq!(claims["events"], json!({"urn:ietf:params:scim:event:prov:put:notice": {"version": "\"3\"", "attributes": []}}));
    assert_eq!(claims["aud"], json!(["a", "b"]));
    assert_eq!(claims["sub_id"], json!({"format": "scim", "uri": "/Users/42"}));
}

#[test]
fn an_extension_of_which_nothing_is_left_is_not_named() {
    let mut all = user(&[true; LEAVES.len()]);
    assert!(policy(None, &[ENTERPRISE_USER]).cut_representation(&mut all));
    assert_eq!(all["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
    assert!(!all.contains_key(ENTERPRISE_USER));
}
