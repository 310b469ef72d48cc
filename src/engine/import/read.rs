//! From the text of a resource to what a unit needs to create it. Pure but for new ids, so that it runs on all cores.

use super::super::Engine;
use super::super::export::SECRETS;
use super::super::secrets::is_hash;
use super::{Known, Origin, Record, Terms};
use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId, Tenant};
use crate::base::limits;
use crate::event::plan::{self, Subject};
use crate::event::template::Template;
use crate::scim::Object;
use crate::scim::error::{Error, Result};
use crate::scim::json;
use crate::scim::path::{self, shorten};
use crate::scim::quirks;
use crate::scim::resource::{Member, SecretChange};
use crate::scim::schema::ResourceType;
use crate::scim::validate;
use crate::scim::validate::secret::is_secret;
use crate::store::{Dates, Document};
use serde_json::Value;
use std::sync::Arc;

/// A resource that can be created.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) origin: Origin,
    pub(super) kind: Arc<ResourceType>,
    pub(super) key: Key,
    /// Its text, where it may have to be read once more to replace what is there.
    pub(super) text: Option<Arc<[u8]>>,
    pub(super) document: Document,
    pub(super) members: Vec<Member>,
    /// Secrets in clear, which are to be hashed.
    pub(super) secrets: Vec<SecretChange>,
    pub(super) events: Vec<Template>,
}

impl Engine {
    /// Reads a record.
    pub(super) fn prepare(&self, tenant: Tenant, record: Record, terms: &Terms) -> Result<Prepared, (Origin, Error)> {
        let Record { origin, known, text } = record;
        match text.and_then(|text| self.prepared(tenant, &origin, known, &text, terms)) {
            Ok(prepared) => Ok(prepared),
            Err(error) => Err((origin, error)),
        }
    }

    fn prepared(&self, tenant: Tenant, origin: &Origin, known: Option<Known>, text: &[u8], terms: &Terms) -> Result<Prepared> {
        let mut body = body(text)?;
        let hashed = body.as_object_mut().and_then(|object| object.shift_remove(SECRETS));
        let object = body.as_object().ok_or_else(|| Error::invalid_syntax("A resource must be a JSON object."))?;
        let kind = self.kind_of(object, known.as_ref())?;
        let id = match known {
            Some(known) => identifier(&known.id)?,
            None => self.id_of(object, terms)?,
        };
        let key = Key { tenant, kind: kind.code, id };
        let dates = dates(object)?;
        let hashed = hashed.map(|hashed| hashes(&kind, hashed)).transpose()?.unwrap_or_default();
        let paths: Vec<String> = hashed.keys().cloned().collect();
        let validated = validate::create_with(&kind, &quirks::resource(&kind, &body, self.switches.quirks), &paths)?;
        if let Some(both) = validated.secrets.iter().find(|secret| paths.contains(&secret.path)) {
            let problem = format!("Attribute '{}' is given in clear and hashed.", both.path);
            return Err(Error::invalid_value(problem));
        }
        let hashed = (!hashed.is_empty()).then(|| Value::Object(hashed).to_string());
        let mut document = self.document(&kind, None, &validated.document, hashed);
        document.dates = dates;
        let mut events = Vec::new();
        if terms.announce {
            let Dates { created, modified } = document.dates(self.clock.now());
            let secrets: Vec<String> =
                paths.into_iter().chain(validated.secrets.iter().map(|secret| secret.path.clone())).collect();
            events = plan::imported(Subject { kind: &kind, key: &key, created }, &validated.document, &secrets, modified);
        }
        let text = (terms.on_conflict == super::OnConflict::Replace).then(|| text.into());
        let (members, secrets) = (validated.members, validated.secrets);
        Ok(Prepared { origin: origin.clone(), kind, key, text, document, members, secrets, events })
    }

    /// The type that a table, `meta.resourceType` or `schemas` names.
    fn kind_of(&self, object: &Object, known: Option<&Known>) -> Result<Arc<ResourceType>> {
        let named = match known {
            Some(known) => Some(&*known.kind),
            None => {
                get(object, "meta").and_then(Value::as_object).and_then(|meta| get(meta, "resourceType")).and_then(Value::as_str)
            }
        };
        if let Some(name) = named {
            let unknown = || Error::invalid_value(format!("There is no resource type '{}'.", shorten(name)));
            return self.registry.by_name(name).cloned().ok_or_else(unknown);
        }
        let schemas = get(object, "schemas").and_then(Value::as_array);
        let urns: Vec<&str> = schemas.into_iter().flatten().filter_map(Value::as_str).collect();
        let is_named = |kind: &&Arc<ResourceType>| urns.iter().any(|urn| kind.schema.id.eq_ignore_ascii_case(urn));
        let mut kinds = self.registry.types().iter().filter(is_named);
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Arc::clone(kind)),
            (None, _) => Err(Error::invalid_value("Neither 'meta.resourceType' nor 'schemas' names a resource type.")),
            (Some(_), Some(_)) => {
                Err(Error::invalid_value("'schemas' names several resource types: 'meta.resourceType' is needed."))
            }
        }
    }

    fn id_of(&self, object: &Object, terms: &Terms) -> Result<ResourceId> {
        match get(object, "id") {
            Some(Value::String(id)) => identifier(id),
            None | Some(Value::Null) if terms.new_ids => Ok(self.ids.next().into()),
            None | Some(Value::Null) => Err(validate::required::missing("id")),
            Some(_) => Err(Error::invalid_value("Attribute 'id' must be a string.")),
        }
    }
}

/// The JSON value of a text.
pub(super) fn body(text: &[u8]) -> Result<Value> {
    json::parse_line(text, limits::IMPORT_VALUES)
}

/// A member of an object by its name in any case (7643-2.1-01).
fn get<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.get(name).or_else(|| object.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// An id that a request can name afterwards; `bulkId` is none (7643-3.1-04), and `.search` is what a query is sent to (7644-3.4.3-01).
fn identifier(id: &str) -> Result<ResourceId> {
    if id.is_empty() || id.len() > limits::RESOURCE_ID_BYTES || id.chars().any(char::is_control) {
        let most = limits::RESOURCE_ID_BYTES;
        return Err(Error::invalid_value(format!("Attribute 'id' must have 1 to {most} bytes and no control characters.")));
    }
    if matches!(id, "." | ".." | ".search") || id.eq_ignore_ascii_case("bulkId") {
        return Err(Error::invalid_value("Attribute 'id' must not be 'bulkId', '.search', '.' or '..'."));
    }
    Ok(ResourceId::parse(id))
}

/// `meta.created` and `meta.lastModified`: one stands for both where the other is missing.
fn dates(object: &Object) -> Result<Option<Dates>> {
    let meta = get(object, "meta").and_then(Value::as_object);
    let at = |name: &str| -> Result<Option<Timestamp>> {
        let Some(given) = meta.and_then(|meta| get(meta, name)).filter(|value| !value.is_null()) else { return Ok(None) };
        let time = given.as_str().and_then(Timestamp::parse);
        time.map(Some).ok_or_else(|| Error::invalid_value(format!("Attribute 'meta.{name}' must be a date and time.")))
    };
    Ok(match (at("created")?, at("lastModified")?) {
        (None, None) => None,
        (created, modified) => {
            let both = created.or(modified).unwrap_or_default();
            Some(Dates { created: both, modified: modified.unwrap_or(both) })
        }
    })
}

/// The hashed secrets that an export brings, by the canonical paths of their attributes.
fn hashes(kind: &ResourceType, value: Value) -> Result<Object> {
    let wrong = |problem: &str| Error::invalid_value(format!("'{SECRETS}' {problem}."));
    let Value::Object(given) = value else { return Err(wrong("must be an object")) };
    let mut hashes = Object::new();
    for (name, hash) in given {
        let path = path::resolve(kind, &name).ok().filter(|path| path.sub_attribute.is_none() && is_secret(&path.attribute));
        let path = path.ok_or_else(|| wrong("names an attribute that holds no secret"))?;
        if !hash.as_str().is_some_and(is_hash) {
            return Err(wrong("must hold argon2id hashes in PHC form"));
        }
        hashes.insert(path.to_string(), hash);
    }
    Ok(hashes)
}
