//! Time. Passed in everywhere, so that tests drive it.

use std::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch: the JWT `NumericDate` (RFC 7519 §2).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Parses an xsd:dateTime (RFC 7643 §2.3.5; XSD 1.1 part 2 §3.3.7): date and time, an optional fraction and an optional offset of at
    /// most 14 hours (none means UTC). What is finer than a millisecond is cut off. Years have four digits, 24:00:00 is the end of its
    /// day, and there is no leap second.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let [year, month, day] = numbers(date, '-', &[4, 2, 2])?;
        let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let (time, offset_ms) = split_offset(time)?;
        let (time, fraction) = match time.split_once('.') {
            Some((_, "")) => return None,
            Some((time, fraction)) => (time, fraction),
            None => (time, ""),
        };
        let [hour, minute, second] = numbers(time, ':', &[2, 2, 2])?;
        let fraction_ms = milliseconds(fraction)?;
        let is_midnight = hour == 24 && minute == 0 && second == 0 && fraction.bytes().all(|digit| digit == b'0');
        if (hour > 23 && !is_midnight) || minute > 59 || second > 59 {
            return None;
        }
        let days = date.duration_since(jiff::civil::date(1970, 1, 1)).as_secs().div_euclid(DAY_MS / 1000);
        Some(Self(days * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * 1000 + fraction_ms - offset_ms))
    }
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The numbers of a text, each of exactly so many digits.
fn numbers<const COUNT: usize>(text: &str, separator: char, digits: &[usize; COUNT]) -> Option<[i64; COUNT]> {
    let mut found = [0; COUNT];
    let mut parts = text.split(separator);
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == *digits && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// A time without its offset, and the offset in milliseconds.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let [hours, minutes] = numbers(&time[at + 1..], ':', &[2, 2])?;
    let offset_ms = hours * HOUR_MS + minutes * MINUTE_MS;
    let is_valid = minutes < 60 && offset_ms <= 14 * HOUR_MS;
    is_valid.then(|| (&time[..at], if time[at..].starts_with('-') { -offset_ms } else { offset_ms }))
}

/// The first three digits of a fraction, which has only digits.
fn milliseconds(fraction: &str) -> Option<i64> {
    let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds and `Z`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => write!(formatter, "{instant:.3}"),
            Err(_) => write!(formatter, "1970-01-01T00:00:00.000Z"),
        }
    }
}

/// The source of time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, in milliseconds since the epoch.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the operating system's clock")]
    fn now(&self) -> Timestamp {
        let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    /// 7643-2.3.5-01
    #[test]
    fn date_times_with_offsets_and_without_read_as_one_instant() {
        let utc = Timestamp::parse("2011-05-13T04:42:34Z");
        assert_eq!(utc, Some(Timestamp(1_305_261_754_000)));
        assert_eq!(Timestamp::parse("2011-05-13T06:42:34+02:00"), utc);
        assert_eq!(Timestamp::parse("2011-05-13T04:42:34"), utc);
        assert_eq!(Timestamp::parse("2011-05-13"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    /// 7643-2.3.5-01
    #[test]
    fn a_date_time_is_one_of_xml_schema() {
        let at = |text: &str| Timestamp::parse(text).map(|time| time.0);
        assert_eq!(at("2011-05-13T04:42:34.0059999Z"), Some(1_305_261_754_005));
        assert_eq!(at("1969-12-31T23:59:59.5Z"), Some(-500));
        assert_eq!(at("2011-05-12T24:00:00Z"), at("2011-05-13T00:00:00.000Z"));
        assert_eq!(at("2011-05-13T00:00:00-14:00"), at("2011-05-13T14:00:00Z"));
        assert_eq!(at("9999-12-31T23:59:59Z"), Some(253_402_300_799_000));
        assert_eq!(at("0001-01-01T00:00:00Z"), Some(-62_135_596_800_000));
        assert_eq!(at("2024-02-29T12:00:00"), at("2024-02-29T12:00:00Z"));
        for text in [
            "",
            "T",
            "2011-05-13 04:42:34Z",
            "2011-05-13t04:42:34z",
            "20110513T044234Z",
            "2011-05-13T04:42Z",
            "2011-05-13T4:42:34Z",
            "2011-05-13T04:42:34.Z",
            "2011-05-13T04:42:34,5Z",
            "2011-05-13T04:42:60Z",
            "2011-05-13T24:00:01Z",
            "2011-05-13T24:00:00.1Z",
            "2011-05-13T04:42:34+14:01",
            "2011-05-13T04:42:34+0200",
            "2011-05-13T04:42:34+02:00[Europe/Berlin]",
            "2011-05-13T04:42:34 02:00",
            "2023-02-29T00:00:00Z",
            "2011-13-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "12011-05-13T04:42:34Z",
            "2011-05-13T04:42:34ZZ",
            "+011-05-13T04:42:34Z",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_prints_with_milliseconds_and_z() {
        assert_eq!(Timestamp(1_305_261_754_005).to_string(), "2011-05-13T04:42:34.005Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
