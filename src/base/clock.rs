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

    /// Parses an xsd:dateTime (RFC 7643 §2.3.5): date and time, an optional fraction and an optional offset (none means UTC).
    pub fn parse(text: &str) -> Option<Self> {
        if !text.contains('T') {
            return None;
        }
        let milliseconds = match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.as_millisecond(),
            Err(_) => {
                text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
            }
        };
        Some(Self(milliseconds))
    }
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

    #[test]
    fn date_times_with_offsets_and_without_read_as_one_instant() {
        // 7643-2.3.5-01
        let utc = Timestamp::parse("2011-05-13T04:42:34Z");
        assert_eq!(utc, Some(Timestamp(1_305_261_754_000)));
        assert_eq!(Timestamp::parse("2011-05-13T06:42:34+02:00"), utc);
        assert_eq!(Timestamp::parse("2011-05-13T04:42:34"), utc);
        assert_eq!(Timestamp::parse("2011-05-13"), None);
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_time_prints_with_milliseconds_and_z() {
        assert_eq!(Timestamp(1_305_261_754_005).to_string(), "2011-05-13T04:42:34.005Z");
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
