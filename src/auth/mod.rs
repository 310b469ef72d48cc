//! F3: from a credential to the caller.

pub mod key_file;

use crate::base::id::Tenant;
use crate::base::secret::{Secret, TokenDigest};
use std::sync::Arc;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The principal's name: it stays when the token is rotated.
    pub principal: String,
    /// The tenant it acts in.
    pub tenant: Tenant,
}

/// The static API keys of the configuration. They are kept as digests and compared in constant time (I6).
#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Vec<(TokenDigest, Arc<Caller>)>,
}

impl Authenticator {
    /// Every key acts as the principal `api-key`, in the first tenant.
    pub fn of_api_keys<'a>(keys: impl IntoIterator<Item = &'a Secret>) -> Self {
        let caller = Arc::new(Caller { principal: "api-key".into(), tenant: Tenant(0) });
        Self { keys: keys.into_iter().map(|key| (TokenDigest::of(key.expose()), Arc::clone(&caller))).collect() }
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
        let keys = [Secret::new("one"), Secret::new("two")];
        let authenticator = Authenticator::of_api_keys(&keys);
        assert_eq!(authenticator.authenticate("two").map(|caller| caller.principal.as_str()), Some("api-key"));
        assert_eq!(authenticator.authenticate("three"), None);
        assert_eq!(authenticator.authenticate(""), None);
        assert!(!format!("{authenticator:?}").contains("one"));
    }
}
