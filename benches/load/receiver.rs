//! A receiver of pushed SETs that costs little beside the server: kept-alive connections, answers made by hand.

use crate::{Result, limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
const LENGTH: &[u8] = b"content-length:";

/// What is done with SETs as they come.
pub(crate) trait Sink: Send + Sync + 'static {
    /// A whole request has come.
    fn received(&self, target: &str, set: &[u8]);
}

/// Listens on a free port of loopback until it is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// Answers 202, so long after each request has come whole.
    pub(crate) async fn start(sink: &Arc<impl Sink>, takes: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Self { address, serving: tokio::spawn(accept(listener, Arc::clone(sink), takes)) })
    }

    /// An address where nobody listens.
    pub(crate) async fn nobody() -> Result<SocketAddr> {
        Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accept(listener: TcpListener, sink: Arc<impl Sink>, takes: Duration) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let sink = Arc::clone(&sink);
        connections.spawn(async move { drop(serve(stream, &*sink, takes).await) });
    }
}

async fn serve(mut stream: TcpStream, sink: &impl Sink, takes: Duration) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut unread = Vec::with_capacity(16 * 1024);
    loop {
        let head_end = loop {
            if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
        };
        let end = head_end + length_of(&unread[..head_end])?;
        while unread.len() < end {
            if stream.read_buf(&mut unread).await? == 0 {
                return Ok(());
            }
        }
        let target = std::str::from_utf8(&unread[..head_end])?.split(' ').nth(1).unwrap_or_default();
        sink.received(target, &unread[head_end..end]);
        if !takes.is_zero() {
            // This is what the receiver takes; there is nothing to wait for.
            let _ = tokio::time::timeout(takes, std::future::pending::<()>()).await;
        }
        unread.drain(..end);
        stream.write_all(ACCEPTED).await?;
    }
}

fn length_of(head: &[u8]) -> Result<usize> {
    let start = head.windows(LENGTH.len()).position(|window| window.eq_ignore_ascii_case(LENGTH));
    let value = &head[start.ok_or("a push without content-length")? + LENGTH.len()..];
    let line = value.split(|byte| *byte == b'\r').next().unwrap_or_default();
    Ok(std::str::from_utf8(line)?.trim().parse()?)
}

/// Counts what comes.
#[derive(Debug, Default)]
pub(crate) struct Tally(watch::Sender<Progress>);

/// How much has come, and when the first and the last did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// How many SETs.
    pub(crate) count: u64,
    /// When the first came.
    pub(crate) first: Option<Instant>,
    /// When the last came.
    pub(crate) last: Option<Instant>,
}

impl Tally {
    /// Counts some more.
    pub(crate) fn add(&self, count: u64) {
        let now = Instant::now();
        self.0.send_modify(|progress| {
            progress.count += count;
            progress.first.get_or_insert(now);
            progress.last = Some(now);
        });
    }

    /// What has come so far.
    pub(crate) fn progress(&self) -> Progress {
        *self.0.borrow()
    }

    /// Waits until so many have come. That they never do is an error.
    pub(crate) async fn reach(&self, count: u64) -> Result<Progress> {
        let mut progress = self.0.subscribe();
        let reached = progress.wait_for(|progress| progress.count >= count);
        match tokio::time::timeout(limits::CATCHING_UP, reached).await {
            Ok(Ok(progress)) => Ok(*progress),
            Ok(Err(_)) => Err("nobody counts any more".into()),
            Err(_) => Err(format!("only {} of {count} SETs were delivered", self.progress().count).into()),
        }
    }
}

impl Sink for Tally {
    fn received(&self, _target: &str, _set: &[u8]) {
        self.add(1);
    }
}
