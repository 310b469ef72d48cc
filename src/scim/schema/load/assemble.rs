//! From what the files define to a registry: what belongs together is joined, and checked against the rest.

use super::fields::Place;
use super::overlay::overlay;
use super::read::{Found, FoundSchema, FoundType, Role};
use super::{Loaded, Problem};
use crate::base::id::TypeCode;
use crate::base::limits;
use crate::scim::path::shorten;
use crate::scim::schema::{Attribute, ENTERPRISE_USER, Extension, GROUP, Registry, ResourceType, Schema, Type, builtin};
use std::collections::BTreeMap;
use std::sync::Arc;

/// First segments that the server keeps for itself, in any case.
const RESERVED: [&str; 21] = [
    "Bulk",
    "Me",
    "Schemas",
    "ResourceTypes",
    "ServiceProviderConfig",
    "Events",
    "Async",
    "Streams",
    "ssf",
    "health",
    "ready",
    "live",
    "metrics",
    "openapi",
    "docs",
    "swagger",
    "swagger-ui",
    "console",
    "api",
    "static",
    "jwks",
];
/// `meta.resourceType` of what is no resource of a type.
const RESERVED_NAMES: [&str; 6] = ["Schema", "ResourceType", "ServiceProviderConfig", "Feed", "Bulk", "Me"];

/// A resource type on its way: its extensions by URN, each with whether it is required.
struct Draft {
    name: String,
    endpoint: String,
    description: String,
    schema: String,
    extensions: Vec<(String, bool)>,
    /// Where it is defined, or extended last; `None` is built in and as it was.
    place: Option<Place>,
    indexed: Vec<String>,
}

struct Assembly<'a> {
    problems: &'a mut Vec<Problem>,
    schemas: Vec<Schema>,
    /// The place of each schema that a file gives, by its URN in lower case.
    places: BTreeMap<String, Place>,
    drafts: Vec<Draft>,
    files: BTreeMap<String, String>,
}

/// Joins everything. What is returned counts only when there are no problems.
pub(super) fn assemble(found: Found, problems: &mut Vec<Problem>) -> Loaded {
    let (schemas, types) = builtin::definitions();
    let mut assembly = Assembly {
        problems,
        schemas: schemas.iter().map(|schema| Schema::clone(schema)).collect(),
        places: BTreeMap::new(),
        drafts: types.iter().map(|kind| Draft::of(kind)).collect(),
        files: BTreeMap::new(),
    };
    let Found { schemas, types } = found;
    let kept: Vec<FoundSchema> = schemas.into_iter().filter(|found| assembly.schema(found)).collect();
    for found in &types {
        assembly.resource_type(found);
    }
    for found in &kept {
        assembly.by_folder(found);
    }
    assembly.check_used(&kept);
    assembly.finish()
}

fn is_one(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

impl Draft {
    fn of(kind: &ResourceType) -> Self {
        Self {
            name: kind.name.clone(),
            endpoint: kind.endpoint.clone(),
            description: kind.description.clone(),
            schema: kind.schema.id.clone(),
            extensions: kind.extensions.iter().map(|extension| (extension.schema.id.clone(), extension.required)).collect(),
            place: None,
            indexed: kind.indexed.clone(),
        }
    }

    fn extend(&mut self, urn: &str, required: bool) {
        match self.extensions.iter_mut().find(|(known, _)| is_one(known, urn)) {
            Some((_, known)) => *known |= required,
            None => self.extensions.push((urn.to_owned(), required)),
        }
    }
}

impl Assembly<'_> {
    fn problem(&mut self, place: &Place, what: impl Into<String>) {
        self.problems.push(place.problem(what));
    }

    /// Takes a schema; false when it is not to be looked at any more.
    fn schema(&mut self, found: &FoundSchema) -> bool {
        let FoundSchema { place, schema, .. } = found;
        let key = schema.id.to_ascii_lowercase();
        if schema.id.is_empty() {
            return false;
        }
        if let Some(first) = self.places.get(&key) {
            let what = format!("expected a schema that is given once, found '{}' also in {}", schema.id, first.file);
            self.problem(&place.member("id"), what);
            return false;
        }
        self.places.insert(key, place.clone());
        let schema = self.without_common(schema, place, &found.role);
        match self.schemas.iter().position(|known| is_one(&known.id, &schema.id)) {
            Some(known) => self.schemas[known] = overlay(&self.schemas[known], &schema, place, self.problems),
            None => self.schemas.push(schema.clone()),
        }
        self.files.insert(schema.id, place.file.clone());
        true
    }

    /// A schema that is no extension may repeat the common attributes (RFC 7643 §3.1), as some do: they are there anyway, and what
    /// it says of them is left out. An attribute that only has such a name is a problem.
    fn without_common(&mut self, schema: &Schema, place: &Place, role: &Role) -> Schema {
        let mut schema = schema.clone();
        if matches!(role, Role::Extension { .. }) || is_one(&schema.id, ENTERPRISE_USER) {
            return schema;
        }
        let common = builtin::common();
        let mut index = 0;
        schema.attributes.retain(|attribute| {
            let at = place.member("attributes").element(index);
            index += 1;
            let Some(known) = common.attribute(&attribute.name) else { return true };
            let is_same = known.kind == attribute.kind || (known.name == "schemas" && attribute.kind == Type::String);
            if !is_same || known.multi_valued != attribute.multi_valued {
                let what = format!("expected another name: '{}' is an attribute of every resource (RFC 7643 §3)", known.name);
                self.problems.push(at.member("name").problem(what));
            }
            false
        });
        schema
    }

    fn knows(&self, urn: &str) -> bool {
        self.schemas.iter().any(|schema| is_one(&schema.id, urn))
    }

    fn resource_type(&mut self, found: &FoundType) {
        let FoundType { place, name, endpoint, description, schema, extensions } = found;
        let mut seen: Vec<&str> = Vec::new();
        for (at, urn, _) in extensions.iter().filter(|(_, urn, _)| !urn.is_empty()) {
            if is_one(urn, schema) {
                self.problem(&at.member("schema"), "expected another schema than the type's own");
            } else if seen.iter().any(|other| is_one(other, urn)) {
                self.problem(&at.member("schema"), format!("expected each extension once, found '{}' again", shorten(urn)));
            } else if !self.knows(urn) {
                self.problem(&at.member("schema"), unknown(urn));
            }
            seen.push(urn);
        }
        if !schema.is_empty() && !self.knows(schema) {
            self.problem(&place.member("schema"), unknown(schema));
        }
        let known = self.drafts.iter().position(|draft| is_one(&draft.name, name));
        let Some(known) = known else {
            let extensions = extensions.iter().map(|(_, urn, required)| (urn.clone(), *required)).collect();
            return self.add(place, name, endpoint, description, schema, extensions);
        };
        let draft = &self.drafts[known];
        if let Some(first) = &draft.place {
            let what = format!("expected a resource type that is given once, found '{}' also in {}", draft.name, first.file);
            return self.problem(&place.member("name"), what);
        }
        let (same_schema, same_endpoint) = (is_one(&draft.schema, schema), draft.endpoint == *endpoint);
        let (own_schema, own_endpoint) = (draft.schema.clone(), draft.endpoint.clone());
        if !same_schema {
            self.problem(&place.member("schema"), format!("expected '{own_schema}', as in the built-in type"));
        }
        if !same_endpoint {
            self.problem(&place.member("endpoint"), format!("expected '{own_endpoint}', as in the built-in type"));
        }
        let draft = &mut self.drafts[known];
        for (_, urn, required) in extensions {
            draft.extend(urn, *required);
        }
        if !description.is_empty() {
            draft.description.clone_from(description);
        }
        draft.place = Some(place.clone());
        self.files.insert(draft.name.clone(), place.file.clone());
    }

    /// Adds a resource type that is not built in.
    fn add(&mut self, place: &Place, name: &str, endpoint: &str, description: &str, schema: &str, extensions: Vec<(String, bool)>) {
        if !name.is_empty() && !is_type_name(name) {
            self.problem(&place.member("name"), format!("expected a name of letters and digits, found '{}'", shorten(name)));
        } else if RESERVED_NAMES.iter().any(|reserved| is_one(reserved, name)) {
            self.problem(&place.member("name"), format!("expected another name: '{name}' is the server's own"));
        }
        if !endpoint.is_empty() {
            self.check_endpoint(place, endpoint);
        }
        self.drafts.push(Draft {
            name: name.to_owned(),
            endpoint: endpoint.to_owned(),
            description: if description.is_empty() { name.to_owned() } else { description.to_owned() },
            schema: schema.to_owned(),
            extensions,
            place: Some(place.clone()),
            indexed: vec!["externalId".into(), "displayName".into()],
        });
        self.files.insert(name.to_owned(), place.file.clone());
    }

    fn check_endpoint(&mut self, place: &Place, endpoint: &str) {
        let place = place.member("endpoint");
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
        let segment = endpoint.strip_prefix('/').unwrap_or_default();
        if !segment.starts_with(|first: char| first.is_ascii_alphabetic()) || !segment.bytes().all(allowed) {
            let what = format!(
                "expected a slash and one segment that begins with a letter, such as /Devices, found '{}'",
                shorten(endpoint)
            );
            return self.problem(&place, what);
        }
        if RESERVED.iter().any(|reserved| is_one(reserved, segment.split('.').next().unwrap_or_default())) {
            return self.problem(&place, format!("expected another endpoint: '{endpoint}' is the server's own"));
        }
        if let Some(other) = self.drafts.iter().find(|draft| is_one(&draft.endpoint, endpoint)) {
            let what = format!("expected another endpoint: '{}' is that of the resource type {}", other.endpoint, other.name);
            self.problem(&place, what);
        }
    }

    /// What the layout by folders says of a schema.
    fn by_folder(&mut self, found: &FoundSchema) {
        let FoundSchema { place, role, schema } = found;
        match role {
            Role::Free => {}
            Role::Core { .. } if self.drafts.iter().any(|draft| is_one(&draft.schema, &schema.id)) => {}
            Role::Core { stem } => {
                let names = [&schema.name, stem];
                let Some(name) = names.into_iter().find(|name| is_type_name(name)) else {
                    let what =
                        format!("expected a name of letters and digits for the resource type, found '{}'", shorten(&schema.name));
                    return self.problem(&place.member("name"), what);
                };
                if let Some(other) = self.drafts.iter().find(|draft| is_one(&draft.name, name)) {
                    let what =
                        format!("expected another name: there is a resource type {} already, of '{}'", other.name, other.schema);
                    return self.problem(&place.member("name"), what);
                }
                let endpoint = format!("/{}", plural(name));
                self.add(place, name, &endpoint, &schema.description, &schema.id, Vec::new());
            }
            Role::Extension { of } => {
                let names = self.drafts.iter().map(|draft| draft.name.as_str());
                let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
                let names = names.join(", ");
                match self.drafts.iter_mut().find(|draft| is_one(&draft.name, of)) {
                    Some(draft) if is_one(&draft.schema, &schema.id) => {
                        self.problem(&place.member("id"), "expected another schema than the type's own");
                    }
                    Some(draft) => draft.extend(&schema.id, false),
                    None => {
                        let what = format!("the folder extensions/{of}: expected the name of a resource type ({names})");
                        self.problem(&Place::of_file(&place.file), what);
                    }
                }
            }
        }
    }

    /// A schema that nothing uses was meant to be used.
    fn check_used(&mut self, found: &[FoundSchema]) {
        let is_used = |urn: &str| {
            let of = |draft: &Draft| is_one(&draft.schema, urn) || draft.extensions.iter().any(|(known, _)| is_one(known, urn));
            self.drafts.iter().any(of)
        };
        let unused: Vec<Place> = found
            .iter()
            .filter(|found| found.role == Role::Free && !is_used(&found.schema.id))
            .map(|found| found.place.member("id"))
            .collect();
        for place in unused {
            let what = "expected a resource type that has this schema or is extended by it: give a ResourceType, or put the file into core/ or extensions/<type>/";
            self.problem(&place, what);
        }
    }

    fn finish(mut self) -> Loaded {
        self.check_limits();
        self.name_members();
        let schemas: Vec<Arc<Schema>> = self.schemas.iter().cloned().map(Arc::new).collect();
        let find = |urn: &str| schemas.iter().find(|schema| is_one(&schema.id, urn)).cloned();
        let common = builtin::common();
        let mut types = Vec::new();
        for (draft, code) in self.drafts.iter().zip(1_u16..) {
            // What is missing has been noted.
            let Some(schema) = find(&draft.schema) else { continue };
            let extensions = draft.extensions.iter();
            let extensions = extensions.filter_map(|(urn, required)| Some(Extension { schema: find(urn)?, required: *required }));
            types.push(Arc::new(ResourceType {
                code: TypeCode(code),
                name: draft.name.clone(),
                endpoint: draft.endpoint.clone(),
                description: draft.description.clone(),
                schema,
                extensions: extensions.collect(),
                indexed: draft.indexed.clone(),
                common: Arc::clone(&common),
            }));
        }
        Loaded { registry: Registry::new(schemas, types), files: self.files }
    }

    fn check_limits(&mut self) {
        let most = limits::RESOURCE_TYPES;
        let count = self.drafts.len();
        if let Some(place) = self.drafts.get(most).and_then(|draft| draft.place.clone()) {
            self.problem(&place, format!("expected at most {most} resource types, found {count}"));
        }
        let most = limits::EXTENSIONS_PER_TYPE;
        let over = |draft: &&Draft| draft.extensions.len() > most;
        let over = self.drafts.iter().find(over).and_then(|draft| Some((draft.place.clone()?, draft.name.clone())));
        if let Some((place, name)) = over {
            self.problem(&place, format!("expected at most {most} extensions of the resource type {name}"));
        }
    }

    /// Resources of every type can be members of a group: the built-in definition of its `members` names them all.
    fn name_members(&mut self) {
        let names: Vec<String> = self.drafts.iter().map(|draft| draft.name.clone()).collect();
        let group = self.schemas.iter_mut().find(|schema| schema.id == GROUP);
        let members = group.and_then(|group| group.attributes.iter_mut().find(|attribute| attribute.name == "members"));
        let Some(members) = members.map(Arc::make_mut) else { return };
        for part in members.sub_attributes.iter_mut().map(Arc::make_mut) {
            let Attribute { name, canonical_values, reference_types, .. } = part;
            let known = match name.as_str() {
                "type" => canonical_values,
                "$ref" => reference_types,
                _ => continue,
            };
            known.extend(names.iter().filter(|name| *name != "User" && *name != "Group").cloned());
        }
    }
}

fn unknown(urn: &str) -> String {
    format!("expected the id of a schema that is built in or given in a file, found '{}'", shorten(urn))
}

fn is_type_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The English plural: Device → Devices, Entity → Entities, Access → Accesses.
fn plural(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    match name.strip_suffix(['y', 'Y']) {
        Some(stem) if !ends(&["ay", "ey", "iy", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{name}es"),
        _ => format!("{name}s"),
    }
}
