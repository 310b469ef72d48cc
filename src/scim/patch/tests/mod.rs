//! What each operation makes of a resource: tables of (before, operations, after).
#![expect(clippy::needless_pass_by_value, reason = "rows of a table read best when their cells are literals")]

mod attributes;
mod elements;
mod members;
mod message;

use super::{Patch, Patched};
use crate::scim::Object;
use crate::scim::error::{Error, Result};
use crate::scim::message::PATCH_OP;
use crate::scim::quirks::Quirks;
use crate::scim::resource::{Member, MemberChange, SecretChange};
use crate::scim::schema::{Registry, ResourceType, Schema, USER};
use serde_json::{Value, json};
use std::sync::Arc;

fn kind(name: &str) -> Arc<ResourceType> {
    Arc::clone(Registry::builtin().by_name(name).expect("a built-in type"))
}

/// The built-in users with another attribute of this definition.
fn user_with(definition: Value) -> ResourceType {
    let mut kind = ResourceType::clone(&kind("User"));
    let mut schema = Schema::clone(&kind.schema);
    schema.attributes.push(Arc::new(serde_json::from_value(definition).expect("a definition")));
    kind.schema = Arc::new(schema);
    kind
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is not an object"),
    }
}

/// A user with these attributes beside those that every user has.
fn user(attributes: Value) -> Object {
    let mut user = object(json!({"schemas": [USER], "userName": "ann"}));
    user.extend(object(attributes));
    user
}

fn body(operations: &Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

fn patched(kind: &ResourceType, before: &Object, operations: &Value, members: Option<&[Member]>) -> Result<Patched> {
    Patch::parse(kind, &body(operations), Quirks::LENIENT)?.apply(kind, before, members)
}

/// The user after these operations.
fn after(attributes: Value, operations: Value) -> Result<Object> {
    after_of(&kind("User"), attributes, &operations)
}

fn after_of(kind: &ResourceType, attributes: Value, operations: &Value) -> Result<Object> {
    match patched(kind, &user(attributes), operations, None)? {
        Patched::Done { document, members, secrets } => {
            assert_eq!((members, secrets), (MemberChange::default(), vec![]));
            Ok(document)
        }
        Patched::NeedsMembers => panic!("users have no members"),
    }
}

/// Checks rows of (attributes before, operations, attributes after).
fn check<const ROWS: usize>(rows: [(Value, Value, Value); ROWS]) {
    for (before, operations, expected) in rows {
        let found = after(before, operations.clone()).map(|document| Value::Object(document).to_string());
        assert_eq!(found, Ok(Value::Object(user(expected)).to_string()), "{operations}");
    }
}

/// Checks rows of (attributes before, operations, failure).
fn check_refused<const ROWS: usize>(rows: [(Value, Value, Error); ROWS]) {
    for (before, operations, expected) in rows {
        assert_eq!(after(before, operations.clone()), Err(expected), "{operations}");
    }
}
