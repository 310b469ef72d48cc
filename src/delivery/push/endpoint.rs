//! Where SETs may be sent to.

use super::address::is_public;
use crate::delivery::stream::Origin;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr};
use url::{Host, Url};

/// What the operator decided about pushing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Networks that streams made by request may be sent to although they are not public, on any port.
    pub allow: Vec<IpNet>,
    /// Ports that streams made by request may be sent to, beside 443 and 8443.
    pub ports: Vec<u16>,
    /// Whether an endpoint has to be `https`; `None`: unless it is a loopback address.
    pub require_tls: Option<bool>,
    /// Certificates of authorities beside the system's, PEM.
    pub authorities: Option<Vec<u8>>,
}

/// The ports that every stream may be sent to.
const PORTS: [u16; 2] = [443, 8443];

/// Why nothing may be sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no absolute URL of `https` or `http` with a host.
    #[error("it has to be an absolute https URL")]
    NoUrl,
    /// It holds a user name or a password.
    #[error("it may not hold a user name or a password")]
    UserInfo,
    /// It has a fragment.
    #[error("it may not have a fragment")]
    Fragment,
    /// It is `http`, and that is not allowed.
    #[error("it has to be https")]
    Tls,
    /// Its port or its address is not one that streams made by request may be sent to.
    #[error("its host or its port is not one that this server sends to")]
    Address,
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// Any: the operator named the endpoint.
    Any,
    /// Public ones, and those of the networks that the operator allowed.
    PublicOrAllowed,
    /// Those of the networks that the operator allowed: the port is none that all are sent to.
    Allowed,
}

/// A receiver's endpoint that has been checked, but for the addresses of its name: those are checked at each connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) url: Url,
    pub(super) reach: Reach,
}

impl Reach {
    /// Whether an address is among them.
    pub(super) fn includes(self, address: IpAddr, allow: &[IpNet]) -> bool {
        let address = address.to_canonical();
        let is_allowed = || allow.iter().any(|network| network.contains(&address));
        match self {
            Self::Any => true,
            Self::PublicOrAllowed => is_public(address) || is_allowed(),
            Self::Allowed => is_allowed(),
        }
    }
}

impl Endpoint {
    /// Checks an endpoint: a stream of the configuration is the operator's word, one made by request may reach only what is public
    /// or allowed.
    pub fn check(text: &str, origin: Origin, settings: &Settings) -> Result<Self, Refusal> {
        let url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return Err(Refusal::NoUrl) };
        if !["https", "http"].contains(&url.scheme()) {
            return Err(Refusal::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        let (is_clear, is_near) = (url.scheme() == "http", is_loopback(&host));
        if is_clear && settings.require_tls.unwrap_or(!is_near) {
            return Err(Refusal::Tls);
        }
        let reach = match origin {
            Origin::Configuration => Reach::Any,
            // In clear it goes to the networks that the operator has named, and never through others.
            _ if is_clear && !is_near && settings.allow.is_empty() => return Err(Refusal::Tls),
            _ if !is_clear && (PORTS.contains(&port) || settings.ports.contains(&port)) => Reach::PublicOrAllowed,
            // Where nothing is allowed the port alone decides.
            _ if settings.allow.is_empty() => return Err(Refusal::Address),
            _ => Reach::Allowed,
        };
        if address_of(&host).is_some_and(|address| !reach.includes(address, &settings.allow)) {
            metrics::counter!("carillon_addresses_refused_total").increment(1);
            return Err(Refusal::Address);
        }
        Ok(Self { url, reach })
    }

    /// The host and port: what a breaker is shared by.
    pub(super) fn authority(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or_default())
    }
}

/// The address that stands in a URL.
fn address_of(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
        other => address_of(other).unwrap_or(Ipv4Addr::UNSPECIFIED.into()).to_canonical().is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, origin: Origin, settings: &Settings) -> Result<Reach, Refusal> {
        Endpoint::check(text, origin, settings).map(|endpoint| endpoint.reach)
    }

    #[test]
    fn an_endpoint_made_by_request_is_public_and_https() {
        let settings = Settings::default();
        for (text, expected) in [
            ("https://receiver.example/events", Ok(Reach::PublicOrAllowed)),
            ("https://receiver.example:8443/", Ok(Reach::PublicOrAllowed)),
            ("https://1.1.1.1/", Ok(Reach::PublicOrAllowed)),
            ("https://receiver.example:444/", Err(Refusal::Address)),
            ("http://receiver.example/", Err(Refusal::Tls)),
            ("http://127.0.0.1/", Err(Refusal::Address)),
            ("https://127.1/", Err(Refusal::Address)),
            ("https://0x7f000001/", Err(Refusal::Address)),
            ("https://2130706433/", Err(Refusal::Address)),
            ("https://[::ffff:10.0.0.1]/", Err(Refusal::Address)),
            ("https://[64:ff9b::a9fe:a9fe]/", Err(Refusal::Address)),
            ("https://169.254.169.254/latest/meta-data", Err(Refusal::Address)),
            ("https://user@receiver.example/", Err(Refusal::UserInfo)),
            ("https://:secret@receiver.example/", Err(Refusal::UserInfo)),
            ("https://receiver.example/#part", Err(Refusal::Fragment)),
            ("ftp://receiver.example/", Err(Refusal::NoUrl)),
            ("file:///etc/passwd", Err(Refusal::NoUrl)),
            ("/relative", Err(Refusal::NoUrl)),
            ("", Err(Refusal::NoUrl)),
        ] {
            assert_eq!(check(text, Origin::Request, &settings), expected, "{text}");
        }
        // Who may do without TLS may do so within the networks that are named, not on the way to the public.
        let mut settings = Settings { require_tls: Some(false), ..settings };
        assert_eq!(check("http://receiver.example:8443/", Origin::Request, &settings), Err(Refusal::Tls));
        settings.allow = vec!["10.0.0.0/8".parse().expect("a network")];
        assert_eq!(check("http://receiver.example:8443/", Origin::Request, &settings), Ok(Reach::Allowed));
        assert_eq!(check("http://1.1.1.1:8443/", Origin::Request, &settings), Err(Refusal::Address));
    }

    #[test]
    fn what_the_operator_allows_may_be_sent_to_on_any_port() {
        let allow = vec!["10.0.0.0/8".parse().expect("a network"), "::1/128".parse().expect("a network")];
        let settings = Settings { allow, ports: vec![9443], ..Settings::default() };
        for (text, expected) in [
            ("https://10.1.2.3/", Ok(Reach::PublicOrAllowed)),
            ("https://10.1.2.3:7000/", Ok(Reach::Allowed)),
            ("https://[::ffff:10.1.2.3]:7000/", Ok(Reach::Allowed)),
            ("https://receiver.example:7000/", Ok(Reach::Allowed)),
            ("https://receiver.example:9443/", Ok(Reach::PublicOrAllowed)),
            ("http://[::1]:7000/", Ok(Reach::Allowed)),
            ("https://1.1.1.1:7000/", Err(Refusal::Address)),
            ("https://11.1.2.3:7000/", Err(Refusal::Address)),
            ("https://192.168.0.1/", Err(Refusal::Address)),
        ] {
            assert_eq!(check(text, Origin::Request, &settings), expected, "{text}");
        }
    }

    #[test]
    fn the_configuration_names_any_host_and_tls_is_a_rule_of_its_own() {
        let rule = |require_tls| Settings { require_tls, ..Settings::default() };
        for (text, require_tls, expected) in [
            ("https://10.0.0.1:7000/", None, Ok(Reach::Any)),
            ("http://127.0.0.1:7000/", None, Ok(Reach::Any)),
            ("http://localhost:7000/", None, Ok(Reach::Any)),
            ("http://[::1]:7000/", None, Ok(Reach::Any)),
            ("http://10.0.0.1/", None, Err(Refusal::Tls)),
            ("http://localhost.example/", None, Err(Refusal::Tls)),
            ("http://10.0.0.1/", Some(false), Ok(Reach::Any)),
            ("http://127.0.0.1/", Some(true), Err(Refusal::Tls)),
        ] {
            assert_eq!(check(text, Origin::Configuration, &rule(require_tls)), expected, "{text}");
        }
    }
}
