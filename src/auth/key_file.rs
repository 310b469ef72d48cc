//! The API key that is made on the first start and kept in a file only its owner may read. I6 names it as the one secret that is
//! kept in clear.

use crate::base::secret::{Entropy, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file's name in the data folder.
const NAME: &str = "api-key";
/// Size of a generated key before it is written as text, in bytes.
const KEY_BYTES: usize = 32;

/// The generated key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedKey {
    /// The key.
    pub key: Secret,
    /// Where it is kept.
    pub path: PathBuf,
    /// Whether it was made now: the one time to show it.
    pub is_new: bool,
}

/// A new key: 32 random bytes as base64url text.
pub fn generate(entropy: &dyn Entropy) -> Secret {
    let mut bytes = [0; KEY_BYTES];
    entropy.fill(&mut bytes);
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

/// Reads the key of a data folder, or makes one there, and the folder where a database on another machine has needed none, on disk
/// when this returns. Fails when the file can be neither read nor written, or is empty. The caller holds the folder's lock, if it has one,
/// so that two processes do not make one each.
pub fn read_or_generate(folder: &Path, entropy: &dyn Entropy) -> io::Result<GeneratedKey> {
    let path = folder.join(NAME);
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty; remove it to get a new key"))
        }
        Ok(text) => Ok(GeneratedKey { key: Secret::new(text.trim()), path, is_new: false }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = generate(entropy);
            make(folder)?;
            write(folder, &path, &key)?;
            Ok(GeneratedKey { key, path, is_new: true })
        }
        Err(error) => Err(error),
    }
}

/// The key of a data folder, for a process that does not hold its lock; `None` when none has been made.
pub fn read(folder: &Path) -> io::Result<Option<Secret>> {
    match std::fs::read_to_string(folder.join(NAME)) {
        Ok(text) => Ok(Some(Secret::new(text.trim())).filter(|key| !key.expose().is_empty())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// For its owner only, as the store makes it.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Written under another name first: a key file is whole or not there.
fn write(folder: &Path, path: &Path, key: &Secret) -> io::Result<()> {
    let partial = path.with_extension("partial");
    match std::fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // Never a file that is there already: its mode would be somebody else's choice.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    file.write_all(key.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::SystemEntropy;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("its/data");
        let first = read_or_generate(&folder, &SystemEntropy).expect("a key");
        assert!(first.is_new);
        assert_eq!(first.key.expose().len(), 43);
        let second = read_or_generate(&folder, &SystemEntropy).expect("the key");
        assert_eq!(second, GeneratedKey { is_new: false, ..first.clone() });
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
            assert_eq!((mode(&folder), mode(&first.path)), (0o700, 0o600));
        }
    }

    #[test]
    fn an_empty_key_file_is_no_key() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("api-key"), "\n").expect("written");
        assert!(read_or_generate(folder.path(), &SystemEntropy).is_err());
    }
}
