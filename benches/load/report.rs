//! The table of a run.

use crate::limits::Limit;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What was measured, with the unit of `value` and `baseline`.
    pub(crate) name: String,
    /// The server's number.
    pub(crate) value: f64,
    /// What it is held against, if anything.
    pub(crate) baseline: Option<f64>,
    /// What the limit is about: the median of the rounds' ratios, or the value itself.
    pub(crate) judged: f64,
    /// The limit.
    pub(crate) limit: Limit,
    /// More numbers, for the reader.
    pub(crate) note: String,
}

impl Line {
    /// A line from rounds of (server, baseline).
    pub(crate) fn of_rounds(name: impl Into<String>, rounds: &[(f64, f64)], limit: Limit, note: String) -> Self {
        let ratios = rounds.iter().map(|(value, baseline)| value / baseline).collect();
        Self {
            name: name.into(),
            value: median(rounds.iter().map(|round| round.0).collect()),
            baseline: Some(median(rounds.iter().map(|round| round.1).collect())),
            judged: median(ratios),
            limit,
            note,
        }
    }

    /// Whether the limit is kept.
    fn passes(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.judged >= limit,
            Limit::AtMost(limit) => self.judged <= limit,
            Limit::Shown => true,
        }
    }

    fn print(&self) {
        let baseline = self.baseline.map_or_else(|| "-".to_owned(), number);
        let ratio = self.baseline.map_or_else(|| "-".to_owned(), |_| format!("{:.2}", self.judged));
        let (limit, verdict) = match self.limit {
            Limit::AtLeast(limit) => (format!(">= {limit}"), if self.passes() { "PASS" } else { "MISS" }),
            Limit::AtMost(limit) => (format!("<= {limit}"), if self.passes() { "PASS" } else { "MISS" }),
            Limit::Shown => ("-".to_owned(), "-"),
        };
        println!(
            "{:<50} {:>10} {:>10} {:>6} {:>7} {:<5} {}",
            self.name,
            number(self.value),
            baseline,
            ratio,
            limit,
            verdict,
            self.note
        );
    }
}

/// The lines so far. Each is printed as soon as it is known: a run is long.
#[derive(Debug)]
pub(crate) struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Prints the head of the table.
    pub(crate) fn new() -> Self {
        println!("{:<50} {:>10} {:>10} {:>6} {:>7} {:<5} note", "line", "value", "baseline", "ratio", "limit", "");
        Self { lines: Vec::new() }
    }

    /// Prints a line and keeps it.
    pub(crate) fn push(&mut self, line: Line) {
        line.print();
        self.lines.push(line);
    }

    /// Prints how many lines missed their limit, and tells whether none did.
    pub(crate) fn passes(&self) -> bool {
        let missed = self.lines.iter().filter(|line| !line.passes()).count();
        println!("\n{missed} of {} lines missed their limit", self.lines.len());
        missed == 0
    }
}

/// The middle of some numbers; 0 of none.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => 0.0,
        count if count % 2 == 1 => numbers[count / 2],
        count => f64::midpoint(numbers[count / 2 - 1], numbers[count / 2]),
    }
}

fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
