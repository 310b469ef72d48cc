//! A raw socket, for what no client would send.

use super::wait::PATIENCE;
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A connection on which any bytes can be sent.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    /// The status code.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header's value, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }
}

impl Raw {
    /// Connects; everything has a bound.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a bound");
        stream.set_write_timeout(Some(PATIENCE)).expect("a bound");
        Self { stream, unread: Vec::new() }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Ends the sending side only.
    pub fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads one answer; `None` when the server closed instead.
    pub fn answer(&mut self) -> Option<RawAnswer> {
        let mut answer = self.head()?;
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunks()?;
        } else {
            let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            while self.unread.len() < length {
                self.read_more()?;
            }
            answer.body = self.unread.drain(..length).collect();
        }
        Some(answer)
    }

    /// Reads the head of an answer and leaves its body to be waited for; `None` when the server closed instead.
    pub fn status(&mut self) -> Option<u16> {
        Some(self.head()?.status)
    }

    /// Whether the server closes the connection, with nothing more to read.
    pub fn is_closed(&mut self) -> bool {
        self.unread.is_empty() && self.read_more().is_none()
    }

    fn head(&mut self) -> Option<RawAnswer> {
        let head_end = self.read_past(0, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.unread[..head_end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {head}"));
        self.unread.drain(..head_end);
        Some(RawAnswer { status, head, body: Vec::new() })
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = self.read_past(0, b"\r\n")?;
            let line = String::from_utf8_lossy(&self.unread[..line_end]).trim().to_owned();
            let length = usize::from_str_radix(&line, 16).expect("the length of a chunk");
            while self.unread.len() < line_end + length + 2 {
                self.read_more()?;
            }
            body.extend_from_slice(&self.unread[line_end..line_end + length]);
            self.unread.drain(..line_end + length + 2);
            if length == 0 {
                return Some(body);
            }
        }
    }

    /// Reads until the mark has come; tells where it ends.
    fn read_past(&mut self, from: usize, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.unread[from..].windows(mark.len()).position(|window| window == mark) {
                return Some(from + at + mark.len());
            }
            self.read_more()?;
        }
    }

    /// Reads what comes next; `None` at the end, which a reset is too. Silence for longer than the bound fails the test.
    fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(length) => {
                self.unread.extend_from_slice(&buffer[..length]);
                Some(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => None,
            Err(error) => panic!("the server neither answers nor closes: {error}"),
        }
    }
}
