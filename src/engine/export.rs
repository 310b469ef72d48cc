//! Everything that a tenant has, resource by resource, with memory that does not grow with how much it is.

use super::Engine;
use super::represent::join;
use crate::base::id::{Tenant, TypeCode};
use crate::base::limits;
use crate::scim::schema::ResourceType;
use crate::store::{Detail, Query, Start};
use std::io::{Error, Result, Write};
use std::sync::Arc;

/// The member of an exported resource that holds its hashed secrets: an object, path → hash in PHC form. No schema has it, so that
/// no request can bring it.
pub const SECRETS: &str = "urn:carillon:params:scim:export:1.0:Secrets";

/// What is told of each resource beside its document and its members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// The groups it is in.
    pub groups: bool,
    /// Its hashed secrets, as [`SECRETS`].
    pub secrets: bool,
}

impl Engine {
    /// How many resources of a type there are.
    pub async fn count_resources(&self, tenant: Tenant, kind: TypeCode) -> Result<u64> {
        let page = self.store.query(&Query { limit: 0, ..whole(tenant, kind, Start::Offset(0)) }).await.map_err(Error::other)?;
        Ok(page.total.unwrap_or_default())
    }

    /// Hands on the JSON text of every resource of these types, type by type in id order. `base` is the base of absolute URIs, without
    /// a trailing slash; below an empty one they are relative.
    ///
    /// It walks in pages: what changes meanwhile is seen as it is when its page is read, and nothing is seen twice.
    pub async fn export(
        &self,
        tenant: Tenant,
        kinds: &[Arc<ResourceType>],
        extent: Extent,
        base: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut resource = Vec::new();
        for kind in kinds {
            let members = kind.members().is_some();
            let detail = Detail { members, groups: extent.groups && kind.groups().is_some(), secrets: extent.secrets };
            let mut query = Query { detail, ..whole(tenant, kind.code, Start::After(None)) };
            loop {
                let page = self.store.query(&query).await.map_err(Error::other)?;
                for stored in &page.resources {
                    resource.clear();
                    join(&self.registry, kind, stored, base, &mut resource).map_err(|error| Error::other(error.detail))?;
                    if let Some(secrets) = stored.secrets.as_deref().filter(|secrets| extent.secrets && !secrets.is_empty()) {
                        resource.pop();
                        // Names and hashes are stored as JSON already.
                        write!(resource, ",\"{SECRETS}\":{secrets}}}")?;
                    }
                    each(&resource)?;
                }
                match page.next {
                    Some(next) => query.start = Start::After(Some(next)),
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Writes every resource of a tenant as a JSON array, with all that is ever returned: for a server that is tried out and whose store
    /// keeps nothing.
    pub async fn dump(&self, tenant: Tenant, base: &str, output: &mut impl Write) -> Result<()> {
        let mut separator = "[\n";
        let kinds = self.registry.types().to_vec();
        let each = |resource: &[u8]| {
            output.write_all(separator.as_bytes())?;
            separator = ",\n";
            output.write_all(resource)
        };
        self.export(tenant, &kinds, Extent { groups: true, secrets: false }, base, each).await?;
        output.write_all(if separator == ",\n" { b"\n]\n" } else { b"[]\n" })
    }
}

fn whole(tenant: Tenant, kind: TypeCode, start: Start) -> Query {
    Query { tenant, kind, filter: None, sort: None, start, limit: limits::EXPORT_PAGE_RESOURCES, detail: Detail::default() }
}
