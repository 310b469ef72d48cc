//! F3: from a credential to the caller.

pub mod key_file;
mod scope;

use crate::base::id::Tenant;
use crate::base::limits;
use crate::base::secret::{Secret, TokenDigest};
use crate::scim::error::{Error, ErrorKind, Result};
use std::sync::Arc;

pub use scope::{Scope, Scopes};

/// The principal of every key that has no name of its own.
pub const API_KEY_PRINCIPAL: &str = "api-key";

/// Whether a principal can have this name: letters, digits, `.`, `_` and `-`, at most [`limits::PRINCIPAL_BYTES`] of them.
pub fn is_principal(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=limits::PRINCIPAL_BYTES).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal's name: it stays when the token is rotated.
    pub principal: String,
    /// The tenant it acts in.
    pub tenant: Tenant,
    /// The `userName` of the user that `/Me` is for it (RFC 7644 §3.11): a person's, so that it is not printed.
    pub user_name: Option<Secret>,
    /// What it may do: its key's, so that two keys of one principal may differ.
    pub scopes: Scopes,
}

impl Caller {
    /// Whether it may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// Fails with [`ErrorKind::OutOfScope`] when it may not.
    pub fn needs(&self, scope: Scope) -> Result<()> {
        if self.may(scope) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::OutOfScope(scope.name()), format!("The credential does not have the scope '{scope}'.")))
    }
}

/// A static key, and who it stands for. Several keys may stand for one principal: that is how a key is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The name of who uses it.
    pub principal: String,
    /// The key itself.
    pub key: Secret,
    /// The `userName` of the user that `/Me` is.
    pub user_name: Option<Secret>,
    /// What it allows.
    pub scopes: Scopes,
}

impl Credential {
    /// A key without a name of its own, which allows everything.
    pub fn of_api_key(key: Secret) -> Self {
        Self { principal: API_KEY_PRINCIPAL.into(), key, user_name: None, scopes: Scopes::default() }
    }
}

/// The static keys of the configuration. They are kept as digests and compared in constant time (I6).
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Vec<(TokenDigest, Arc<Caller>)>,
}

impl Authenticator {
    /// Every key acts as its principal, in the first tenant.
    pub fn new(credentials: impl IntoIterator<Item = Credential>) -> Self {
        let kept = |Credential { principal, key, user_name, scopes }| {
            (TokenDigest::of(key.expose()), Arc::new(Caller { principal, tenant: Tenant(0), user_name, scopes }))
        };
        Self { keys: credentials.into_iter().map(kept).collect() }
    }

    /// Every key acts as the principal [`API_KEY_PRINCIPAL`].
    pub fn of_api_keys<'a>(keys: impl IntoIterator<Item = &'a Secret>) -> Self {
        Self::new(keys.into_iter().cloned().map(Credential::of_api_key))
    }

    /// The caller whose key this is. Every key is compared, wherever the first match stands.
    pub fn authenticate(&self, token: &str) -> Option<&Arc<Caller>> {
        let digest = TokenDigest::of(token);
        self.keys.iter().fold(None, |found, (key, caller)| if *key == digest { Some(caller) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_configured_key_has_a_caller() {
        let keys = [Secret::new("the first"), Secret::new("two")];
        let authenticator = Authenticator::of_api_keys(&keys);
        assert_eq!(authenticator.authenticate("two").map(|caller| caller.principal.as_str()), Some("api-key"));
        assert_eq!(authenticator.authenticate("three"), None);
        assert_eq!(authenticator.authenticate(""), None);
        assert!(!format!("{authenticator:?}").contains("the first"));
    }

    #[test]
    fn several_keys_may_stand_for_one_principal() {
        let credential = |principal: &str, key: &str| Credential {
            principal: principal.into(),
            key: Secret::new(key),
            user_name: (principal == "okta").then(|| Secret::new("ann")),
            scopes: Scopes::default(),
        };
        let authenticator =
            Authenticator::new([credential("entra", "old"), credential("entra", "new"), credential("okta", "third")]);
        let caller = |key| {
            authenticator.authenticate(key).map(|caller| (caller.principal.as_str(), caller.user_name.as_ref().map(Secret::expose)))
        };
        assert_eq!((caller("old"), caller("new")), (Some(("entra", None)), Some(("entra", None))));
        assert_eq!(caller("third"), Some(("okta", Some("ann"))));
    }

    /// 7644-2-02
    #[test]
    fn every_known_key_is_a_principal_in_a_tenant() {
        let keys = [Secret::new("one"), Secret::new("two")];
        let authenticator = Authenticator::of_api_keys(&keys);
        for key in ["one", "two"] {
            let caller = authenticator.authenticate(key).expect("a caller");
            assert_eq!((caller.principal.as_str(), caller.tenant), ("api-key", Tenant(0)));
        }
    }
}
