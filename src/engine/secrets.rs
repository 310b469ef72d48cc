//! Values with `returned: never`: prepared, hashed before anything is stored, never compared in clear (RFC 7643 §4.1.1, §7.6 of
//! RFC 7644; I6).

use crate::base::limits;
use crate::base::secret::{Entropy, Secret};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::resource::SecretChange;
use argon2::password_hash::{Output, ParamsString, PasswordHash, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use serde_json::{Map, Value};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// Hashes with argon2id, at most one at a time for each core.
pub(super) struct Hasher {
    permits: Arc<Semaphore>,
    most_at_once: usize,
    entropy: Arc<dyn Entropy>,
    /// The working memory of each hash, 19 MiB, kept for the next one: allocators do not give it back reliably.
    memories: Arc<Mutex<Vec<Vec<Block>>>>,
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hasher(…)")
    }
}

/// What becomes of a resource's stored secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashed {
    /// The stored text afterwards (path → hash), or nothing when it stays.
    pub stored: Option<String>,
    /// The paths that changed.
    pub paths: Vec<String>,
}

impl Hasher {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { permits: Arc::new(Semaphore::new(cores)), most_at_once: cores, entropy, memories: Arc::default() }
    }

    /// How many hashes are made at a time.
    pub(super) fn most_at_once(&self) -> usize {
        self.most_at_once
    }

    /// Applies changes to the stored secrets. A value that is already stored is no change.
    pub(super) async fn apply(&self, stored: Option<&str>, changes: Vec<SecretChange>) -> Result<Hashed> {
        if changes.is_empty() {
            return Ok(Hashed::default());
        }
        let mut hashes: Map<String, Value> = match stored {
            Some(text) if !text.is_empty() => serde_json::from_str(text).map_err(|_| unreadable())?,
            _ => Map::new(),
        };
        let mut paths = Vec::new();
        for change in changes {
            let current = hashes.get(&change.path).and_then(Value::as_str).map(str::to_owned);
            match change.value {
                None if current.is_none() => {}
                None => {
                    hashes.shift_remove(&change.path);
                    paths.push(change.path);
                }
                Some(value) => {
                    if let Some(hash) = self.hash_unless_same(value, current).await? {
                        hashes.insert(change.path.clone(), hash.into());
                        paths.push(change.path);
                    }
                }
            }
        }
        let text = if hashes.is_empty() { String::new() } else { Value::Object(hashes).to_string() };
        Ok(Hashed { stored: (!paths.is_empty()).then_some(text), paths })
    }

    /// The hash of a value; `None` when the current hash is of the same value.
    async fn hash_unless_same(&self, value: Secret, current: Option<String>) -> Result<Option<String>> {
        let prepared = prepare(&value)?;
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt);
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| stopping())?;
        let memories = Arc::clone(&self.memories);
        let work = move || {
            let _permit = permit;
            let mut memory = memories.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
            let hash = hash_unless_same(prepared.expose().as_bytes(), &salt, current.as_deref(), &mut memory);
            memories.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            hash.map_err(|_| unreadable())
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| stopping())?
    }
}

/// The hash of a password in PHC form; `None` when the current hash is of the same one.
fn hash_unless_same(
    password: &[u8],
    salt: &[u8],
    current: Option<&str>,
    memory: &mut Vec<Block>,
) -> argon2::password_hash::Result<Option<String>> {
    if let Some(current) = current.map(PasswordHash::new).transpose()?
        && let (Some(salt), Some(known)) = (current.salt, current.hash)
    {
        let mut bytes = [0; Params::DEFAULT_OUTPUT_LEN];
        let output = digest(Params::try_from(&current)?, password, salt.decode_b64(&mut bytes)?, memory)?;
        if output == known {
            return Ok(None);
        }
    }
    let params = Params::default();
    let output = digest(params.clone(), password, salt, memory)?;
    let salt = SaltString::encode_b64(salt)?;
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt.as_salt()),
        hash: Some(output),
    };
    Ok(Some(hash.to_string()))
}

fn digest(params: Params, password: &[u8], salt: &[u8], memory: &mut Vec<Block>) -> argon2::password_hash::Result<Output> {
    memory.resize(params.block_count(), Block::default());
    let context = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Output::init_with(Params::DEFAULT_OUTPUT_LEN, |output| {
        Ok(context.hash_password_into_with_memory(password, salt, output, &mut memory[..])?)
    })
}

/// Whether a text is a hash that a password can be compared with.
pub(super) fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| {
        hash.algorithm == ARGON2ID_IDENT && hash.salt.is_some() && hash.hash.is_some() && Params::try_from(&hash).is_ok()
    })
}

/// Whether a value can be hashed; it is not.
pub(super) fn check(change: &SecretChange) -> Result<()> {
    change.value.as_ref().map_or(Ok(()), |value| prepare(value).map(drop))
}

/// PRECIS `OpaqueString` (RFC 8265 §4.2): other spaces become U+0020, then NFC. Control characters and an empty string are refused.
fn prepare(value: &Secret) -> Result<Secret> {
    let text = value.expose();
    if text.is_empty() || text.len() > limits::PASSWORD_BYTES || text.chars().any(char::is_control) {
        return Err(Error::invalid_value(format!(
            "A password must have 1 to {} bytes and no control characters.",
            limits::PASSWORD_BYTES
        )));
    }
    let spaced = text.chars().map(|character| if character.is_whitespace() { ' ' } else { character });
    Ok(Secret::new(spaced.nfc().collect::<String>()))
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Internal, "The server failed.")
}

fn stopping() -> Error {
    Error::new(ErrorKind::Unavailable, "The server is stopping; try again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::SystemEntropy;

    fn password(value: &str) -> Vec<SecretChange> {
        vec![SecretChange { path: "password".into(), value: Some(Secret::new(value)) }]
    }

    /// 7643-4.1.1-05 7643-4.1.1-06
    #[tokio::test]
    async fn a_password_is_hashed_and_its_repetition_is_no_change() {
        let hasher = Hasher::new(Arc::new(SystemEntropy));
        let first = hasher.apply(None, password("t1meMa\u{a0}chine")).await.expect("hashed");
        let stored = first.stored.expect("stored");
        assert!(stored.starts_with(r#"{"password":"$argon2id$"#) && !stored.contains("chine"));
        let same = hasher.apply(Some(&stored), password("t1meMa chine")).await.expect("compared");
        assert_eq!((same.stored, same.paths.len()), (None, 0));
        let other = hasher.apply(Some(&stored), password("other")).await.expect("hashed");
        assert_eq!(other.paths, ["password"]);
        let removed = vec![SecretChange { path: "password".into(), value: None }];
        assert_eq!(hasher.apply(Some(&stored), removed).await.expect("removed").stored.as_deref(), Some(""));
    }

    #[tokio::test]
    async fn a_password_that_cannot_be_prepared_is_refused_without_repeating_it() {
        let hasher = Hasher::new(Arc::new(SystemEntropy));
        for bad in ["", "bell\u{7}", &"x".repeat(limits::PASSWORD_BYTES + 1)] {
            let error = hasher.apply(None, password(bad)).await.expect_err("refused");
            assert_eq!(error.kind, ErrorKind::InvalidValue);
            assert!(!error.detail.contains("bell"));
        }
    }

    /// 7643-4.1.1-06
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_more_hashes_run_at_a_time_than_there_are_cores() {
        let hasher = Arc::new(Hasher::new(Arc::new(SystemEntropy)));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let tasks: Vec<_> = (0..3 * cores)
            .map(|n| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.apply(None, password(&format!("password {n}"))).await })
            })
            .collect();
        for task in tasks {
            assert!(task.await.expect("it runs").expect("hashed").stored.is_some());
        }
        // Each hash takes a memory that is free, or a new one: there are as many as ran at a time.
        let memories = hasher.memories.lock().expect("not poisoned").len();
        assert!((1..=cores).contains(&memories), "{memories} hashes at a time on {cores} cores");
        assert_eq!(hasher.permits.available_permits(), cores);
    }

    /// 7643-4.1.1-06
    #[tokio::test]
    async fn a_password_is_prepared_as_an_opaque_string() {
        let hasher = Hasher::new(Arc::new(SystemEntropy));
        let stored = hasher.apply(None, password("Zo\u{eb}\u{3000}Ａ ς")).await.expect("hashed").stored.expect("stored");
        for (given, is_same) in [
            ("Zoe\u{308}\u{2003}Ａ ς", true),
            ("zo\u{eb} Ａ ς", false),
            ("Zo\u{eb} A ς", false),
            ("Zo\u{eb} Ａ σ", false),
            ("Zo\u{eb}  Ａ ς", false),
        ] {
            let found = hasher.apply(Some(&stored), password(given)).await.expect("compared");
            assert_eq!(found.stored.is_none(), is_same, "{given}");
        }
    }
}
