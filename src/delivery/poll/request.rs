//! What a receiver asks of a poll (RFC 8936 §2.2).

use crate::base::limits;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use serde_json::Value;

/// A poll. The default is that of `{}`: everything there is, as soon as there is something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PollRequest {
    /// The `jti`s of SETs that were received.
    pub acks: Vec<String>,
    /// The SETs that the receiver cannot take.
    pub errors: Vec<SetError>,
    /// Most SETs that it wants; `None` is as many as the server gives.
    pub max_events: Option<usize>,
    /// Whether it does not wait for events.
    pub return_immediately: bool,
}

/// A SET that a receiver cannot take, and why (RFC 8936 §2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetError {
    /// Which SET.
    pub jti: String,
    /// The code, one of RFC 8935 §2.4 or any other word, shortened to [`limits::SET_ERROR_BYTES`].
    pub error: String,
    /// For people, shortened to [`limits::SET_ERROR_DESCRIPTION_BYTES`].
    pub description: Option<String>,
}

impl PollRequest {
    /// Reads a request. A member of the wrong type is refused by its name; one that is `null` is not there; one that RFC 8936 does not
    /// know is ignored.
    pub fn parse(body: &Value) -> Result<Self> {
        let Value::Object(members) = body else {
            return Err(Error::invalid_syntax("The body of a poll must be a JSON object, such as {}."));
        };
        let member = |name| members.get(name).filter(|value| !value.is_null());
        let request = Self {
            acks: member("ack").map(acks).transpose()?.unwrap_or_default(),
            errors: member("setErrs").map(errors).transpose()?.unwrap_or_default(),
            max_events: member("maxEvents").map(max_events).transpose()?,
            return_immediately: member("returnImmediately").map(flag).transpose()?.unwrap_or(false),
        };
        if request.acks.len() + request.errors.len() > limits::POLL_ACKNOWLEDGEMENTS {
            let detail = format!("'ack' and 'setErrs' may name {} SETs together, and no more.", limits::POLL_ACKNOWLEDGEMENTS);
            return Err(Error::new(ErrorKind::TooLarge, detail));
        }
        Ok(request)
    }

    /// Whether there is nothing to acknowledge.
    pub(super) fn only_asks(&self) -> bool {
        self.acks.is_empty() && self.errors.is_empty()
    }

    /// Most SETs of its answer.
    pub(super) fn limit(&self) -> usize {
        self.max_events.unwrap_or(usize::MAX).min(limits::POLL_EVENTS)
    }
}

fn acks(value: &Value) -> Result<Vec<String>> {
    let wrong = || Error::invalid_value("'ack' must be an array of strings: the jti of each SET that was received.");
    let jti = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    value.as_array().ok_or_else(wrong)?.iter().map(jti).collect()
}

fn errors(value: &Value) -> Result<Vec<SetError>> {
    let wrong = || {
        Error::invalid_value("'setErrs' must be an object: its names are jtis, its values objects with 'err' and 'description'.")
    };
    value.as_object().ok_or_else(wrong)?.iter().map(|(jti, value)| error(jti, value)).collect()
}

fn error(jti: &str, value: &Value) -> Result<SetError> {
    let at = |member: &str| format!("'setErrs.{}{member}'", shorten(jti));
    let Value::Object(members) = value else {
        return Err(Error::invalid_value(format!("{} must be an object with 'err' and 'description'.", at(""))));
    };
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid_value(format!("{} must be a string.", at(&format!(".{name}"))))),
    };
    let Some(code) = text("err")?.filter(|code| !code.is_empty()) else {
        return Err(Error::invalid_value(format!("{} must be a string that is not empty.", at(".err"))));
    };
    let description = text("description")?.map(|text| cut(text, limits::SET_ERROR_DESCRIPTION_BYTES));
    Ok(SetError { jti: jti.to_owned(), error: cut(code, limits::SET_ERROR_BYTES), description })
}

/// The beginning of a text, at most so many bytes.
fn cut(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

fn max_events(value: &Value) -> Result<usize> {
    let wrong = || {
        Error::invalid_value(format!(
            "'maxEvents' must be a whole number that is not negative, not {}.",
            shorten(&value.to_string())
        ))
    };
    let number = value.as_number().ok_or_else(wrong)?;
    match number.as_u64() {
        Some(number) => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
        // More than any number of ours can hold, and whole: JSON has one kind of number, which `1e30` and `2.0` are of too.
        None => number.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0).map(whole).ok_or_else(wrong),
    }
}

/// Anything above the server's own bound is as good as the bound.
fn whole(number: f64) -> usize {
    (0..=limits::POLL_EVENTS).rev().find(|bound| u32::try_from(*bound).is_ok_and(|bound| f64::from(bound) <= number)).unwrap_or(0)
}

fn flag(value: &Value) -> Result<bool> {
    value.as_bool().ok_or_else(|| Error::invalid_value("'returnImmediately' must be true or false."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// 8936-2-01 8936-2.2-02 8936-2.6-01
    #[test]
    fn a_request_is_read_and_what_it_leaves_out_has_its_default() {
        assert_eq!(PollRequest::parse(&json!({})), Ok(PollRequest::default()));
        assert_eq!(PollRequest::parse(&json!({"ack": null, "maxEvents": null, "more": [1]})), Ok(PollRequest::default()));
        let read = PollRequest::parse(&json!({
            "ack": ["a", "b"], "setErrs": {"c": {"err": "invalid_key", "description": "ü".repeat(1000), "x": 1}, "d": {"err": "own"}},
            "maxEvents": 3, "returnImmediately": true,
        }));
        let errors = vec![
            SetError { jti: "c".into(), error: "invalid_key".into(), description: Some("ü".repeat(512)) },
            SetError { jti: "d".into(), error: "own".into(), description: None },
        ];
        let expected = PollRequest { acks: vec!["a".into(), "b".into()], errors, max_events: Some(3), return_immediately: true };
        assert_eq!(read, Ok(expected));
        for (number, limit) in
            [(json!(2.0), 2), (json!(1e30), limits::POLL_EVENTS), (json!(u64::MAX), limits::POLL_EVENTS), (json!(0), 0)]
        {
            assert_eq!(PollRequest::parse(&json!({"maxEvents": number})).map(|request| request.limit()), Ok(limit));
        }
    }

    /// 8936-2.2-01 8936-2.5.1-01
    #[test]
    fn what_is_refused_names_the_member() {
        for (body, detail) in [
            (json!({"ack": "a"}), "'ack' must be an array of strings: the jti of each SET that was received."),
            (json!({"ack": [1]}), "'ack' must be an array of strings: the jti of each SET that was received."),
            (
                json!({"setErrs": []}),
                "'setErrs' must be an object: its names are jtis, its values objects with 'err' and 'description'.",
            ),
            (json!({"setErrs": {"j": "x"}}), "'setErrs.j' must be an object with 'err' and 'description'."),
            (json!({"setErrs": {"j": {}}}), "'setErrs.j.err' must be a string that is not empty."),
            (json!({"setErrs": {"j": {"err": 1}}}), "'setErrs.j.err' must be a string."),
            (json!({"setErrs": {"j": {"err": "x", "description": 1}}}), "'setErrs.j.description' must be a string."),
            (json!({"maxEvents": -1}), "'maxEvents' must be a whole number that is not negative, not -1."),
            (json!({"maxEvents": 1.5}), "'maxEvents' must be a whole number that is not negative, not 1.5."),
            (json!({"maxEvents": "1"}), "'maxEvents' must be a whole number that is not negative, not \"1\"."),
            (json!({"returnImmediately": 1}), "'returnImmediately' must be true or false."),
        ] {
            assert_eq!(PollRequest::parse(&body), Err(Error::invalid_value(detail)), "{body}");
        }
        for body in [json!([]), json!(null), json!("x")] {
            assert_eq!(PollRequest::parse(&body).map_err(|error| error.kind), Err(ErrorKind::InvalidSyntax), "{body}");
        }
        let many = json!({"ack": vec!["a"; 1000], "setErrs": {"j": {"err": "x"}}});
        assert_eq!(PollRequest::parse(&many).map_err(|error| error.kind), Err(ErrorKind::TooLarge));
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((".{0,4}|err|description", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_body_does_more_than_be_refused(ack in json_value(), errors in json_value(), most in json_value(), flag in json_value()) {
            let body = json!({"ack": ack, "setErrs": errors, "maxEvents": most, "returnImmediately": flag});
            if let Ok(request) = PollRequest::parse(&body) {
                prop_assert!(request.limit() <= limits::POLL_EVENTS);
                prop_assert!(request.errors.iter().all(|error| !error.error.is_empty()));
            }
        }
    }
}
