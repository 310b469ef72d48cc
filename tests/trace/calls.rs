//! The lines of strace, as calls with a beginning and an end.

use std::collections::HashMap;

/// One system call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The line on which it begins.
    pub start: usize,
    /// The line on which it ends: another one when a call of another thread came between.
    pub end: usize,
    text: String,
}

/// Reads a trace; the calls stand in the order in which they begin.
pub fn read(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<&str, Call> = HashMap::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((thread, text)) = text.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, Call { start: line, end: line, text: begun.to_owned() });
        } else if text.starts_with("<... ") {
            let Some(mut call) = unfinished.remove(thread) else { continue };
            call.end = line;
            call.text.push_str(text.split_once("resumed>").map_or("", |(_, rest)| rest));
            calls.push(call);
        } else {
            calls.push(Call { start: line, end: line, text: text.to_owned() });
        }
    }
    calls.sort_by_key(|call| call.start);
    calls
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        self.text.split_once('(').is_some_and(|(name, _)| names.contains(&name))
    }

    fn is_on_the_log(&self) -> bool {
        self.text.contains("-wal>")
    }

    /// Whether it receives a POST.
    pub fn receives_a_write(&self) -> bool {
        self.is(&["read", "recvfrom", "recvmsg"]) && self.text.contains("<TCP") && self.text.contains("\"POST ")
    }

    /// Whether it sends 201.
    pub fn answers_a_write(&self) -> bool {
        self.is(&["write", "writev", "sendto", "sendmsg"]) && self.text.contains("<TCP") && self.text.contains("HTTP/1.1 201")
    }

    /// Whether it writes to the write-ahead log.
    pub fn writes_the_log(&self) -> bool {
        self.is(&["write", "pwrite64", "pwritev"]) && self.is_on_the_log()
    }

    /// Whether it has synced the write-ahead log.
    pub fn syncs_the_log(&self) -> bool {
        self.is(&["fsync", "fdatasync"]) && self.is_on_the_log() && self.text.trim_end().ends_with("= 0")
    }

    /// The connection it is on: `<TCP:[…]>`.
    pub fn connection(&self) -> Option<&str> {
        let start = self.text.find("<TCP")?;
        let end = self.text[start..].find('>').map(|end| start + end)?;
        // The arrow between the two addresses is not the end.
        self.text[end + 1..].find('>').map(|rest| &self.text[start..=end + 1 + rest])
    }
}

#[test]
fn calls_in_two_pieces_are_joined() {
    let trace = "7  fsync(5</x/a.db-wal> <unfinished ...>\n8  read(9<TCP:[a->b]>, \"POST /Users\", 8) = 8\n7  <... fsync resumed>) = 0\n\
                 9  writev(9<TCP:[a->b]>, [{iov_base=\"HTTP/1.1 201 Created\"}], 1) = 9\n7  fsync(5</x/a.db-wal>) = -1 EIO\n7  +++ exited with 0 +++";
    let calls = read(trace);
    assert_eq!((calls[0].start, calls[0].end, calls[0].syncs_the_log()), (0, 2, true));
    assert!(calls[1].receives_a_write() && calls[2].answers_a_write() && !calls[3].syncs_the_log());
    assert_eq!((calls[1].connection(), calls[2].connection()), (Some("<TCP:[a->b]>"), Some("<TCP:[a->b]>")));
}
