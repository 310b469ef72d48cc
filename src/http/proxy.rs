//! What trusted proxies say of the address that a client used (RFC 7239, and the `X-Forwarded-*` headers before it).
//!
//! A proxy is believed when it is known: the peer of the connection first, then whom that peer says it was asked by, and so on. What
//! a header says beyond the first unknown address may be the client's own invention, so it is never looked at.

use super::directives::{Pairs, elements};
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What is said, each part checked so that it can stand in a URI as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `http` or `https`.
    pub(super) scheme: Option<&'static str>,
    /// Host and port.
    pub(super) authority: Option<String>,
    /// The port, where the authority has none.
    pub(super) port: Option<u16>,
    /// The path that the proxy took away, without a slash at its end.
    pub(super) prefix: Option<String>,
}

impl Said {
    /// The base of absolute URIs up to the base path. `host` is what the request itself says.
    pub(super) fn base(&self, host: &str) -> String {
        let scheme = self.scheme.unwrap_or("http");
        let authority = self.authority.as_deref().unwrap_or(host);
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = self.port.filter(|port| *port != usual && split_port(authority).1.is_none());
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{scheme}://{authority}{port}{}", self.prefix.as_deref().unwrap_or_default())
    }
}

/// What the proxies between the client and this server say; nothing when the connection's peer is none that is trusted. A header that
/// cannot be read says nothing.
pub(super) fn said(parts: &Parts, trusted: &[IpNet]) -> Said {
    match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        Some(ConnectInfo(peer)) if contains(trusted, peer.ip()) => read(&parts.headers, trusted),
        _ => Said::default(),
    }
}

/// The standard's header wins over those before it: a proxy that writes one of them is to take the other away.
fn read(headers: &HeaderMap, trusted: &[IpNet]) -> Said {
    if headers.contains_key(header::FORWARDED) {
        return of_forwarded(headers, trusted).unwrap_or_default();
    }
    // Each proxy adds who asked it at the end of the list.
    let asked_by = list(headers, "x-forwarded-for");
    let known = asked_by.iter().rev().take_while(|node| is_trusted(trusted, node)).count();
    let hops = (known + 1).min(asked_by.len().max(1));
    let value = |name| {
        let values = list(headers, name);
        values.get(values.len().checked_sub(hops.min(values.len().max(1)))?).copied()
    };
    Said {
        scheme: value("x-forwarded-proto").and_then(scheme),
        authority: value("x-forwarded-host").and_then(authority),
        port: value("x-forwarded-port").and_then(port),
        prefix: value("x-forwarded-prefix").and_then(path_prefix),
    }
}

/// RFC 7239 §4: each proxy adds an element at the end, with who asked it and what it was asked. `None` when it cannot be read.
fn of_forwarded(headers: &HeaderMap, trusted: &[IpNet]) -> Option<Said> {
    let mut chain: Vec<Pairs<'_>> = Vec::new();
    for line in headers.get_all(header::FORWARDED) {
        for element in elements(line.to_str().ok()?) {
            chain.push(element?);
        }
    }
    let named = |pairs: &'_ Pairs<'_>, wanted: &str| {
        pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_ref().to_owned())
    };
    let is_known = |pairs: &Pairs<'_>| named(pairs, "for").is_some_and(|node| is_trusted(trusted, &node));
    // The element before that of a known proxy is the work of a known proxy too.
    let known = chain.iter().skip(1).rev().take_while(|pairs| is_known(pairs)).count();
    let believed = &chain[chain.len().checked_sub(known + 1)?..];
    let first = |wanted| believed.iter().find_map(|pairs| named(pairs, wanted));
    let scheme = first("proto").and_then(|text| scheme(&text));
    Some(Said { scheme, authority: first("host").and_then(|text| authority(&text)), ..Said::default() })
}

/// The elements of every line of a header. One that is no text is none at all.
fn list<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty()).collect()
}

/// An IPv4 address that came through an IPv6 socket is the IPv4 address.
fn contains(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

fn is_trusted(trusted: &[IpNet], node: &str) -> bool {
    node_address(node).is_some_and(|address| contains(trusted, address))
}

/// `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711` (RFC 7239 §6), and as `X-Forwarded-For` has it `2001:db8::1`.
fn node_address(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::from);
    let with_port = || node.parse::<SocketAddr>().ok().map(|address| address.ip());
    node.parse().ok().or_else(bracketed).or_else(with_port)
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|known| known.eq_ignore_ascii_case(text))
}

fn port(text: &str) -> Option<u16> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok().filter(|port| *port != 0) } else { None }
}

fn authority(text: &str) -> Option<String> {
    is_authority(text).then(|| text.to_owned())
}

/// A name, an IPv4 address or an IPv6 address in brackets, and a port if need be: nothing that could end an authority.
pub(super) fn is_authority(text: &str) -> bool {
    let (host, number) = split_port(text);
    let is_name = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    let is_address = |host: &str| {
        let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inside.is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok())
    };
    (is_name(host) || is_address(host)) && number.is_none_or(|number| port(number).is_some())
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let from = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[from..].find(':') {
        Some(colon) => (&authority[..from + colon], Some(&authority[from + colon + 1..])),
        None => (authority, None),
    }
}

/// A path such as `/scim/v2`, without the slash at its end: unreserved characters alone, so that it stands in a URI as it is.
pub fn path_prefix(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    let is_segment = |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed);
    let is_path = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
    (text.starts_with('/') && is_path).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue, Request};

    /// The base that a request from a peer comes to, with `10.0.0.0/8` and `fd00::/8` trusted.
    fn base(peer: &str, lines: &[(&str, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().expect("a network"));
        let (mut parts, ()) = Request::new(()).into_parts();
        for (name, value) in lines {
            let name: HeaderName = name.parse().expect("a name");
            parts.headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let peer: IpAddr = peer.parse().expect("an address");
        parts.extensions.insert(ConnectInfo(SocketAddr::from((peer, 4711))));
        said(&parts, &trusted).base("inner:8000")
    }

    const PLAIN: &str = "http://inner:8000";

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let lines = [("forwarded", "host=scim.example.com;proto=https")];
        for peer in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            assert_eq!(base(peer, &lines), "https://scim.example.com", "{peer}");
        }
        for peer in ["192.0.2.1", "11.0.0.1", "2001:db8::1", "::1"] {
            assert_eq!(base(peer, &lines), PLAIN, "{peer}");
        }
        let (parts, ()) = Request::new(()).into_parts();
        assert_eq!(said(&parts, &["0.0.0.0/0".parse().expect("a network")]), Said::default(), "a peer that is not known");
    }

    #[test]
    fn forwarded_is_read_with_its_quotes() {
        for (value, expected) in [
            ("Host=\"scim.example.com:8443\";Proto=HTTPS;for=192.0.2.60", "https://scim.example.com:8443"),
            ("host=\"[2001:db8::1]:8443\" ; proto=\"https\"", "https://[2001:db8::1]:8443"),
            ("host=scim.example.com:8443", "http://scim.example.com:8443"),
            ("proto=https", "https://inner:8000"),
            ("for=192.0.2.1", PLAIN),
        ] {
            assert_eq!(base("10.0.0.1", &[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn a_chain_is_believed_as_far_as_it_is_known() {
        let edge = "for=192.0.2.9;host=scim.example.com;proto=https";
        for (lines, expected) in [
            // The edge proxy at 10.0.0.2 was asked by the client, the inner one by it.
            (vec![edge, "for=10.0.0.2;host=edge.internal;proto=http"], "https://scim.example.com"),
            (vec!["host=evil.example;proto=http;for=10.0.0.7", edge, "for=\"[fd00::2]:99\""], "https://scim.example.com"),
            // Who asked the peer is not known: what stands before is the client's.
            (vec!["host=evil.example", "for=192.0.2.9;host=scim.example.com"], "http://scim.example.com"),
            (vec!["host=evil.example", "for=unknown;proto=https"], "https://inner:8000"),
            (vec!["host=evil.example", "for=_hidden"], PLAIN),
            (vec!["host=evil.example", "proto=https"], "https://inner:8000"),
            // A known proxy that says only who asked it leaves the rest to the next.
            (vec!["for=192.0.2.9", "for=10.0.0.2;host=scim.example.com;proto=https"], "https://scim.example.com"),
        ] {
            let several: Vec<(&str, &str)> = lines.iter().map(|line| ("forwarded", *line)).collect();
            assert_eq!(base("10.0.0.1", &several), expected, "{lines:?}");
            assert_eq!(base("10.0.0.1", &[("forwarded", &lines.join(", "))]), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_older_headers_are_read() {
        for (lines, expected) in [
            (&[("x-forwarded-proto", "https"), ("x-forwarded-host", "scim.example.com")][..], "https://scim.example.com"),
            (&[("x-forwarded-proto", "https"), ("x-forwarded-port", "443")], "https://inner:8000"),
            (
                &[("x-forwarded-proto", "https"), ("x-forwarded-host", "scim.example.com"), ("x-forwarded-port", "8443")],
                "https://scim.example.com:8443",
            ),
            (&[("x-forwarded-host", "h:1"), ("x-forwarded-port", "2")], "http://h:1"),
            (&[("x-forwarded-host", "[2001:db8::1]"), ("x-forwarded-port", "2")], "http://[2001:db8::1]:2"),
            (&[("x-forwarded-host", "h"), ("x-forwarded-prefix", "/identity/")], "http://h/identity"),
            (&[("x-forwarded-host", "evil.example, h"), ("x-forwarded-for", "192.0.2.1")], "http://h"),
            (&[("x-forwarded-host", "evil.example, h, edge"), ("x-forwarded-for", "192.0.2.1, 10.0.0.2")], "http://h"),
            (&[("x-forwarded-host", "h, edge"), ("x-forwarded-for", "10.0.0.9, 10.0.0.2")], "http://h"),
            (&[("x-forwarded-host", "h"), ("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "10.0.0.2")], "http://h"),
            (&[("x-forwarded-host", "old.example"), ("forwarded", "host=new.example")], "http://new.example"),
        ] {
            assert_eq!(base("10.0.0.1", lines), expected, "{lines:?}");
            assert_eq!(base("192.0.2.1", lines), PLAIN, "{lines:?}");
        }
    }

    #[test]
    fn garbage_gets_into_no_address() {
        for value in [
            "evil.example/x",
            "a b",
            "user@host",
            "a\"b",
            "h?x",
            "h#x",
            "h:x",
            "h:1:2",
            "h:99999",
            "h:0",
            "[::1",
            "[x]",
            "",
            ":1",
            "h%2f",
            "a,b/c",
        ] {
            assert_eq!(base("10.0.0.1", &[("x-forwarded-host", value)]), PLAIN, "{value}");
            let quoted = format!("host=\"{}\"", value.replace('"', "\\\""));
            assert_eq!(base("10.0.0.1", &[("forwarded", &quoted)]), PLAIN, "{value}");
        }
        for value in ["host=\"h", "host=h;;=", "host=h, for=\"", "host h", ",,,"] {
            assert_eq!(base("10.0.0.1", &[("forwarded", value)]), PLAIN, "{value}");
        }
        for (name, value) in [
            ("x-forwarded-proto", "javascript"),
            ("x-forwarded-port", "80/x"),
            ("x-forwarded-port", "+81"),
            ("x-forwarded-port", "0"),
            ("x-forwarded-port", "65536"),
            ("x-forwarded-prefix", "//evil.example"),
            ("x-forwarded-prefix", "/../x"),
            ("x-forwarded-prefix", "x"),
            ("x-forwarded-for", "\"';"),
        ] {
            assert_eq!(base("10.0.0.1", &[(name, value)]), PLAIN, "{name} {value}");
        }
    }
}
