//! What a key allows (RFC 6749 §3.3): a receiver's key reads events and cannot write users.

use std::fmt;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Read and search resources.
    ScimRead,
    /// Write resources. What was written is shown to whoever wrote it.
    ScimWrite,
    /// Read feeds and poll its streams.
    EventsRead,
    /// Make and change its streams.
    StreamsManage,
    /// Everything, for every principal.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::ScimRead, Self::ScimWrite, Self::EventsRead, Self::StreamsManage, Self::Admin];

    /// How settings and challenges spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScimRead => "scim:read",
            Self::ScimWrite => "scim:write",
            Self::EventsRead => "events:read",
            Self::StreamsManage => "streams:manage",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name, which is compared as it stands (RFC 6749 §3.3).
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The scopes of a key; all of them by default. [`Scope::Admin`] brings every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Default for Scopes {
    fn default() -> Self {
        [Scope::Admin].into_iter().collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        let given = scopes.into_iter().fold(0, |bits, scope| bits | scope.bit());
        let is_all = given & Scope::Admin.bit() != 0;
        Self(if is_all { Scope::ALL.into_iter().fold(0, |bits, scope| bits | scope.bit()) } else { given })
    }
}

impl Scopes {
    /// Whether a scope is among them.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

/// `scim:read events:read`, as RFC 6749 §3.3 writes a list of them.
impl fmt::Display for Scopes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Scope::ALL.into_iter().filter(|scope| self.contains(*scope)).map(Scope::name).collect();
        formatter.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_called_by_its_name_and_by_no_other() {
        for scope in Scope::ALL {
            assert_eq!(Scope::of(scope.name()), Some(scope));
        }
        assert_eq!([Scope::of("SCIM:READ"), Scope::of("scim:read "), Scope::of("")], [None; 3]);
    }

    #[test]
    fn admin_brings_every_scope_and_no_other_brings_one_beside_itself() {
        assert_eq!(Scopes::default().to_string(), "scim:read scim:write events:read streams:manage admin");
        for scope in Scope::ALL {
            let scopes: Scopes = [scope].into_iter().collect();
            for other in Scope::ALL {
                assert_eq!(scopes.contains(other), scope == other || scope == Scope::Admin, "{scope} {other}");
            }
        }
        let none: Scopes = [].into_iter().collect();
        assert_eq!(none.to_string(), "");
    }
}
