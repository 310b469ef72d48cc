//! What the operations of a PATCH come to once they are resolved against the schema.

use crate::base::id::ResourceId;
use crate::scim::Object;
use crate::scim::filter::Filter;
use crate::scim::path::AttributePath;
use crate::scim::resource::{Member, SecretChange};
use crate::scim::schema::Schema;
use crate::scim::validate::value::Part;
use serde_json::Value;
use std::sync::Arc;

/// One step, in the order of the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Edits an attribute of the document.
    Edit(Edit),
    /// Removes every attribute of an extension.
    RemoveExtension(Arc<Schema>),
    /// Changes the members.
    Members(MemberStep),
    /// Sets or removes a secret.
    Secret(SecretChange),
}

/// An edit of an attribute: of its whole value, of the elements a filter selects, or of a sub-attribute of either.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    /// The attribute, with the sub-attribute where one is edited.
    pub(super) path: AttributePath,
    /// Which elements of a multi-valued attribute; `None` is all.
    pub(super) selection: Option<Selection>,
    /// What happens to them.
    pub(super) write: Write,
}

/// The filter of a value path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    /// Which elements.
    pub(super) filter: Filter,
    /// The element to make when there is none: see [`crate::scim::quirks::create_from_filter`].
    pub(super) otherwise: Option<Object>,
}

/// What happens to a value. Everything in it is checked already.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Write {
    /// It is un-assigned.
    Clear,
    /// It becomes this.
    Set(Value),
    /// These parts of a complex value are set or un-assigned, and the others stay (7644-3.5.2.3-03).
    Merge(Vec<Part>),
    /// A multi-valued one gains these, where it does not hold them (7644-3.5.2.1-03, -04).
    Append(Vec<Value>),
}

/// A change of the members.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum MemberStep {
    /// These join.
    Add(Vec<Member>),
    /// These leave.
    Remove(Vec<ResourceId>),
    /// These are the members and no others.
    Replace(Vec<Member>),
    /// Those that satisfy the filter leave.
    RemoveWhere(Filter),
    /// Those that satisfy the filter leave, and this one joins.
    ReplaceWhere(Filter, Member),
}
