//! Resources and messages to send.

use serde_json::{Value, json};

/// URN of the core User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core Group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise extension.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the PATCH message.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// URN of the list message.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of the error message.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// URN of an answer of a feed.
pub const FEED_STREAM: &str = "urn:ietf:params:scim:api:messages:2.0:FeedStream";

/// The smallest user of a name.
pub fn user(name: &str) -> Value {
    json!({"schemas": [USER], "userName": name})
}

/// A user with these attributes too.
pub fn user_with(name: &str, attributes: Value) -> Value {
    with(user(name), attributes)
}

/// A group without members.
pub fn group(name: &str) -> Value {
    json!({"schemas": [GROUP], "displayName": name})
}

/// A group with these members.
pub fn group_of(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": [GROUP], "displayName": name, "members": members})
}

/// A bulk request of these operations.
pub fn bulk_of(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations})
}

/// A PATCH of these operations.
pub fn patch_of(operations: Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// A PATCH that makes one member join.
pub fn add_member(id: &str) -> Value {
    patch_of(json!([{"op": "add", "path": "members", "value": [{"value": id}]}]))
}

/// A PATCH that makes one member leave.
pub fn remove_member(id: &str) -> Value {
    patch_of(json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]))
}

/// An object with these members too.
pub fn with(mut object: Value, more: Value) -> Value {
    let (Value::Object(into), Value::Object(more)) = (&mut object, more) else { panic!("two objects") };
    into.extend(more);
    object
}
