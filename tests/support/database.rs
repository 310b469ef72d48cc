//! A PostgreSQL server of a test's own, which the test may treat as it likes.

use super::authority::Certificate;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Command;

/// A server, until this is dropped.
#[derive(Debug)]
pub struct Database {
    /// The address of its database.
    pub url: String,
    folder: tempfile::TempDir,
    port: u16,
}

impl Database {
    /// A new one.
    pub fn start() -> Self {
        let database = Self::new();
        database.control("start", &[]);
        database
    }

    /// A new one that takes connections with TLS alone, and shows this certificate.
    pub fn start_tls(certificate: &Certificate) -> Self {
        let database = Self::new();
        let data = database.folder.path().join("data");
        let owner = std::fs::metadata(&data).expect("its folder");
        let write = |name: &str, text: &str| {
            let path = data.join(name);
            std::fs::write(&path, text).expect("written");
            // A key that others may read is refused.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its permissions");
            chown(&path, Some(owner.uid()), Some(owner.gid())).expect("its owner");
        };
        write("server.crt", &certificate.pem);
        write("server.key", &certificate.key);
        write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n");
        let settings = std::fs::read_to_string(data.join("postgresql.conf")).expect("its settings");
        write("postgresql.conf", &format!("{settings}\nssl = on\n"));
        database.control("start", &[]);
        database
    }

    /// One that does not run yet.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Whoever runs it has to get there; its own folder is closed.
        allow(folder.path());
        let port = free_port();
        let database = Self { url: format!("postgresql://postgres@127.0.0.1:{port}/postgres"), folder, port };
        database.run("initdb", &["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
        database
    }

    /// Ends it at once, as a crash does, and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.control("start", &[]);
    }

    /// Ends it at once, as a crash does.
    pub fn stop(&self) {
        self.control("stop", &["-m", "immediate"]);
    }

    /// Starts it after that.
    pub fn start_again(&self) {
        self.control("start", &[]);
    }

    /// Ends it in peace and copies what it holds, as a backup does.
    pub fn back_up(&self) {
        self.control("stop", &["-m", "fast"]);
        copy(&self.folder.path().join("data"), &self.folder.path().join("backup"));
    }

    /// Ends it at once and puts the copy in its place.
    pub fn restore(&self) {
        self.stop();
        let data = self.folder.path().join("data");
        std::fs::remove_dir_all(&data).expect("removed");
        copy(&self.folder.path().join("backup"), &data);
    }

    fn control(&self, what: &str, more: &[&str]) {
        let folder = self.folder.path().display();
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}", self.port);
        let log = self.folder.path().join("log").display().to_string();
        let words = [&["-w", "-s", "-l", &log, "-o", &options], more, &[what]].concat();
        self.run("pg_ctl", &words);
    }

    fn run(&self, program: &str, words: &[&str]) {
        let data = self.folder.path().join("data");
        let program = find(program);
        // It does not run as root.
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let done = command.arg("-D").arg(data).args(words).current_dir(self.folder.path()).output().expect("it runs");
        assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // One that did not start has nothing to stop.
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.control("stop", &["-m", "immediate"]);
        }
    }
}

/// A port that the system gives to nobody by itself: it is still free after a time without a server.
fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(10_000..20_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").expect("this process").uid() == 0
}

/// Copies a folder, with its owners and permissions.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success(), "cp: {copied}");
}

fn allow(folder: &std::path::Path) {
    std::fs::set_permissions(folder, Permissions::from_mode(0o777)).expect("its permissions");
}

/// A program of PostgreSQL: in the path, or where Debian puts it.
fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = std::env::split_paths(&path).chain(versions.map(|version| version.path().join("bin")));
    let mut programs = folders.map(|folder| folder.join(program)).filter(|program| program.exists());
    programs.next().unwrap_or_else(|| panic!("{program} is missing: apt-get install postgresql"))
}
