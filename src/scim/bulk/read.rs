//! Reading the message: what the whole of it must be, and what each operation asks for.

use super::path::{REFERENCE, decode, locate};
use super::references::{Unknown, each};
use super::{Bulk, Method, Operation, Request, Target};
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::message::{BULK_REQUEST, check_urn};
use crate::scim::path::shorten;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::version::Precondition;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

/// See [`Bulk::read`].
pub(super) fn bulk(body: Value, registry: &Registry, base: &str, most_operations: usize) -> Result<Bulk> {
    let Value::Object(message) = body else { return Err(Error::invalid_syntax("The body must be a JSON object.")) };
    let [schemas, most_failures, operations] = members(message, ["schemas", "failOnErrors", "Operations"], "")?;
    check_urn(schemas.as_ref(), BULK_REQUEST)?;
    let Some(Value::Array(operations)) = operations.filter(|operations| operations != &Value::Array(Vec::new())) else {
        return Err(Error::invalid_syntax("'Operations' must be an array of at least one operation."));
    };
    if operations.len() > most_operations {
        let count = operations.len();
        let detail = format!("The bulk request has {count} operations, more than maxOperations ({most_operations}).");
        return Err(Error::new(ErrorKind::TooLarge, detail));
    }
    let most_failures = most_failures.map(|value| positive(&value)).transpose()?;
    let written = operations.into_iter().enumerate().map(|(index, operation)| Written::read(index, operation));
    let written = written.collect::<Result<Vec<Written>>>()?;
    let created = created(&written)?;
    let reader = Reader { registry, base, created: &created };
    let operations = written.into_iter().map(|operation| reader.operation(operation)).collect();
    Ok(Bulk { operations, most_failures, created })
}

/// The members of these names, in any case (7643-2.1-01); `null` is absent. Two spellings of one name are refused.
fn members<const N: usize>(object: Object, names: [&str; N], whose: &str) -> Result<[Option<Value>; N]> {
    let mut found = [const { None }; N];
    for (name, value) in object {
        let Some(place) = names.iter().position(|known| known.eq_ignore_ascii_case(&name)) else { continue };
        if found[place].replace(value).is_some() {
            let name = names[place];
            return Err(Error::invalid_syntax(format!("The name '{whose}{name}' stands twice in one object, in two spellings.")));
        }
    }
    Ok(found.map(|value| value.filter(|value| !value.is_null())))
}

fn positive(value: &Value) -> Result<NonZeroUsize> {
    let number = value.as_u64().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    number.and_then(NonZeroUsize::new).ok_or_else(|| Error::invalid_value("'failOnErrors' must be an integer of at least 1."))
}

/// The POST of each `bulkId`. It is unique in the request, whatever the method (7644-3.7-02).
fn created(operations: &[Written]) -> Result<HashMap<String, usize>> {
    let mut seen = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Some(bulk_id) = &operation.bulk_id
            && seen.insert(bulk_id.clone(), index).is_some()
        {
            return Err(Error::invalid_syntax(format!("The bulkId '{}' stands twice in the request.", shorten(bulk_id))));
        }
    }
    seen.retain(|_, index| operations[*index].method == Method::Post.as_str());
    Ok(seen)
}

/// An operation as it is written.
struct Written {
    method: String,
    bulk_id: Option<String>,
    version: Option<String>,
    path: Option<String>,
    data: Option<Value>,
}

impl Written {
    fn read(index: usize, operation: Value) -> Result<Self> {
        let whose = format!("Operations[{index}]");
        let Value::Object(operation) = operation else {
            return Err(Error::invalid_syntax(format!("'{whose}' must be an object.")));
        };
        let names = ["method", "bulkId", "version", "path", "data"];
        let [method, bulk_id, version, path, data] = members(operation, names, &format!("{whose}."))?;
        let text = |name: &str, value: Option<Value>| match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::invalid_syntax(format!("'{whose}.{name}' must be a string."))),
        };
        let name = |name: &str, value| text(name, value).map(|text| text.filter(|text| !text.is_empty()));
        let method = name("method", method)?;
        // Without a method there could be no result of it (7644-3.7.3-01).
        let method = method.ok_or_else(|| Error::invalid_syntax(format!("'{whose}.method' is required: {}.", all_methods())))?;
        let known = Method::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(&method));
        Ok(Self {
            method: known.map_or(method, |known| known.as_str().to_owned()),
            bulk_id: name("bulkId", bulk_id)?,
            // An empty one is no version, and not the wish for none: the write would be as unprotected as without it.
            version: text("version", version)?,
            path: name("path", path)?,
            data,
        })
    }
}

fn all_methods() -> &'static str {
    "POST, PUT, PATCH or DELETE"
}

struct Reader<'a> {
    registry: &'a Registry,
    base: &'a str,
    created: &'a HashMap<String, usize>,
}

impl Reader<'_> {
    fn operation(&self, written: Written) -> Operation {
        let Written { method, bulk_id, version, path, data } = written;
        let mut needs = BTreeSet::new();
        let request = self.request(&method, bulk_id.as_deref(), version.as_deref(), path.as_deref(), data, &mut needs);
        let needs = needs.into_iter().filter(|_| request.is_ok()).collect();
        Operation { method, bulk_id, path, needs, request }
    }

    fn request(
        &self,
        method: &str,
        bulk_id: Option<&str>,
        version: Option<&str>,
        path: Option<&str>,
        data: Option<Value>,
        needs: &mut BTreeSet<usize>,
    ) -> Result<Request> {
        let unknown = || Error::invalid_syntax(format!("'method' must be {}, not '{}'.", all_methods(), shorten(method)));
        let method = Method::ALL.into_iter().find(|known| known.as_str() == method).ok_or_else(unknown)?;
        let (kind, target) = self.target(method, path, needs)?;
        if method == Method::Post && bulk_id.is_none() {
            return Err(Error::invalid_syntax("'bulkId' is required when 'method' is POST."));
        }
        // What is created has no version yet, so that it can ask for none.
        let precondition = match version.filter(|_| method != Method::Post) {
            None => None,
            Some(version) => Some(Precondition::parse("'version'", version)?),
        };
        let mut data = match (method, data) {
            (Method::Delete, _) => Value::Null,
            (_, Some(data)) => data,
            (_, None) => return Err(Error::invalid_syntax(format!("'data' is required when 'method' is {}.", method.as_str()))),
        };
        let mut note = |bulk_id: &str| match self.created.get(bulk_id) {
            Some(post) => {
                needs.insert(*post);
                Ok(None)
            }
            None => Err(Unknown),
        };
        each(&mut data, "data", method, &mut note).map_err(|place| no_such_post(&place))?;
        Ok(Request { method, kind, target, precondition, data })
    }

    /// The type and the resource that a path names. POST is for a type, every other method for a resource (7644-3.7-02).
    fn target(
        &self,
        method: Method,
        path: Option<&str>,
        needs: &mut BTreeSet<usize>,
    ) -> Result<(Arc<ResourceType>, Option<Target>)> {
        let path = path.ok_or_else(|| Error::invalid_syntax("'path' is required."))?;
        let nowhere = || Error::new(ErrorKind::NotFound, format!("There is no endpoint '{}'.", shorten(path)));
        let (kind, segment) = locate(self.registry, self.base, path).ok_or_else(nowhere)?;
        let wrong = |takes: &str| {
            let detail = format!("{} is not allowed at '{}': it takes {takes}.", method.as_str(), shorten(path));
            Error::new(ErrorKind::MethodNotAllowed, detail)
        };
        let target = match (method, segment) {
            (Method::Post, None) => None,
            (Method::Post, Some(_)) => return Err(wrong("the path of a resource type, such as /Users")),
            (_, None) => return Err(wrong("the path of a resource, such as /Users/{id}")),
            (_, Some(segment)) => Some(self.resource(segment, needs)?),
        };
        Ok((kind, target))
    }

    fn resource(&self, segment: &str, needs: &mut BTreeSet<usize>) -> Result<Target> {
        let decoded = decode(segment).ok_or_else(|| Error::invalid_syntax("'path' is not UTF-8 in percent-encoding."))?;
        let spellings = [segment, &decoded].map(|spelling| spelling.strip_prefix(REFERENCE));
        if let Some(post) = spellings.iter().flatten().find_map(|bulk_id| self.created.get(*bulk_id)) {
            needs.insert(*post);
            return Ok(Target::Created(*post));
        }
        if decoded.starts_with(REFERENCE) { Err(no_such_post("path")) } else { Ok(Target::Id(decoded.into_owned())) }
    }
}

fn no_such_post(place: &str) -> Error {
    Error::invalid_value(format!("'{}' refers to a bulkId that no POST of the request has.", shorten(place)))
}
