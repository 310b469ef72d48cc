//! A file of lines that is only ever appended to, and holds whole lines alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A file of lines.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// The end of the last line, in bytes.
    length: u64,
    /// Something may stand behind it.
    is_torn: bool,
}

impl Journal {
    /// Opens or makes the file, which others on this machine may not read, and hands each line it holds to `line`. What stands behind
    /// the last line feed was never whole, and is cut off. Fails when another process has the file open so, or it is no file.
    pub(super) fn open(path: &Path, mut line: impl FnMut(&[u8])) -> io::Result<Self> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::Error::other("another process writes to it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let mut reader = BufReader::new(&file);
        let (mut length, mut bytes) = (0, Vec::new());
        loop {
            bytes.clear();
            reader.read_until(b'\n', &mut bytes)?;
            let Some(whole) = bytes.strip_suffix(b"\n") else { break };
            length += bytes.len() as u64;
            line(whole);
        }
        if !bytes.is_empty() {
            file.set_len(length)?;
            file.sync_all()?;
        }
        if is_new {
            // The name has to survive a crash too.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, length, is_torn: false })
    }

    /// Appends whole lines, and returns once they are on disk. When it fails, none of them are there.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.is_torn {
            self.file.set_len(self.length)?;
        }
        self.is_torn = true;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if written.is_err() {
            // What was written in part must not stand before the next line; if this fails too, the next append tries it first.
            self.is_torn = self.file.set_len(self.length).is_err();
            return written;
        }
        self.is_torn = false;
        self.length = self.file.seek(SeekFrom::End(0))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> io::Result<(Journal, Vec<String>)> {
        let mut lines = Vec::new();
        let journal = Journal::open(path, |line| lines.push(String::from_utf8_lossy(line).into_owned()))?;
        Ok((journal, lines))
    }

    #[test]
    fn lines_stay_and_a_torn_one_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out");
        let (mut journal, lines) = open(&path).expect("made");
        assert_eq!(lines, [""; 0]);
        journal.append(b"one\ntwo\n").expect("written");
        assert!(open(&path).is_err_and(|error| error.to_string().contains("another process")));
        drop(journal);
        std::fs::write(&path, "one\ntwo\nthr").expect("torn");
        let (mut journal, lines) = open(&path).expect("opened");
        assert_eq!(lines, ["one", "two"]);
        journal.append(b"four\n").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "one\ntwo\nfour\n");
        assert!(open(folder.path()).is_err());
    }
}
