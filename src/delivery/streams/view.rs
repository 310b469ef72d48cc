//! A stream as its receiver sees it: the names of SSF's stream configuration (SSF §8.1.1), and ours. No secret is in it.

use super::definition::{POLL, PUSH};
use crate::delivery::Delivery;
use crate::delivery::stream::{Method, Origin, Stream};
use crate::event::{Kind, Mode};
use crate::scim::Object;
use serde_json::{Value, json};

impl Delivery {
    /// A stream as its receiver sees it. `base` is that of absolute URIs, without a slash at its end.
    pub fn represent(&self, stream: &Stream, base: &str) -> Object {
        let mode = stream.mode.unwrap_or(self.settings.mode);
        let mut shown = supplied(stream);
        let mut set = |name: &str, value: Value| {
            shown.insert(name.into(), value);
        };
        set("stream_id", stream.id.as_str().into());
        set("iss", self.identity().issuer.into());
        set("aud", self.renderer.audience(stream).into());
        set("events_supported", supported(mode).into());
        set("events_delivered", self.delivered(stream).into());
        set("mode", json!(mode));
        set("format", json!(stream.format.unwrap_or(self.settings.format)));
        set("alg", stream.algorithm.unwrap_or(self.settings.algorithm).name().into());
        set("status", json!(stream.status));
        set("owner", stream.owner.as_str().into());
        set("origin", json!(stream.origin));
        set("verified", stream.verification.is_none().into());
        if let Some(reason) = &stream.reason {
            set("reason", reason.as_str().into());
        }
        if let Some(gap) = &stream.gap {
            let at = crate::base::clock::Timestamp(gap.at).to_string();
            set("gap", json!({"places": gap.places, "at": at}));
        }
        match &stream.method {
            Method::Push(push) => shown["delivery"]["authorization_header_set"] = push.authorization.is_some().into(),
            Method::Poll => shown["delivery"]["endpoint_url"] = poll_url(stream, base).into(),
        }
        shown
    }

    /// What of a stream's events is delivered: what is supported and was asked for (SSF-8.1.1-02).
    fn delivered(&self, stream: &Stream) -> Vec<&'static str> {
        let mode = stream.mode.unwrap_or(self.settings.mode);
        let is_asked_for = |uri: &&str| stream.events_requested.as_ref().is_none_or(|asked| asked.iter().any(|asked| asked == uri));
        supported(mode).into_iter().filter(is_asked_for).collect()
    }
}

/// The event URIs that a stream of a mode can hold. A full event that is too large, or hides all its data, is a notice.
fn supported(mode: Mode) -> Vec<&'static str> {
    let forms = |kind: Kind| match mode {
        Mode::Full if kind.has_modes() => vec![kind.uri(Mode::Full), kind.uri(Mode::Notice)],
        mode => vec![kind.uri(mode)],
    };
    Kind::ALL.into_iter().flat_map(forms).collect()
}

/// Where a stream is polled.
pub(super) fn poll_url(stream: &Stream, base: &str) -> String {
    match (stream.origin, stream.feeds.first()) {
        (Origin::Feed, Some(feed)) => format!("{base}/Events/Feeds/{feed}/Stream"),
        _ => format!("{base}/Events/Streams/{}/Poll", stream.id),
    }
}

/// What its receiver has said of a stream, as it could say it again; without the secret.
pub(super) fn supplied(stream: &Stream) -> Object {
    let mut said = Object::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            said.insert(name.into(), value);
        }
    };
    set("description", stream.description.as_deref().map(Value::from));
    set("feeds", Some(json!(stream.feeds)));
    set("events_requested", stream.events_requested.as_ref().map(|events| json!(events)));
    set("resource_types", stream.resource_types.as_ref().map(|types| json!(types)));
    set("mode", stream.mode.map(|mode| json!(mode)));
    set("attributes", (!stream.attributes.is_open()).then(|| json!(stream.attributes)));
    set("format", stream.format.map(|format| json!(format)));
    set("alg", stream.algorithm.map(|algorithm| algorithm.name().into()));
    match &stream.method {
        Method::Push(push) => {
            set("delivery", Some(json!({"method": PUSH, "endpoint_url": push.endpoint})));
            set("lanes", Some(push.lanes.into()));
        }
        Method::Poll => set("delivery", Some(json!({"method": POLL}))),
    }
    said
}
