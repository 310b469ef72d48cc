//! Everything that a tenant has, as JSON: for a server that is tried out and whose store keeps nothing.

use super::Engine;
use super::query::{Search, Target};
use super::represent::join;
use crate::auth::{Caller, Scopes};
use crate::base::id::Tenant;
use crate::scim::message::Paging;
use crate::scim::search::SearchRequest;
use crate::store::Detail;
use std::io::{Error, Result, Write};

impl Engine {
    /// Writes every resource of a tenant as a JSON array, type by type in id order, with all that is ever returned. `base` is the
    /// base of absolute URIs, without a trailing slash.
    pub async fn dump(&self, tenant: Tenant, base: &str, output: &mut impl Write) -> Result<()> {
        let caller = Caller { principal: "dump".into(), tenant, user_name: None, scopes: Scopes::default() };
        let mut separator = "[\n";
        for kind in self.registry.types() {
            let detail = Detail { members: kind.members().is_some(), groups: kind.groups().is_some(), secrets: false };
            let targets = [Target { kind, detail }];
            let mut cursor = Some(String::new());
            while cursor.is_some() {
                let request = SearchRequest { cursor: cursor.take(), ..SearchRequest::default() };
                let search = Search { endpoint: &kind.endpoint, targets: &targets, request: &request };
                let listing = self.search(&caller, search).await.map_err(|error| Error::other(error.detail))?;
                for stored in &listing.resources {
                    let mut resource = Vec::new();
                    join(&self.registry, kind, stored, base, &mut resource).map_err(|error| Error::other(error.detail))?;
                    output.write_all(separator.as_bytes())?;
                    output.write_all(&resource)?;
                    separator = ",\n";
                }
                if let Paging::Cursor(next) = listing.paging {
                    cursor = next;
                }
            }
        }
        output.write_all(if separator == ",\n" { b"\n]\n" } else { b"[]\n" })
    }
}
