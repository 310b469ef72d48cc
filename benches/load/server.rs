//! The processes under measurement: the server, and the bare axum that it is held against.

use crate::Result;
use crate::limits;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

/// The API key of every server here.
pub(crate) const KEY: &str = "load-4f6c2a9d1b7e";
/// The argument that makes this program the bare axum server.
pub(crate) const STATIC: &str = "serve-static";
/// The environment variable with the body that it serves.
pub(crate) const STATIC_BODY: &str = "STATIC_BODY";
/// What both print before their address.
pub(crate) const LISTENS: &str = "listens on http://";

/// A child process that serves HTTP on loopback. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Brings the address, and closes when the process ends.
    output: mpsc::Receiver<String>,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The product over an embedded store in a folder, with these settings in a file there.
    pub(crate) fn start_with(folder: &Path, settings: &str) -> Result<Self> {
        std::fs::write(folder.join("carillon.toml"), settings)?;
        Self::start(folder)
    }

    /// The product over an embedded store in a folder.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
        command
            .current_dir(folder)
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("DATA_PATH", folder)
            .env("API_KEY", KEY);
        command.env("STORE", "sqlite").env("EVENT_MODE", "notice").env("LOGLEVEL", "ERROR");
        Self::spawn(command)
    }

    /// The product over the store that these settings name.
    pub(crate) fn start_over(folder: &Path, settings: Vec<(String, String)>) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
        command.current_dir(folder).env_clear().envs(settings);
        command.env("HOST", "127.0.0.1").env("PORT", "0").env("API_KEY", KEY).env("LOGLEVEL", "ERROR");
        Self::spawn(command)
    }

    /// Bare axum: one route that always sends this body.
    pub(crate) fn start_static(body: impl AsRef<OsStr>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().env(STATIC_BODY, body).arg(STATIC);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().ok_or("no standard output")?;
        let (sender, receiver) = mpsc::channel();
        // From here on, dropping it ends the process.
        let mut server = Self { child, output: receiver, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        // The thread goes on reading, so that the server never waits for room in the pipe.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(std::result::Result::ok) {
                if let Some((_, address)) = line.split_once(LISTENS) {
                    let _ = sender.send(address.trim_end_matches('/').to_owned());
                }
            }
        });
        let address = server.output.recv_timeout(limits::START_STOP).map_err(|_| "the server did not say where it listens")?;
        server.address = address.parse()?;
        Ok(server)
    }

    /// Asks the process to end and waits for it.
    pub(crate) fn stop(mut self) -> Result<()> {
        let ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !ended.success() {
            return Err("the server had ended before it was asked to".into());
        }
        if self.output.recv_timeout(limits::START_STOP) != Err(mpsc::RecvTimeoutError::Disconnected) {
            return Err("the server did not end".into());
        }
        self.child.wait()?;
        Ok(())
    }

    /// Waits until the process has nothing to do any more, such as a checkpoint after a load, or for so long.
    pub(crate) async fn settle(&self) -> Result<()> {
        let mut ticks = tokio::time::interval(limits::SETTLE_STEP);
        let mut last = 0;
        for _ in 0..limits::SETTLE_STEPS {
            ticks.tick().await;
            let now = self.processor_us()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(())
    }

    /// Resident anonymous memory, in bytes.
    pub(crate) fn anonymous_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
    }

    /// How many times the process has this file, or what belongs to it (`-wal`, `-shm`), open.
    pub(crate) fn open(&self, file: &Path) -> Result<u32> {
        let name = file.to_string_lossy();
        let mut count = 0;
        for entry in std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))? {
            // One that was closed meanwhile is not open.
            let Ok(target) = std::fs::read_link(entry?.path()) else { continue };
            count += u32::from(target.to_string_lossy().starts_with(&*name));
        }
        Ok(count)
    }

    /// Processor time used so far, in microseconds, to 10 ms.
    pub(crate) fn processor_us(&self) -> Result<u64> {
        const US_PER_TICK: u64 = 10_000;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("a strange /proc/stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        Ok(ticks.sum::<std::result::Result<u64, _>>()? * US_PER_TICK)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
