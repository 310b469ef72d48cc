//! What a receiver's answer means for the SET, and for the stream (RFC 8935 §2.2–§2.4, §4).

use super::client::{Failure, Reply};
use crate::base::clock::Timestamp;
use crate::base::limits;
use crate::base::secret::Secret;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// What an attempt came to: an explicit policy stands behind each (8935-4-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    /// 202: the receiver has it.
    Accepted,
    /// Another 2xx: the receiver has it, and answers as it should not.
    Nonconformant,
    /// No answer: the network, a timeout, TLS.
    Unreachable,
    /// 408, 425 and 5xx: the receiver has a fault that may pass.
    Failing,
    /// 429, or 503 with `Retry-After`: later.
    Held,
    /// 401, 403, or an error code of the same meaning: our credential.
    Unauthorized,
    /// The receiver does not know the key (yet).
    InvalidKey,
    /// The receiver will never take this SET.
    Refused,
    /// 3xx: the endpoint is somewhere else, and nobody is followed there.
    Redirected,
    /// 404 and its like: the endpoint is none.
    Misplaced,
    /// The endpoint's name has an address that may not be connected to.
    Forbidden,
    /// We could not make the SET or the request: nobody else's fault.
    Unsendable,
}

impl Class {
    /// Every class.
    #[cfg(test)]
    pub(super) const ALL: [Self; 12] = [
        Self::Accepted,
        Self::Nonconformant,
        Self::Unreachable,
        Self::Failing,
        Self::Held,
        Self::Unauthorized,
        Self::InvalidKey,
        Self::Refused,
        Self::Redirected,
        Self::Misplaced,
        Self::Forbidden,
        Self::Unsendable,
    ];

    /// Its name in metrics and in the log.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Nonconformant => "nonconformant",
            Self::Unreachable => "unreachable",
            Self::Failing => "failing",
            Self::Held => "held",
            Self::Unauthorized => "unauthorized",
            Self::InvalidKey => "invalid_key",
            Self::Refused => "refused",
            Self::Redirected => "redirected",
            Self::Misplaced => "misplaced",
            Self::Forbidden => "forbidden",
            Self::Unsendable => "unsendable",
        }
    }
}

/// An attempt's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// What it means.
    pub(super) class: Class,
    /// The HTTP status, if there was an answer.
    pub(super) status: Option<u16>,
    /// The error code: the receiver's, or our own word.
    pub(super) error: String,
    /// What the receiver said beside it, shortened.
    pub(super) description: Option<String>,
    /// For how long the receiver wants to be left alone.
    pub(super) wait: Option<Duration>,
}

/// The media type of error bodies is not looked at, nor their language: what can be read is.
#[derive(Debug, Default)]
struct Said {
    error: Option<String>,
    description: Option<String>,
}

/// Judges a reply to a request that carried this authorization, of which nothing is kept: a receiver may repeat what it was sent.
pub(super) fn judge(reply: &Reply, authorization: Option<&Secret>, now: Timestamp) -> Answer {
    let (status, retry_after, body) = match reply {
        Reply::Answered { status, retry_after, body } => (*status, retry_after.as_deref(), body.as_deref()),
        Reply::Failed(failure) => return failed(*failure),
    };
    let said = read(body, authorization);
    let class = match status {
        202 => Class::Accepted,
        200..=299 => Class::Nonconformant,
        300..=399 => Class::Redirected,
        401 | 403 | 407 => Class::Unauthorized,
        404 | 405 | 410 | 413 | 415 => Class::Misplaced,
        429 => Class::Held,
        503 if retry_after.is_some() => Class::Held,
        408 | 421 | 425 | 500.. => Class::Failing,
        // The error broke off: what it was is not known.
        _ if body.is_none() => Class::Unreachable,
        _ => match said.error.as_deref() {
            Some("invalid_key") => Class::InvalidKey,
            Some("authentication_failed" | "access_denied") => Class::Unauthorized,
            _ => Class::Refused,
        },
    };
    Answer {
        class,
        status: Some(status),
        error: said.error.unwrap_or_else(|| format!("http_{status}")),
        description: said.description,
        wait: retry_after.filter(|_| class == Class::Held).and_then(|text| wait(text, now)),
    }
}

fn failed(failure: Failure) -> Answer {
    let (class, error) = match failure {
        Failure::Address => (Class::Forbidden, "address"),
        Failure::Connect => (Class::Unreachable, "connect"),
        Failure::Tls => (Class::Unreachable, "tls"),
        Failure::Timeout => (Class::Unreachable, "timeout"),
        Failure::Cut => (Class::Unreachable, "reset"),
        Failure::Request => (Class::Unsendable, "request"),
    };
    Answer { class, status: None, error: error.into(), description: None, wait: None }
}

/// RFC 8935 §2.3. Whatever it is, it is no more than a hint.
fn read(body: Option<&[u8]>, authorization: Option<&Secret>) -> Said {
    let Some(Value::Object(body)) = body.and_then(|body| serde_json::from_slice(body).ok()) else { return Said::default() };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(|text| without(text, authorization));
    let is_code = |code: &String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
        (1..=limits::ERROR_CODE_BYTES).contains(&code.len()) && code.bytes().all(is_plain)
    };
    Said { error: text("err").filter(is_code), description: text("description").map(|text| shorten(&text)) }
}

/// A text without the words of a credential. Of a scheme and its credential the last word is the secret one.
fn without(text: &str, authorization: Option<&Secret>) -> String {
    let secret = authorization.and_then(|authorization| authorization.expose().split_whitespace().next_back());
    secret.map_or_else(|| text.to_owned(), |secret| text.replace(secret, "***"))
}

fn shorten(text: &str) -> String {
    let end = text.floor_char_boundary(limits::ERROR_DESCRIPTION_BYTES);
    text[..end].chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or a date; `None` when it is neither.
fn wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or_default());
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(784_111_777_000);

    fn answered(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        let reply = Reply::Answered { status, retry_after: retry_after.map(str::to_owned), body: Some(body.as_bytes().to_vec()) };
        judge(&reply, None, NOW)
    }

    fn class(status: u16, body: &str) -> Class {
        answered(status, None, body).class
    }

    /// 8935-2.2-01 8935-2-03 8935-4-01
    #[test]
    fn each_status_has_its_policy() {
        for (class_of, statuses) in [
            (Class::Accepted, &[202][..]),
            (Class::Nonconformant, &[200, 201, 203, 204, 206, 299]),
            (Class::Redirected, &[300, 301, 302, 303, 304, 307, 308]),
            (Class::Unauthorized, &[401, 403, 407]),
            (Class::Misplaced, &[404, 405, 410, 413, 415]),
            (Class::Failing, &[408, 421, 425, 500, 501, 502, 503, 504, 507, 599, 999]),
            (Class::Held, &[429]),
            (Class::Refused, &[400, 402, 409, 418, 422, 451]),
        ] {
            for status in statuses {
                assert_eq!(class(*status, ""), class_of, "{status}");
            }
        }
    }

    /// I6
    #[test]
    fn what_a_receiver_repeats_of_its_credential_is_not_kept() {
        let credential = Secret::new("Bearer hunter2-hunter2");
        let answer = |body: &str| {
            let reply = Reply::Answered { status: 400, retry_after: None, body: Some(body.as_bytes().to_vec()) };
            let answer = judge(&reply, Some(&credential), NOW);
            (answer.error, answer.description)
        };
        let echo = r#"{"err": "invalid_request", "description": "authorization: Bearer hunter2-hunter2\r\nhost: x"}"#;
        assert_eq!(answer(echo), ("invalid_request".into(), Some("authorization: Bearer ***  host: x".into())));
        assert_eq!(answer(r#"{"err": "hunter2-hunter2"}"#), ("http_400".into(), None));
        // Nor a part of it, where the text is cut.
        let long = format!("{}hunter2-hunter2", "x".repeat(limits::ERROR_DESCRIPTION_BYTES - 8));
        let (_, description) = answer(&serde_json::json!({"err": "e", "description": long}).to_string());
        assert!(!description.expect("a text").contains("hunter2"));
    }

    /// 8935-2.4-01 8935-4-03 8935-4-05
    #[test]
    fn each_error_code_has_its_policy() {
        for (code, expected) in [
            ("invalid_request", Class::Refused),
            ("invalid_key", Class::InvalidKey),
            ("invalid_issuer", Class::Refused),
            ("invalid_audience", Class::Refused),
            ("authentication_failed", Class::Unauthorized),
            ("access_denied", Class::Unauthorized),
            ("Invalid_Key", Class::Refused),
            ("ACCESS_DENIED", Class::Refused),
            ("jwtParse", Class::Refused),
        ] {
            let answer = answered(400, None, &format!(r#"{{"err":"{code}","description":"so\nsays"}}"#));
            let description = Some("so says".to_owned());
            let whole = Answer { class: expected, status: Some(400), error: code.into(), description, wait: None };
            assert_eq!(answer, whole, "{code}");
        }
    }

    /// 8935-2.3-01
    #[test]
    fn an_error_that_says_nothing_sensible_is_the_sets() {
        for body in ["", "{", "[]", "null", "{}", r#"{"err":7}"#, r#"{"err":""}"#, r#"{"err":"a b"}"#, "<html>"] {
            let answer = answered(400, None, body);
            let whole =
                Answer { class: Class::Refused, status: Some(400), error: "http_400".into(), description: None, wait: None };
            assert_eq!(answer, whole, "{body}");
        }
        let long = format!(r#"{{"err":"{}","description":"{}"}}"#, "e".repeat(65), "ü".repeat(500));
        let answer = answered(400, None, &long);
        assert_eq!((answer.error.as_str(), answer.description.map(|text| text.len())), ("http_400", Some(512)));
    }

    /// 8935-4-02
    #[test]
    fn what_broke_off_is_sent_again() {
        let cut = |status| judge(&Reply::Answered { status, retry_after: None, body: None }, None, NOW).class;
        assert_eq!(cut(202), Class::Accepted);
        assert_eq!(cut(200), Class::Nonconformant);
        assert_eq!(cut(400), Class::Unreachable);
        assert_eq!(cut(500), Class::Failing);
        assert_eq!(cut(404), Class::Misplaced);
        for (failure, expected) in [
            (Failure::Address, (Class::Forbidden, "address")),
            (Failure::Connect, (Class::Unreachable, "connect")),
            (Failure::Tls, (Class::Unreachable, "tls")),
            (Failure::Timeout, (Class::Unreachable, "timeout")),
            (Failure::Cut, (Class::Unreachable, "reset")),
            (Failure::Request, (Class::Unsendable, "request")),
        ] {
            let answer = judge(&Reply::Failed(failure), None, NOW);
            assert_eq!((answer.class, answer.error.as_str(), answer.status), (expected.0, expected.1, None));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (text, expected) in [
            ("120", seconds(120)),
            (" 0 ", seconds(0)),
            ("99999999999999999999999", seconds(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", seconds(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", seconds(60)),
            ("Sun Nov  6 08:50:37 1994", seconds(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", seconds(0)),
            ("soon", None),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("1994-11-06T08:50:37Z", None),
        ] {
            for status in [429, 503] {
                let answer = answered(status, Some(text), "");
                assert_eq!((answer.class, answer.wait), (Class::Held, expected), "{status} {text}");
            }
        }
        assert_eq!(answered(500, Some("120"), "").wait, None);
        assert_eq!(answered(503, None, "").class, Class::Failing);
    }

    proptest! {
        #[test]
        fn no_answer_is_without_a_policy(status in 100u16..1000, retry_after: Option<String>, body: Option<Vec<u8>>) {
            let answer = judge(&Reply::Answered { status, retry_after, body }, None, NOW);
            prop_assert!(!answer.error.is_empty() && answer.error.len() <= limits::ERROR_CODE_BYTES);
            prop_assert_eq!(answer.class == Class::Accepted, status == 202);
        }
    }
}
