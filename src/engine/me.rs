//! `/Me`: the resource that belongs to the caller (RFC 7644 §3.11).

use super::{Engine, Search, Target};
use crate::auth::Caller;
use crate::base::id::ResourceId;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::schema::ResourceType;
use crate::scim::search::SearchRequest;
use crate::store::Detail;
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// The id of the user whose `userName` the caller's credential is mapped to. A credential that is mapped to none is told that this
    /// server does not know its user (501, 7644-3.11-01); one whose user is not there, that there is none (404).
    pub async fn own_user(&self, caller: &Caller, kind: &Arc<ResourceType>) -> Result<ResourceId> {
        let Some(user_name) = &caller.user_name else {
            return Err(Error::new(ErrorKind::NotImplemented, "The credential is not mapped to a user, so that it has no /Me."));
        };
        let filter = format!("userName eq {}", Value::from(user_name.expose()));
        let request = SearchRequest { filter: Some(filter), count: Some(1), ..SearchRequest::default() };
        let targets = [Target { kind, detail: Detail::default() }];
        let search = Search { endpoint: &kind.endpoint, targets: &targets, request: &request };
        let found = self.search(caller, search).await?.resources.pop();
        found
            .map(|stored| stored.key.id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "The user that the credential is mapped to is not there."))
    }
}
