//! From a change to its events: the one place that decides which events a change gives rise to (RFC 9967 §2.4). Pure.

use super::Kind;
use super::template::{Data, Template};
use crate::base::clock::Timestamp;
use crate::base::id::Key;
use crate::scim::Object;
use crate::scim::diff::Difference;
use crate::scim::schema::ResourceType;
use serde_json::{Value, json};

/// The resource that changes, as its events name it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its type.
    pub kind: &'a ResourceType,
    /// Its key.
    pub key: &'a Key,
    /// When it was created.
    pub created: Timestamp,
}

/// A create: one event. A resource created inactive is not deactivated (9967-2.4.5-01).
pub fn created(subject: Subject<'_>, document: &Object, secrets: &[String]) -> Vec<Template> {
    imported(subject, document, secrets, subject.created)
}

/// A resource that is taken over with its history behind it: one event, as of a create.
pub fn imported(subject: Subject<'_>, document: &Object, secrets: &[String], modified: Timestamp) -> Vec<Template> {
    let mut attributes = vec!["id".to_owned()];
    attributes.extend(top_level_paths(subject.kind, document));
    attributes.extend(secrets.iter().cloned());
    let data = representation(subject, document, modified);
    vec![template(Kind::Create, subject, document, attributes, data)]
}

/// A PUT: one event, and one more when the resource becomes active or inactive.
pub fn replaced(
    subject: Subject<'_>,
    before: &Object,
    after: &Object,
    differences: &[Difference],
    secrets: &[String],
    at: Timestamp,
) -> Vec<Template> {
    let data = representation(subject, after, at);
    let attributes = changed_paths(differences, secrets);
    let put = template(Kind::Put, subject, after, attributes, data);
    std::iter::once(put).chain(activity(subject, before, after)).collect()
}

/// A PATCH: one event with the operations that were effective (checklist C6), and one more when the resource becomes active or
/// inactive.
pub fn patched(
    subject: Subject<'_>,
    before: &Object,
    after: &Object,
    differences: &[Difference],
    secrets: &[String],
) -> Vec<Template> {
    let operations = differences.iter().map(Difference::operation).collect();
    let attributes = changed_paths(differences, secrets);
    let patch = template(Kind::Patch, subject, after, attributes, Data::Operations(operations));
    std::iter::once(patch).chain(activity(subject, before, after)).collect()
}

/// A delete: one event without payload.
pub fn deleted(subject: Subject<'_>, before: &Object) -> Vec<Template> {
    vec![template(Kind::Delete, subject, before, Vec::new(), Data::Nothing)]
}

/// A group that a deleted resource leaves. The store adds the operation when it has found the membership.
pub fn member_left(group: Key, external_id: Option<String>) -> Template {
    members_moved(group, external_id)
}

/// A group whose members change and nothing else. The store adds the operations when it has found who really joins and leaves.
pub fn members_moved(group: Key, external_id: Option<String>) -> Template {
    Template { kind: Kind::Patch, subject: group, external_id, attributes: Vec::new(), data: Data::Operations(Vec::new()) }
}

fn template(kind: Kind, subject: Subject<'_>, document: &Object, attributes: Vec<String>, data: Data) -> Template {
    let external_id = document.get("externalId").and_then(Value::as_str).map(str::to_owned);
    Template { kind, subject: subject.key.clone(), external_id, attributes, data }
}

/// `active` counts as true when it is absent: only an explicit false deactivates.
fn activity(subject: Subject<'_>, before: &Object, after: &Object) -> Option<Template> {
    let is_active = |document: &Object| document.get("active").and_then(Value::as_bool) != Some(false);
    let kind = match (is_active(before), is_active(after)) {
        (true, false) => Kind::Deactivate,
        (false, true) => Kind::Activate,
        _ => return None,
    };
    Some(template(kind, subject, after, Vec::new(), Data::Nothing))
}

fn changed_paths(differences: &[Difference], secrets: &[String]) -> Vec<String> {
    differences.iter().map(|difference| difference.path.clone()).chain(secrets.iter().cloned()).collect()
}

/// The attributes of a document by their top-level names, extension attributes with their URN (RFC 9967 Figure 5).
fn top_level_paths(kind: &ResourceType, document: &Object) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, value) in document {
        match (kind.extension(name), value) {
            (Some(extension), Value::Object(attributes)) => {
                paths.extend(attributes.keys().map(|attribute| format!("{}:{attribute}", extension.schema.id)));
            }
            _ if name == "schemas" => {}
            _ => paths.push(name.clone()),
        }
    }
    paths
}

/// The final representation as the log keeps it: without `meta.version`, which the store assigns, and `meta.location`, which
/// depends on who reads; and without members, which the store finds.
fn representation(subject: Subject<'_>, document: &Object, modified: Timestamp) -> Data {
    let mut whole = document.clone();
    whole.insert("id".into(), subject.key.id.to_string().into());
    let meta = json!({
        "resourceType": subject.kind.name,
        "created": subject.created.to_string(),
        "lastModified": modified.to_string(),
    });
    whole.insert("meta".into(), meta);
    Data::Representation(Value::Object(whole).to_string())
}
