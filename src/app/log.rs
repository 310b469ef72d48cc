//! Where lines of the log go and what they look like.

use crate::base::limits;
use crate::config::{LogFormat, LogLevel};
use crate::http;
use std::fmt;
use std::io::{self, IsTerminal as _};
use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes lines to the standard error from now on, until what is returned is dropped. A second start in one process keeps the first
/// one's log.
///
/// A thread of its own writes them: a reader of the log that stalls holds no request up. Lines are dropped when too many wait.
pub(super) fn start(level: LogLevel, format: LogFormat) -> WorkerGuard {
    // What libraries say is kept from WARN on: their finer lines show what passes through them.
    let filter = EnvFilter::new(format!("warn,carillon={}", level.as_str()));
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(limits::LOG_LINES_WAITING).thread_name("log").finish(io::stderr());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let _ = match format {
        LogFormat::Text => {
            let within = Format::default().with_ansi(io::stderr().is_terminal());
            lines.event_format(WithRequestId { within, format }).try_init()
        }
        LogFormat::Json => {
            let within = Format::default().json().flatten_event(true);
            lines.fmt_fields(JsonFields::new()).event_format(WithRequestId { within, format }).try_init()
        }
    };
    guard
}

/// Adds the id of the request that a line is about. A span would say the same, at a cost for every request that has nothing to say.
#[derive(Debug)]
struct WithRequestId<F> {
    within: F,
    format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let Some(id) = http::current_request_id() else { return self.within.format_event(context, writer, event) };
        let mut line = String::new();
        self.within.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        // An id holds neither quotes nor backslashes.
        match self.format {
            LogFormat::Text => writeln!(writer, "{line} request_id=\"{id}\""),
            LogFormat::Json => writeln!(writer, "{},\"request_id\":\"{id}\"}}", line.strip_suffix('}').unwrap_or(line)),
        }
    }
}
