//! A client that costs little beside the server it measures: kept-alive connections, requests made by hand, and a reader that
//! knows a status line and `content-length`.

use crate::Result;
use crate::limits;
use crate::random::Random;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// One kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    arrived: Box<[u8]>,
    answer: Vec<u8>,
    body_start: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, arrived: vec![0; 64 * 1024].into(), answer: Vec::new(), body_start: 0 })
    }

    /// Sends a whole request and reads the whole answer; gives the status.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<u16> {
        tokio::time::timeout(limits::ANSWER, self.exchange(request)).await.map_err(|_| "no answer in time")?
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.answer[self.body_start..]
    }

    /// The value of a header of the last answer.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = std::str::from_utf8(&self.answer[..self.body_start]).ok()?;
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Sends, and fails unless the answer is 2xx.
    pub(crate) async fn succeed(&mut self, request: &[u8]) -> Result<()> {
        let status = self.send(request).await?;
        if (200..300).contains(&status) {
            return Ok(());
        }
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(format!("{}: {status} {}", String::from_utf8_lossy(line), String::from_utf8_lossy(self.body())).into())
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<u16> {
        let mut left = request;
        while !left.is_empty() {
            match self.stream.try_write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => self.stream.writable().await?,
                Err(error) => return Err(error.into()),
            }
        }
        self.answer.clear();
        let end = loop {
            self.fill().await?;
            if let Some(at) = find(&self.answer, b"\r\n\r\n") {
                break at + 4;
            }
        };
        self.body_start = end;
        let status = std::str::from_utf8(self.answer.get(9..12).ok_or("a short answer")?)?.parse()?;
        let length = match self.header("content-length") {
            Some(length) => length.parse()?,
            None if status == 204 => 0,
            None => return Err("an answer without content-length".into()),
        };
        while self.answer.len() < end + length {
            self.fill().await?;
        }
        Ok(status)
    }

    /// Waits first: an answer is hardly ever there before it was asked for.
    async fn fill(&mut self) -> Result<()> {
        loop {
            self.stream.readable().await?;
            match self.stream.try_read(&mut self.arrived) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(read) => {
                    self.answer.extend_from_slice(&self.arrived[..read]);
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What the clients ask.
pub(crate) trait Traffic: Send + Sync + 'static {
    /// Writes the next request of a client.
    fn request(&self, client: usize, random: &mut Random, out: &mut Vec<u8>);

    /// Looks at an answer's body.
    fn answered(&self, body: &[u8]) {
        let _ = body;
    }
}

/// How much to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Connections, each with one request at a time.
    pub(crate) clients: usize,
    /// Most requests in all.
    pub(crate) requests: u64,
    /// Longest time.
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests answered a second.
    pub(crate) rate: f64,
    /// Half of the answers took at most so long, in microseconds.
    pub(crate) p50: u32,
    /// All but a hundredth of the answers took at most so long, in microseconds.
    pub(crate) p99: u32,
}

impl fmt::Display for Measured {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "p50 {:.1} ms, p99 {:.1} ms", f64::from(self.p50) / 1000.0, f64::from(self.p99) / 1000.0)
    }
}

/// Lets the clients loose. The first answer that is not 2xx ends the run with an error.
pub(crate) async fn drive<T: Traffic>(address: SocketAddr, load: Load, traffic: &Arc<T>) -> Result<Measured> {
    let mut connections = Vec::with_capacity(load.clients);
    for _ in 0..load.clients {
        connections.push(Connection::open(address).await?);
    }
    let budget = Arc::new(AtomicU64::new(load.requests));
    let start = Instant::now();
    let clients: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(client, connection)| {
            let (traffic, budget) = (Arc::clone(traffic), Arc::clone(&budget));
            tokio::spawn(async move { one_client(client, connection, &*traffic, &budget, start + load.time).await })
        })
        .collect();
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: usize| latencies.get((latencies.len() * part / 100).min(latencies.len().saturating_sub(1))).copied();
    let requests = latencies.len() as u64;
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
    let rate = requests as f64 / seconds;
    Ok(Measured { requests, rate, p50: at(50).unwrap_or_default(), p99: at(99).unwrap_or_default() })
}

async fn one_client(
    client: usize,
    mut connection: Connection,
    traffic: &impl Traffic,
    budget: &AtomicU64,
    end: Instant,
) -> Result<Vec<u32>> {
    let mut random = Random::new();
    let mut request = Vec::with_capacity(4096);
    let mut latencies = Vec::with_capacity(16 * 1024);
    loop {
        let sent = Instant::now();
        if sent >= end || budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
            return Ok(latencies);
        }
        request.clear();
        traffic.request(client, &mut random, &mut request);
        connection.succeed(&request).await?;
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
        traffic.answered(connection.body());
    }
}
