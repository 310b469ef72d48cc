//! Splits a text into resources, with memory for the longest of them: JSON lines, or the elements of an array, which may be the
//! `Resources` of a `ListResponse`. Which of these it is shows at its beginning.

use crate::engine::import::{Origin, Record};
use crate::scim::error::{Error as ScimError, ErrorKind};
use std::io::{BufRead as _, BufReader, Chain, Cursor, Error, ErrorKind as IoErrorKind, Read, Result};

/// How much is looked at to tell the form, and read at a time, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// Members that a `ListResponse` has and no resource (RFC 7644 §3.4.2).
const OF_A_LIST: [&str; 3] = ["Resources", "totalResults", "itemsPerPage"];

/// The resources of a text.
pub(super) struct Lines<R> {
    /// What was looked at to tell the form, and what comes behind it.
    input: BufReader<Chain<Cursor<Vec<u8>>, R>>,
    form: Option<Form>,
    /// The line that is read, from 1.
    line: u64,
    /// Longest text of a resource, in bytes.
    most: usize,
}

/// The form of a text.
enum Form {
    Lines,
    Elements(Scan),
    /// Nothing more is read.
    Ended,
}

/// A text whose end has not come, or that is too long to be kept.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Text {
    fn add(&mut self, more: &[u8], most: usize) {
        if self.bytes.len() + more.len() > most {
            self.is_too_long = true;
            self.bytes = Vec::new();
        }
        if !self.is_too_long {
            self.bytes.extend_from_slice(more);
        }
    }

    fn record(self, line: u64, most: usize) -> Record {
        let text = if self.is_too_long {
            let mib = most / (1024 * 1024);
            Err(ScimError::new(ErrorKind::TooLarge, format!("The resource is longer than {mib} MiB (--max-line-mib).")))
        } else {
            Ok(self.bytes)
        };
        Record { origin: Origin { table: None, number: line, id: None }, known: None, text }
    }
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R, most: usize) -> Self {
        let input = Cursor::default().chain(input);
        Self { input: BufReader::with_capacity(BUFFER_BYTES, input), form: None, line: 1, most }
    }

    /// Looks at the beginning, however it arrives, until it tells the form.
    fn begin(&mut self) -> Result<Form> {
        let (head, rest) = self.input.get_mut().get_mut();
        let (mut start, mut part) = (Vec::new(), vec![0; BUFFER_BYTES]);
        let form = loop {
            let count = match rest.read(&mut part) {
                Err(error) if error.kind() == IoErrorKind::Interrupted => continue,
                read => read?,
            };
            start.extend_from_slice(&part[..count]);
            match form_of(&start) {
                Some(form) => break form,
                None if count == 0 || start.len() >= BUFFER_BYTES => break Form::Lines,
                None => {}
            }
        };
        if start.starts_with(MARK) {
            start.drain(..MARK.len());
        }
        *head = Cursor::new(start);
        Ok(form)
    }

    fn next_line(&mut self) -> Result<Option<Record>> {
        loop {
            let (line, mut text, mut is_end) = (self.line, Text::default(), false);
            loop {
                let buffer = self.input.fill_buf()?;
                let end = buffer.iter().position(|byte| *byte == b'\n');
                let taken = end.map_or(buffer.len(), |at| at + 1);
                text.add(&buffer[..end.unwrap_or(buffer.len())], self.most);
                self.input.consume(taken);
                if end.is_some() {
                    self.line += 1;
                    break;
                }
                if taken == 0 {
                    is_end = true;
                    break;
                }
            }
            if text.is_too_long || text.bytes.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Ok(Some(text.record(line, self.most)));
            }
            if is_end {
                return Ok(None);
            }
        }
    }

    fn next_element(&mut self, scan: &mut Scan) -> Result<Option<Record>> {
        let (mut text, mut begun) = (Text::default(), None);
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                let is_whole = scan.depth == 0 && scan.phase == Phase::Over;
                return if is_whole { Ok(None) } else { Err(Error::other("the text ends within its list of resources")) };
            }
            let (mut from, mut ended) = (None, None);
            for (at, byte) in buffer.iter().copied().enumerate() {
                match scan.step(byte) {
                    Step::Aside => {}
                    Step::Inside => {
                        from.get_or_insert(at);
                        begun.get_or_insert(self.line);
                    }
                    Step::Between => ended = begun.map(|_| at),
                    Step::Stray => {
                        return Err(Error::other(format!("line {}: something stands after the list of resources", self.line)));
                    }
                }
                if byte == b'\n' {
                    self.line += 1;
                }
                if ended.is_some() {
                    break;
                }
            }
            let until = ended.unwrap_or(buffer.len());
            if begun.is_some() {
                text.add(&buffer[from.unwrap_or(until)..until], self.most);
            }
            let taken = ended.map_or(buffer.len(), |at| at + 1);
            self.input.consume(taken);
            if let (Some(line), Some(_)) = (begun, ended) {
                return Ok(Some(text.record(line, self.most)));
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Record>> {
        let mut form = match self.form.take() {
            Some(form) => form,
            None => self.begin()?,
        };
        let record = match &mut form {
            Form::Lines => self.next_line(),
            Form::Elements(scan) => self.next_element(scan),
            Form::Ended => Ok(None),
        };
        self.form = Some(if matches!(record, Ok(Some(_))) { form } else { Form::Ended });
        record
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// The form of a text that begins so; `None` when more of it has to be seen.
fn form_of(start: &[u8]) -> Option<Form> {
    if start.len() < MARK.len() && MARK.starts_with(start) {
        return None;
    }
    let text = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    Some(match text.first()? {
        b'[' => Form::Elements(Scan::new(1)),
        b'{' if is_list(text)? => Form::Elements(Scan::new(2)),
        _ => Form::Lines,
    })
}

/// Whether an object begins as a `ListResponse` does; `None` when more of it has to be seen.
fn is_list(text: &[u8]) -> Option<bool> {
    let mut scan = Scan::new(2);
    for byte in text {
        scan.step(*byte);
        if scan.depth == 1 && *byte == b':' && OF_A_LIST.iter().any(|name| scan.last.eq_ignore_ascii_case(name.as_bytes())) {
            return Some(true);
        }
        if scan.depth == 0 {
            return Some(false);
        }
    }
    None
}

/// What a byte is for the list of resources.
enum Step {
    /// It is before the list, after it, or blank between its elements.
    Aside,
    /// A part of an element.
    Inside,
    /// It ends an element, if one has begun.
    Between,
    /// It stands after everything.
    Stray,
}

/// Where the list of resources is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    /// Within the list, and in none of its elements.
    Between,
    /// In an element.
    Inside,
    Over,
}

/// Follows the structure of a JSON text without understanding its values.
struct Scan {
    /// How deep the elements of the list are: 1 in an array, 2 in an object that holds it.
    list: usize,
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    phase: Phase,
    /// The last string, as far as it matters.
    last: Vec<u8>,
}

impl Scan {
    fn new(list: usize) -> Self {
        Self { list, depth: 0, is_in_string: false, is_escaped: false, phase: Phase::Before, last: Vec::new() }
    }

    fn step(&mut self, byte: u8) -> Step {
        /// Longer than any name that matters.
        const LONGEST: usize = 16;
        if self.is_in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.is_in_string = false,
                _ if self.last.len() < LONGEST => self.last.push(byte),
                _ => {}
            }
            return self.part();
        }
        match byte {
            b'"' => {
                self.is_in_string = true;
                self.last.clear();
                self.enter()
            }
            b'[' | b'{' => {
                let is_list = byte == b'[' && self.depth + 1 == self.list && self.phase == Phase::Before && self.is_named();
                let step = self.enter();
                self.depth += 1;
                if is_list {
                    self.phase = Phase::Between;
                    return Step::Aside;
                }
                step
            }
            b']' | b'}' => {
                if self.is_in_list() && self.depth == self.list {
                    self.depth -= 1;
                    self.phase = Phase::Over;
                    return Step::Between;
                }
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    // An object without a list has none.
                    self.phase = Phase::Over;
                }
                self.part()
            }
            b',' if self.is_in_list() && self.depth == self.list => {
                self.phase = Phase::Between;
                Step::Between
            }
            _ if byte.is_ascii_whitespace() => self.part(),
            _ => self.enter(),
        }
    }

    fn is_named(&self) -> bool {
        self.list == 1 || self.last.eq_ignore_ascii_case(b"Resources")
    }

    fn is_in_list(&self) -> bool {
        matches!(self.phase, Phase::Between | Phase::Inside)
    }

    /// A byte that begins an element, if none has begun.
    fn enter(&mut self) -> Step {
        match self.phase {
            Phase::Over if self.depth == 0 => return Step::Stray,
            Phase::Between => self.phase = Phase::Inside,
            _ => {}
        }
        self.part()
    }

    fn part(&self) -> Step {
        if self.phase == Phase::Inside { Step::Inside } else { Step::Aside }
    }
}
