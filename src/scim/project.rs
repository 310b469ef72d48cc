//! Projection: `attributes`, `excludedAttributes` and `returned` (RFC 7644 §3.9, RFC 7643 §7).

mod written;

use super::Object;
use super::error::{Error, Result};
use super::path::{AttributePath, Target, resolve_target};
use super::schema::{Attribute, ResourceType, Returned, Schema};
use crate::base::limits;
use serde_json::Value;
use std::sync::Arc;

/// Which attributes of a resource an answer holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Projection {
    /// Those with `returned` always or default.
    #[default]
    Default,
    /// Those always returned and these.
    Only(Vec<Target>),
    /// The default ones without these.
    Without(Vec<Target>),
    /// The answer to a write that has written attributes with `returned` request: the default ones without the excluded ones, and
    /// those.
    Written {
        /// What the client does not want.
        excluded: Vec<Target>,
        /// What the write names.
        written: Vec<Target>,
    },
}

impl Projection {
    /// Reads the two parameters, each a list of attribute paths separated by commas. Unknown names are ignored; both at once are
    /// refused (7644-3.9-03). A parameter without any text counts as not given.
    pub fn parse(kind: &ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Result<Self> {
        let is_given = |text: &&str| !text.trim().is_empty();
        match (attributes.filter(is_given), excluded.filter(is_given)) {
            (Some(_), Some(_)) => Err(Error::invalid_value("'attributes' and 'excludedAttributes' exclude each other.")),
            (Some(names), None) => targets(kind, "attributes", names).map(Self::Only),
            (None, Some(names)) => targets(kind, "excludedAttributes", names).map(Self::Without),
            (None, None) => Ok(Self::Default),
        }
    }

    /// The same projection for the answer to a write with this body: attributes with `returned` request are shown when the write
    /// names them (7643-7-05). Where the client says which attributes it wants, that counts alone.
    #[must_use]
    pub fn of_write(self, kind: &ResourceType, body: &Value) -> Self {
        let excluded = match &self {
            Self::Default => Vec::new(),
            Self::Without(excluded) => excluded.clone(),
            Self::Only(_) | Self::Written { .. } => return self,
        };
        let written = written::requested(kind, body);
        if written.is_empty() { self } else { Self::Written { excluded, written } }
    }

    /// Whether an answer holds any of a core attribute: `members` and `groups` are only loaded then.
    pub fn includes(&self, kind: &ResourceType, attribute: &str) -> bool {
        kind.attribute(attribute).is_some_and(|attribute| self.share(None, attribute) != Share::Nothing)
    }

    /// Whether an answer holds everything that is stored, so that [`Projection::apply`] has nothing to do.
    pub fn is_whole(&self, kind: &ResourceType) -> bool {
        let by_default = |attribute: &Attribute| matches!(attribute.returned, Returned::Always | Returned::Default);
        // What is never returned is not in a document either; only a part of an attribute could be.
        *self == Self::Default
            && kind.all_attributes().all(|(_, attribute)| {
                attribute.returned != Returned::Request && attribute.sub_attributes.iter().all(|sub| by_default(sub))
            })
    }

    /// Removes from a whole resource (with `id`, `meta`, `members` and `groups`) what an answer does not hold.
    pub fn apply(&self, kind: &ResourceType, resource: &mut Object) {
        resource.retain(|name, value| {
            if let Some(attribute) = kind.attribute(name) {
                return self.keep(None, attribute, value);
            }
            let (Some(extension), Value::Object(container)) = (kind.extension(name), value) else { return false };
            let schema = &extension.schema;
            container
                .retain(|name, value| schema.attribute(name).is_some_and(|attribute| self.keep(Some(schema), attribute, value)));
            !container.is_empty()
        });
    }

    /// Reduces a value to its share; whether anything is left.
    fn keep(&self, extension: Option<&Arc<Schema>>, attribute: &Attribute, value: &mut Value) -> bool {
        let share = self.share(extension, attribute);
        if share == Share::Nothing {
            return false;
        }
        if attribute.sub_attributes.is_empty() {
            return true;
        }
        let reduce = |value: &mut Value| match value {
            Value::Object(object) => {
                object.retain(|name, _| attribute.sub_attribute(name).is_some_and(|sub| share.holds(sub)));
                !object.is_empty()
            }
            _ => true,
        };
        match value {
            Value::Array(elements) => {
                elements.retain_mut(reduce);
                !elements.is_empty()
            }
            value => reduce(value),
        }
    }

    /// How much of an attribute an answer holds.
    fn share(&self, extension: Option<&Arc<Schema>>, attribute: &Attribute) -> Share<'_> {
        let names = |target: &Target| match target {
            Target::Attribute(path) => is_of(path, extension, attribute) && path.sub_attribute.is_none(),
            Target::Extension(schema) => extension.is_some_and(|extension| extension.id == schema.id),
            Target::Core => extension.is_none(),
        };
        let by_name = |target: &Target| matches!(target, Target::Attribute(_)) && names(target);
        let parts = |targets: &'_ [Target]| targets.iter().any(|target| sub_of(target, extension, attribute).is_some());
        let parts_or_whole = |targets: &[Target]| targets.iter().any(by_name) || parts(targets);
        let is_default = attribute.returned == Returned::Default;
        match (attribute.returned, self) {
            (Returned::Never, _) => Share::Nothing,
            (Returned::Default, Self::Written { excluded, .. }) if excluded.iter().any(names) => Share::Nothing,
            (Returned::Request, Self::Written { excluded, written }) if excluded.iter().any(names) || !parts_or_whole(written) => {
                Share::Nothing
            }
            (_, Self::Written { excluded, written }) => {
                Share::Written(named_parts(excluded, extension, attribute), named_parts(written, extension, attribute))
            }
            (Returned::Always, Self::Default | Self::Only(_)) => Share::Default,
            (_, Self::Default) => {
                if is_default {
                    Share::Default
                } else {
                    Share::Nothing
                }
            }
            (_, Self::Only(targets)) if targets.iter().any(by_name) => Share::With(named_parts(targets, extension, attribute)),
            (_, Self::Only(targets)) if is_default && targets.iter().any(names) => {
                Share::With(named_parts(targets, extension, attribute))
            }
            (_, Self::Only(targets)) if parts(targets) => Share::Only(named_parts(targets, extension, attribute)),
            (_, Self::Only(_)) | (Returned::Request, Self::Without(_)) => Share::Nothing,
            (Returned::Default, Self::Without(targets)) if targets.iter().any(names) => Share::Nothing,
            (_, Self::Without(targets)) => Share::Without(named_parts(targets, extension, attribute)),
        }
    }
}

fn targets(kind: &ResourceType, parameter: &str, names: &str) -> Result<Vec<Target>> {
    if names.split(',').count() > limits::PROJECTED_ATTRIBUTES {
        let most = limits::PROJECTED_ATTRIBUTES;
        return Err(Error::invalid_value(format!("'{parameter}' names more than {most} attributes.")));
    }
    Ok(names.split(',').filter_map(|name| resolve_target(kind, name.trim()).ok()).collect())
}

fn is_of(path: &AttributePath, extension: Option<&Arc<Schema>>, attribute: &Attribute) -> bool {
    path.extension.as_ref().map(|schema| &schema.id) == extension.map(|schema| &schema.id) && path.attribute.name == attribute.name
}

/// The part of this attribute that a target names.
fn sub_of<'a>(target: &'a Target, extension: Option<&Arc<Schema>>, attribute: &Attribute) -> Option<&'a str> {
    match target {
        Target::Attribute(path) if is_of(path, extension, attribute) => path.sub_attribute.as_ref().map(|sub| sub.name.as_str()),
        _ => None,
    }
}

fn named_parts<'a>(targets: &'a [Target], extension: Option<&Arc<Schema>>, attribute: &Attribute) -> Vec<&'a str> {
    targets.iter().filter_map(|target| sub_of(target, extension, attribute)).collect()
}

/// How much of an attribute an answer holds.
#[derive(Clone, Debug, PartialEq)]
enum Share<'a> {
    /// Nothing.
    Nothing,
    /// The parts returned by default.
    Default,
    /// These parts and those returned by default.
    With(Vec<&'a str>),
    /// These parts and those always returned.
    Only(Vec<&'a str>),
    /// The parts returned by default without the first, and those of the second.
    Written(Vec<&'a str>, Vec<&'a str>),
    /// The parts returned by default without these.
    Without(Vec<&'a str>),
}

impl Share<'_> {
    fn holds(&self, part: &Attribute) -> bool {
        let by_default = part.returned == Returned::Default;
        match (part.returned, self) {
            (Returned::Never, _) | (_, Self::Nothing) => false,
            (Returned::Always, _) => true,
            (_, Self::Default) => by_default,
            (_, Self::With(names)) => by_default || names.contains(&part.name.as_str()),
            (_, Self::Only(names)) => names.contains(&part.name.as_str()),
            (_, Self::Written(excluded, written)) => {
                let name = &part.name.as_str();
                !excluded.contains(name) && (by_default || written.contains(name))
            }
            (_, Self::Without(names)) => by_default && !names.contains(&part.name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry, USER};
    use serde_json::json;

    fn kind() -> Arc<ResourceType> {
        Arc::clone(Registry::builtin().by_name("User").expect("User"))
    }

    fn whole() -> Value {
        json!({"schemas": [USER, ENTERPRISE_USER], "id": "1", "userName": "ann", "password": "never",
            "name": {"givenName": "Ann", "familyName": "A"},
            "emails": [{"value": "a", "type": "work"}, {"value": "b"}],
            ENTERPRISE_USER: {"department": "d", "manager": {"value": "7", "displayName": "Bea"}},
            "meta": {"created": "c", "lastModified": "l"}})
    }

    fn projected(kind: &ResourceType, attributes: Option<&str>, excluded: Option<&str>) -> Value {
        let mut resource = whole().as_object().expect("an object").clone();
        Projection::parse(kind, attributes, excluded).expect("valid").apply(kind, &mut resource);
        Value::Object(resource)
    }

    fn only(names: &str) -> Value {
        projected(&kind(), Some(names), None)
    }

    fn without(names: &str) -> Value {
        projected(&kind(), None, Some(names))
    }

    /// The whole resource without these top-level names.
    fn less(names: &[&str]) -> Value {
        let mut resource = whole().as_object().expect("an object").clone();
        resource.retain(|name, _| !names.contains(&name.as_str()));
        Value::Object(resource)
    }

    /// What is always returned, with these.
    fn least(more: Value) -> Value {
        let mut resource = json!({"schemas": [USER, ENTERPRISE_USER], "id": "1"});
        if let (Value::Object(resource), Value::Object(more)) = (&mut resource, more) {
            resource.extend(more);
        }
        resource
    }

    /// 7644-3.4.2.5-01 7644-3.9-01 7644-3.9-04
    #[test]
    fn attributes_name_the_whole_answer() {
        assert_eq!(only("userName"), least(json!({"userName": "ann"})));
        assert_eq!(only(" USERNAME , name.givenName"), least(json!({"userName": "ann", "name": {"givenName": "Ann"}})));
        assert_eq!(only("name,name.givenName"), least(json!({"name": {"givenName": "Ann", "familyName": "A"}})));
        assert_eq!(only("emails.type"), least(json!({"emails": [{"type": "work"}]})));
        assert_eq!(only("emails.type,emails.value"), least(json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]})));
        assert_eq!(only("meta.lastModified"), least(json!({"meta": {"lastModified": "l"}})));
        assert_eq!(only("password"), least(json!({})));
        assert_eq!(only("nope,name.nope,urn:x:y,,emails[0]"), least(json!({})));
        assert_eq!(only("name.middleName"), least(json!({})));
        assert_eq!(only(USER), less(&["password", ENTERPRISE_USER]));
    }

    /// 7644-3.9-04 7644-3.10-01
    #[test]
    fn extensions_are_selected_whole_or_by_attribute() {
        assert_eq!(only(ENTERPRISE_USER), least(json!({ENTERPRISE_USER: whole()[ENTERPRISE_USER]})));
        assert_eq!(only(&format!("{ENTERPRISE_USER}:manager.value")), least(json!({ENTERPRISE_USER: {"manager": {"value": "7"}}})));
        assert_eq!(without(ENTERPRISE_USER), less(&["password", ENTERPRISE_USER]));
        let both = format!("{ENTERPRISE_USER}:department,{ENTERPRISE_USER}:manager");
        assert_eq!(without(&both), less(&["password", ENTERPRISE_USER]));
    }

    /// 7644-3.4.2.5-02 7644-3.9-02 7643-7-05
    #[test]
    fn excluded_attributes_never_take_what_is_always_returned() {
        assert_eq!(projected(&kind(), None, None), less(&["password"]));
        assert_eq!(projected(&kind(), Some(" "), Some("")), less(&["password"]));
        assert_eq!(without("id,schemas,emails,name"), less(&["password", "emails", "name"]));
        let mut expected = less(&["password"]);
        expected["meta"] = json!({"created": "c"});
        expected["emails"] = json!([{"value": "a"}, {"value": "b"}]);
        assert_eq!(without("meta.lastModified,emails.type"), expected);
        assert_eq!(without("nope"), less(&["password"]));
    }

    /// 7643-7-05
    #[test]
    fn what_is_returned_on_request_must_be_named() {
        let mut kind = ResourceType::clone(&kind());
        let mut schema = Schema::clone(&kind.schema);
        for attribute in &mut schema.attributes {
            match attribute.name.as_str() {
                "userName" => Arc::make_mut(attribute).returned = Returned::Request,
                "emails" => {
                    for sub_attribute in &mut Arc::make_mut(attribute).sub_attributes {
                        let is_type = sub_attribute.name == "type";
                        Arc::make_mut(sub_attribute).returned = if is_type { Returned::Always } else { Returned::Request };
                    }
                }
                _ => {}
            }
        }
        kind.schema = Arc::new(schema);
        let types = json!([{"type": "work"}]);
        let mut expected = less(&["password", "userName"]);
        expected["emails"] = types.clone();
        assert_eq!(projected(&kind, None, None), expected);
        assert_eq!(projected(&kind, Some("userName,emails"), None), least(json!({"userName": "ann", "emails": types})));
        let emails = json!([{"value": "a", "type": "work"}, {"value": "b"}]);
        assert_eq!(projected(&kind, Some("emails.value"), None), least(json!({"emails": emails})));
        assert!(!Projection::Default.is_whole(&kind));
    }

    /// 7644-3.9-03
    #[test]
    fn both_parameters_at_once_are_refused() {
        let both = Projection::parse(&kind(), Some("id"), Some("name"));
        assert_eq!(both, Err(Error::invalid_value("'attributes' and 'excludedAttributes' exclude each other.")));
        let many = "a,".repeat(limits::PROJECTED_ATTRIBUTES);
        let refused = Error::invalid_value("'attributes' names more than 256 attributes.");
        assert_eq!(Projection::parse(&kind(), Some(&many), None), Err(refused));
    }

    #[test]
    fn what_is_not_in_the_answer_need_not_be_loaded() {
        let includes = |attributes: Option<&str>, excluded: Option<&str>| {
            Projection::parse(&kind(), attributes, excluded).expect("valid").includes(&kind(), "groups")
        };
        assert!(includes(None, None) && includes(Some("groups.value"), None) && includes(Some(USER), None));
        assert!(includes(None, Some("groups.display")));
        assert!(!includes(Some("userName"), None) && !includes(None, Some("Groups")));
        assert!(!Projection::Default.includes(&kind(), "password") && !Projection::Default.includes(&kind(), "nope"));
        assert!(Projection::Default.is_whole(&kind()));
    }
}
