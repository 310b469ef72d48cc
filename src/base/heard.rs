//! What a test hears of the log: the lines of its own thread.

use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

/// A listener that wants nothing, for as long as the process lives.
///
/// Whether anybody wants a line is found out once for each place that logs. While there is one listener in all, the thread that comes
/// to the place first asks only its own, and the "nobody" of a thread without one then holds for the thread of the test too. Of two
/// listeners both are asked. As this one wants no level, no place asks before there is a second.
static DEAF: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish()));

/// What this thread logs, as lines of JSON, until it is [told](Heard::lines). A task is heard on a runtime of this thread alone.
pub(crate) struct Heard {
    lines: Lines,
    listening: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Heard {
    /// Begins to listen.
    pub(crate) fn begin() -> Self {
        LazyLock::force(&DEAF);
        let lines = Lines::default();
        let written = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || written.clone()).finish();
        Self { lines, listening: tracing::subscriber::set_default(subscriber) }
    }

    /// Ends, and tells what was heard.
    pub(crate) fn lines(self) -> Vec<String> {
        drop(self.listening);
        let bytes = self.lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_line_is_heard_that_another_thread_comes_to_first() {
    let say = || tracing::info!("here");
    let heard = Heard::begin();
    std::thread::spawn(say).join().expect("no panic");
    say();
    let lines = heard.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("here"), "{lines:?}");
}
