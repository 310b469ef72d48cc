//! Versions as entity tags (RFC 7644 §3.14, RFC 9110 §8.8.3, §13.1).

use super::error::{Error, Result};

/// The entity tag of a version: strong, `"<n>"` (checklist C1).
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` or `If-None-Match` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// `*`: any version.
    Any,
    /// One of these. A tag that is not ours names no version and is not in the list.
    Versions(Vec<u64>),
    /// Any version but these: what `If-None-Match` asks of a write.
    AllBut(Vec<u64>),
}

impl Precondition {
    /// Reads the value of `If-Match` or `If-None-Match`: `*`, or a list of entity tags, in their weak form too.
    pub fn parse(header: &str, value: &str) -> Result<Self> {
        let malformed = || Error::invalid_value(format!("{header} must be '*' or a list of entity tags such as \"3\"."));
        let mut rest = value.trim();
        if rest == "*" {
            return Ok(Self::Any);
        }
        let (mut versions, mut is_empty) = (Vec::new(), true);
        loop {
            // An empty element of a list has no meaning (RFC 9110 §5.6.1.2).
            rest = rest.trim_start_matches([',', ' ', '\t']);
            if rest.is_empty() {
                return if is_empty { Err(malformed()) } else { Ok(Self::Versions(versions)) };
            }
            let opaque = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"').ok_or_else(malformed)?;
            let (tag, after) = opaque.split_once('"').ok_or_else(malformed)?;
            if tag.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
                return Err(malformed());
            }
            versions.extend(version_of(tag));
            is_empty = false;
            rest = after.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(malformed());
            }
        }
    }

    /// The precondition of a write to a resource that exists: `If-Match` holds, and nothing that `If-None-Match` names does (RFC 9110
    /// §13.2.2). `If-None-Match: *` is therefore never true of it.
    pub fn of_write(if_match: Option<Self>, if_none_match: Option<Self>) -> Option<Self> {
        let Some(excluded) = if_none_match else { return if_match };
        let Some(Self::Versions(wanted)) = if_match else { return Some(excluded.inverted()) };
        Some(Self::Versions(wanted.into_iter().filter(|version| !excluded.admits(*version)).collect()))
    }

    fn inverted(self) -> Self {
        match self {
            Self::Any => Self::Versions(Vec::new()),
            Self::Versions(versions) => Self::AllBut(versions),
            Self::AllBut(versions) => Self::Versions(versions),
        }
    }

    /// Whether a version satisfies it.
    pub fn admits(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
            Self::AllBut(versions) => !versions.contains(&version),
        }
    }
}

/// Only the spelling that [`etag`] gives is a version of ours.
fn version_of(tag: &str) -> Option<u64> {
    tag.parse().ok().filter(|version: &u64| version.to_string() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 9110-13.1.1-01 7644-3.14-02
    #[test]
    fn strong_and_weak_tags_and_lists_are_read() {
        assert_eq!(Precondition::parse("If-Match", "*"), Ok(Precondition::Any));
        assert_eq!(Precondition::parse("If-Match", r#" "3", W/"4" ,,"x", "#), Ok(Precondition::Versions(vec![3, 4])));
        assert!(Precondition::Versions(vec![3, 4]).admits(4));
        assert!(!Precondition::Versions(vec![]).admits(4));
        assert_eq!(Precondition::parse("If-Match", r#""03""#), Ok(Precondition::Versions(vec![])));
    }

    /// 9110-13.1.2-01 9110-13.2.2-01
    #[test]
    fn a_write_may_be_bound_to_versions_and_kept_from_others() {
        use Precondition::{AllBut, Any, Versions};
        let list = |versions: &[u64]| Versions(versions.to_vec());
        for (if_match, if_none_match, expected) in [
            (None, None, None),
            (Some(Any), None, Some(Any)),
            (None, Some(Any), Some(list(&[]))),
            (None, Some(list(&[3])), Some(AllBut(vec![3]))),
            (Some(Any), Some(list(&[3])), Some(AllBut(vec![3]))),
            (Some(list(&[3, 4])), Some(list(&[3])), Some(list(&[4]))),
            (Some(list(&[3])), Some(Any), Some(list(&[]))),
        ] {
            assert_eq!(Precondition::of_write(if_match, if_none_match), expected);
        }
        assert!(AllBut(vec![3]).admits(4) && !AllBut(vec![3]).admits(3));
    }

    #[test]
    fn garbage_is_refused_and_named() {
        for garbage in ["", "3", "\"3", "W/3", "\"3\" \"4\"", ",", "*,\"3\"", "\"a b\""] {
            let error = Precondition::parse("If-Match", garbage).expect_err(garbage);
            assert!(error.detail.starts_with("If-Match must be"), "{garbage}");
        }
    }
}
