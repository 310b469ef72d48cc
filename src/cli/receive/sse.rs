//! Server-Sent Events: reads the event stream format of the HTML standard (§9.2.5 and §9.2.6), however its bytes are cut.

use std::mem::take;
use std::time::Duration;

/// An event as it is dispatched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// The last id that the stream has named; empty when it named none.
    pub(super) id: String,
    /// What `event` said; empty when it said nothing, which means `message`.
    pub(super) kind: String,
    /// The lines of `data`, with line feeds between them. Never empty.
    pub(super) data: String,
}

/// A line or an event that is longer than the reader takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Reader {
    limit_bytes: usize,
    line: Vec<u8>,
    is_first_line: bool,
    follows_cr: bool,
    data: String,
    kind: String,
    id: String,
    retry: Option<Duration>,
}

impl Reader {
    /// A reader of one connection. No line and no event may be longer than the limit.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            line: Vec::new(),
            is_first_line: true,
            follows_cr: false,
            data: String::new(),
            kind: String::new(),
            id: String::new(),
            retry: None,
        }
    }

    /// The time between two connections that the stream asked for last.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Reads on, and returns the events that are complete now. An event that is not when the stream ends never was.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut messages = Vec::new();
        for &byte in bytes {
            let ends_crlf = take(&mut self.follows_cr) && byte == b'\n';
            match byte {
                b'\n' if ends_crlf => {}
                b'\n' | b'\r' => {
                    self.follows_cr = byte == b'\r';
                    messages.extend(self.end_line());
                }
                _ => self.line.push(byte),
            }
            if self.line.len().max(self.data.len()) > self.limit_bytes {
                return Err(TooLong);
            }
        }
        Ok(messages)
    }

    fn end_line(&mut self) -> Option<Message> {
        let line = take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = if take(&mut self.is_first_line) { line.strip_prefix('\u{FEFF}').unwrap_or(&line) } else { &line };
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis);
            }
            // A line that begins with a colon is a comment; other names mean nothing.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Message> {
        let (kind, mut data) = (take(&mut self.kind), take(&mut self.data));
        data.pop()?;
        Some(Message { id: self.id.clone(), kind, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Vec<Message> {
        Reader::new(1024).read(bytes).expect("short enough")
    }

    fn message(id: &str, kind: &str, data: &str) -> Message {
        Message { id: id.into(), kind: kind.into(), data: data.into() }
    }

    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(read(b"data: YHOO\ndata: +2\ndata: 10\n\n"), [message("", "", "YHOO\n+2\n10")]);
        let stream = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(
            read(stream),
            [message("1", "", "first event"), message("", "", "second event"), message("", "", " third event")]
        );
        // The second dispatches an empty line of data, the last is not complete.
        assert_eq!(read(b"data\n\ndata\ndata\n\ndata:"), [message("", "", ""), message("", "", "\n")]);
        assert_eq!(read(b"data:test\n\ndata: test\n\n"), vec![message("", "", "test"); 2]);
    }

    #[test]
    fn an_id_stays_and_a_kind_does_not() {
        let stream = "\u{FEFF}event: set\nid: a\ndata: x\n\ndata: y\n\nid: b\u{0}\nevent: only\n\ndata: z\nunknown: 1\n\n";
        assert_eq!(read(stream.as_bytes()), [message("a", "set", "x"), message("a", "", "y"), message("a", "", "z")]);
    }

    #[test]
    fn retry_is_digits_and_lines_are_bounded() {
        let mut reader = Reader::new(16);
        assert_eq!(reader.read(b"retry: 1500\nretry: 2s\nretry:\n"), Ok(vec![]));
        assert_eq!(reader.retry(), Some(Duration::from_millis(1500)));
        assert_eq!(reader.read(b"data: 01234567890"), Err(TooLong));
        let mut reader = Reader::new(16);
        assert_eq!(reader.read(&b"data: 0123456\n".repeat(3)), Err(TooLong));
    }

    fn field() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9 :ü€.-]{0,12}".prop_map(|text| text)
    }

    proptest! {
        #[test]
        fn cuts_and_line_ends_change_nothing(
            events in prop::collection::vec((field(), field(), prop::collection::vec(field(), 1..4)), 0..6),
            ends in prop::collection::vec(prop::sample::select(vec!["\n", "\r", "\r\n"]), 1..5),
            cut in 1usize..9,
        ) {
            let mut ends = ends.iter().cycle();
            let mut stream = String::new();
            let mut end = || ends.next().copied().unwrap_or("\n");
            for (id, kind, data) in &events {
                for line in [": comment".into(), format!("id: {id}"), format!("event: {kind}")] {
                    stream += &(line + end());
                }
                for line in data {
                    stream.extend(["data: ", line, end()]);
                }
                // A line that ends in CR and an empty one that ends in LF would be one line.
                stream += "x\n";
                stream += end();
            }
            let expected: Vec<Message> =
                events.iter().map(|(id, kind, data)| message(id, kind, &data.join("\n"))).collect();
            let mut reader = Reader::new(1024);
            let cut: Vec<Message> = stream.as_bytes().chunks(cut).flat_map(|bytes| reader.read(bytes).expect("short")).collect();
            prop_assert_eq!(&cut, &read(stream.as_bytes()));
            prop_assert_eq!(cut, expected);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Reader::new(64).read(&bytes);
        }
    }
}
