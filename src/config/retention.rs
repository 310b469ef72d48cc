//! How much of the event log is kept.

use super::reader::Reader;
use crate::delivery::Retention;

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// The units of an age, the largest first.
const UNITS: [(char, u64); 4] = [('d', DAY_MS), ('h', HOUR_MS), ('m', MINUTE_MS), ('s', SECOND_MS)];

/// Reads the bounds of the log.
pub(super) fn retention(reader: &mut Reader) -> Retention {
    let defaults = Retention::default();
    let expected = "a time above 0, such as 30d, 12h, 90m, 3600s, or a number of days";
    Retention {
        events: reader.whole("SET_POLL_MAX_EVENTS", 1).unwrap_or(defaults.events),
        age_ms: reader.parsed("EVENT_RETENTION", expected, age_ms).unwrap_or(defaults.age_ms),
    }
}

/// The milliseconds of `30d`, `12h`, `90m`, `3600s`, or of a number of days. The time 0 is none, nor is one that no clock reaches.
fn age_ms(text: &str) -> Option<u64> {
    let unit = UNITS.iter().find_map(|(letter, ms)| Some((text.strip_suffix(*letter)?, *ms)));
    let (number, ms) = unit.unwrap_or((text, DAY_MS));
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let age = number.parse::<u64>().ok().filter(|_| is_number)?.checked_mul(ms)?;
    (age > 0 && i64::try_from(age).is_ok()).then_some(age)
}

/// An age in its largest unit.
pub(super) fn shown(age_ms: u64) -> String {
    let unit = UNITS.iter().find(|(_, ms)| age_ms.is_multiple_of(*ms));
    unit.map_or_else(|| format!("{age_ms} ms"), |(letter, ms)| format!("{}{letter}", age_ms / ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        let cases = [("30d", 30 * DAY_MS), ("7", 7 * DAY_MS), ("12h", 12 * HOUR_MS), ("90m", 90 * MINUTE_MS), ("3600s", HOUR_MS)];
        for (text, ms) in cases {
            assert_eq!(age_ms(text), Some(ms), "{text}");
        }
        let most = i64::MAX.unsigned_abs() / DAY_MS;
        assert_eq!(age_ms(&most.to_string()), Some(most * DAY_MS));
        let beyond = (most + 1).to_string();
        for wrong in
            ["", "0", "0s", "d", "-1", "+1", "1.5d", "30 d", "30D", "30dd", "1w", "forever", "99999999999999999999", &beyond]
        {
            assert_eq!(age_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_age_is_shown_in_its_largest_unit() {
        for (ms, text) in [(30 * DAY_MS, "30d"), (36 * HOUR_MS, "36h"), (90 * MINUTE_MS, "90m"), (61_000, "61s"), (5, "5 ms")] {
            assert_eq!(shown(ms), text);
        }
    }
}
