//! From an event to the claims of its SET, for one audience (RFC 8417 §2.2, RFC 9967 §2).

use super::policy::{AttributePolicy, View};
use super::{Event, Kind, Mode};
use crate::base::id::EventId;
use crate::scim::Object;
use crate::scim::message;
use crate::scim::schema::Registry;
use crate::scim::version::etag;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// For whom events are rendered.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`
    pub audience: &'a [String],
    /// The base of absolute URIs, without a trailing slash.
    pub base: &'a str,
    /// Whether payloads hold data.
    pub mode: Mode,
    /// The attributes that may be seen.
    pub policy: &'a AttributePolicy,
    /// What makes the `jti` of this stream or feed.
    pub tag: &'a Tag,
}

/// Makes and checks the `jti`s of one stream or feed: `{event_id}.{tag}`, the tag a short HMAC over the event, the stream or feed,
/// and a generation. Stable across retransmission, distinct for each audience (9967-2.2-01).
#[derive(Clone)]
pub struct Tag {
    mac: Hmac<Sha256>,
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tag(…)")
    }
}

impl Tag {
    const CHARACTERS: usize = 16;

    /// The tags of a stream or feed, under a key of this installation.
    pub fn new(key: &[u8; 32], stream: &str, generation: u32) -> Self {
        // A key shorter than HMAC's block is padded with zeros to it (RFC 2104 §2), so that this is HMAC under the same key.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(&generation.to_be_bytes());
        mac.update(stream.as_bytes());
        // The stream's length keeps a name's end from being read as an event's start.
        mac.update(&(stream.len() as u64).to_be_bytes());
        Self { mac }
    }

    /// The `jti` of an event.
    pub fn jti(&self, event: EventId) -> String {
        format!("{event}.{}", self.of(event))
    }

    /// The event that a `jti` names; `None` when this stream or feed did not make it.
    pub fn event(&self, jti: &str) -> Option<EventId> {
        let (id, tag) = jti.split_once('.')?;
        let event = EventId(Uuid::try_parse(id).ok()?);
        let genuine = event.to_string() == id && bool::from(self.of(event).as_bytes().ct_eq(tag.as_bytes()));
        genuine.then_some(event)
    }

    fn of(&self, event: EventId) -> String {
        let mut mac = self.mac.clone();
        mac.update(event.0.as_bytes());
        let digest = mac.finalize().into_bytes();
        digest.iter().take(Self::CHARACTERS / 2).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// Whether a text has the form of a `jti`. [`Tag::event`] tells whose it is.
pub fn is_jti(text: &str) -> bool {
    let parts = text.split_once('.');
    parts.is_some_and(|(id, tag)| Uuid::try_parse(id).is_ok() && tag.len() == Tag::CHARACTERS)
}

/// The claims of the SET of an event; `None` when the registry does not know its subject's type. That of a type that is no longer
/// served is told by the endpoint it had.
pub fn claims(event: &Event, registry: &Registry, rendering: Rendering<'_>) -> Option<Value> {
    let relative = registry.address("", event.subject.kind, &event.subject.id.to_string())?;
    let mut subject = json!({"format": "scim", "uri": relative});
    if let Some(external_id) = event.external_id.as_ref().filter(|_| rendering.policy.view("externalId") == View::Whole) {
        subject["externalId"] = external_id.as_str().into();
    }
    let (uri, payload) = payload(event, registry, &relative, rendering);
    Some(json!({
        "iss": rendering.issuer,
        "iat": event.at.seconds(),
        "jti": rendering.tag.jti(event.id),
        "txn": event.txn,
        "aud": rendering.audience,
        "sub_id": subject,
        "events": {uri: payload},
    }))
}

/// The event URI and its payload: `data` in full events, `attributes` in notices, never both (9967-2.2-03). An event without data,
/// or of whose data the receiver may see nothing, is a notice whatever the mode.
fn payload(event: &Event, registry: &Registry, relative: &str, rendering: Rendering<'_>) -> (&'static str, Value) {
    if !event.kind.has_modes() {
        return (event.kind.uri(rendering.mode), json!({}));
    }
    let version = etag(event.version);
    let data = event.data.as_deref().filter(|_| rendering.mode == Mode::Full).and_then(|text| serde_json::from_str(text).ok());
    let data = match (data, event.kind) {
        (Some(Value::Array(operations)), Kind::Patch) => patch(registry, operations, rendering),
        (Some(Value::Object(data)), _) => representation(event, registry, relative, data, rendering),
        _ => None,
    };
    if let Some(data) = data {
        return (event.kind.uri(Mode::Full), json!({"version": version, "data": data}));
    }
    let attributes = rendering.policy.visible(&event.attributes);
    (event.kind.uri(Mode::Notice), json!({"version": version, "attributes": attributes}))
}

/// RFC 9967 Figure 6: a patch's data is a PATCH message.
fn patch(registry: &Registry, operations: Vec<Value>, rendering: Rendering<'_>) -> Option<Value> {
    let mut operations = rendering.policy.cut_operations(operations, |path| registry.schema(path).is_some());
    for operation in operations.iter_mut().filter(|operation| operation["path"] == "members") {
        refer(registry, operation.get_mut("value"), rendering);
    }
    (!operations.is_empty()).then(|| json!({"schemas": [message::PATCH_OP], "Operations": operations}))
}

/// A logged representation with what the log leaves out.
fn representation(event: &Event, registry: &Registry, relative: &str, mut data: Object, rendering: Rendering<'_>) -> Option<Value> {
    let base = rendering.base;
    if !rendering.policy.cut_representation(&mut data) {
        return None;
    }
    refer(registry, data.get_mut("members"), rendering);
    if let Some(meta) = data.get_mut("meta").and_then(Value::as_object_mut) {
        meta.insert("location".into(), format!("{base}{relative}").into());
        meta.insert("version".into(), etag(event.version).into());
    }
    Some(data.into())
}

/// Gives members their `$ref`, where their type is known and the receiver may see it.
fn refer(registry: &Registry, members: Option<&mut Value>, rendering: Rendering<'_>) {
    if rendering.policy.view("members.$ref") != View::Whole {
        return;
    }
    for member in members.and_then(Value::as_array_mut).into_iter().flatten() {
        let kind = member["type"].as_str().and_then(|name| registry.by_name(name));
        if let (Some(kind), Some(id)) = (kind, member["value"].as_str()) {
            member["$ref"] = kind.address(rendering.base, id).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::base::id::{Key, ResourceId, Tenant, TypeCode};

    fn event(kind: Kind, attributes: &[&str], data: Option<&str>) -> Event {
        Event {
            id: EventId(Uuid::from_u128(7)),
            kind,
            subject: Key { tenant: Tenant(0), kind: TypeCode(1), id: ResourceId::parse("42") },
            external_id: Some("jdoe".into()),
            version: 3,
            txn: "t1".into(),
            at: Timestamp(1_458_505_044_999),
            attributes: attributes.iter().map(|&path| path.to_owned()).collect(),
            data: data.map(str::to_owned),
        }
    }

    fn rendered(event: &Event, mode: Mode) -> Value {
        let registry = Registry::builtin();
        let tag = Tag::new(&[1; 32], "default", 0);
        let (audience, policy) = (["https://a".to_owned()], AttributePolicy::default());
        let rendering = Rendering { issuer: "https://i", audience: &audience, base: "https://b", mode, policy: &policy, tag: &tag };
        claims(event, &registry, rendering).expect("served")
    }

    /// 9967-2.1-01 9967-2.1-02 9967-2.2-03
    #[test]
    fn a_notice_names_attributes_and_a_full_event_holds_data() {
        let patched = event(Kind::Patch, &["active"], Some(r#"[{"op":"replace","path":"active","value":false}]"#));
        let notice = rendered(&patched, Mode::Notice);
        let jti = notice["jti"].as_str().expect("jti").to_owned();
        assert_eq!(
            notice,
            json!({"iss": "https://i", "iat": 1_458_505_044, "jti": jti, "txn": "t1", "aud": ["https://a"],
                   "sub_id": {"format": "scim", "uri": "/Users/42", "externalId": "jdoe"},
                   "events": {"urn:ietf:params:scim:event:prov:patch:notice": {"version": "\"3\"", "attributes": ["active"]}}})
        );
        let full = rendered(&patched, Mode::Full);
        assert_eq!(
            full["events"],
            json!({"urn:ietf:params:scim:event:prov:patch:full": {"version": "\"3\"", "data": {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "active", "value": false}]}}})
        );
    }

    /// 9967-2.4.1-01
    #[test]
    fn a_full_create_holds_the_representation_with_version_and_location() {
        let created = event(Kind::Create, &["id"], Some(r#"{"userName":"j","id":"42","meta":{"resourceType":"User"}}"#));
        assert_eq!(
            rendered(&created, Mode::Full)["events"]["urn:ietf:params:scim:event:prov:create:full"]["data"],
            json!({"userName": "j", "id": "42", "meta": {"resourceType": "User", "location": "https://b/Users/42", "version": "\"3\""}})
        );
    }

    #[test]
    fn an_id_stands_in_an_address_as_one_segment() {
        let subject = Key { tenant: Tenant(0), kind: TypeCode(1), id: ResourceId::parse("a b/c?d") };
        let data = r#"{"userName":"j","meta":{"resourceType":"User"}}"#;
        let created = rendered(&Event { subject, ..event(Kind::Create, &["id"], Some(data)) }, Mode::Full);
        assert_eq!(created["sub_id"]["uri"], "/Users/a%20b%2Fc%3Fd");
        let data = &created["events"]["urn:ietf:params:scim:event:prov:create:full"]["data"];
        assert_eq!(data["meta"]["location"], "https://b/Users/a%20b%2Fc%3Fd");
    }

    /// 9967-2.4.4-01
    #[test]
    fn a_delete_has_an_empty_payload_and_an_event_without_data_is_a_notice() {
        let deleted = rendered(&event(Kind::Delete, &[], None), Mode::Full);
        assert_eq!(deleted["events"], json!({"urn:ietf:params:scim:event:prov:delete": {}}));
        let large = rendered(&event(Kind::Patch, &["members"], None), Mode::Full);
        assert_eq!(
            large["events"],
            json!({"urn:ietf:params:scim:event:prov:patch:notice": {"version": "\"3\"", "attributes": ["members"]}})
        );
    }

    /// 8417-2.2-03 9967-2.2-01
    #[test]
    fn a_jti_is_stable_and_belongs_to_one_feed() {
        let (tag, other) = (Tag::new(&[1; 32], "default", 0), Tag::new(&[1; 32], "other", 0));
        let id = EventId(Uuid::from_u128(7));
        let jti = tag.jti(id);
        assert_eq!(tag.jti(id), jti);
        assert_eq!(tag.event(&jti), Some(id));
        assert_eq!(other.event(&jti), None);
        for forged in ["", ".", "x", &jti[..jti.len() - 1], &jti.to_uppercase().replace("0.", "1."), "00.00"] {
            assert_eq!(tag.event(forged), None, "{forged}");
        }
    }
}
