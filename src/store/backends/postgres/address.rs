//! The address of the database: what it may say, and how the way there is protected.

use super::open::refused;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::store::backends::Opening;
use crate::store::{self, StoreError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, Error as TlsError};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;
use std::str::FromStr;
use url::Url;

const OPERATION: &str = "read the database's address";

/// What the parameters of an address may be. Others, which a driver for another language may know, are left out.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Those of them that say how the way to the database is protected.
const MODE: &[&str] = &["sslmode", "ssl-mode"];
const MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Those that name a file with certificates of authorities.
const AUTHORITIES: &[&str] = &["sslrootcert", "ssl-root-cert", "ssl-ca"];
/// Those that name a file with what this program shows of itself.
const OWN_FILES: &[&str] = &["sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// What [`Descriptor::examine`](crate::store::backends::Descriptor) says of an address of this kind.
pub(super) fn examine(address: &Secret) -> Result<Vec<String>, Vec<String>> {
    read(address).map(|(_, warnings)| warnings)
}

/// How the database is reached.
pub(super) fn options(opening: &Opening) -> store::Result<PgConnectOptions> {
    let address = opening.database_url.as_ref().ok_or_else(|| refused(OPERATION, "DATABASE_URL is not set"))?;
    let (options, warnings) = read(address).map_err(|problems| refused(OPERATION, problems.join("; ")))?;
    for warning in warnings {
        tracing::warn!("DATABASE_URL: {warning}");
    }
    Ok(options.statement_cache_capacity(limits::PREPARED_STATEMENTS).disable_statement_logging())
}

/// What an address says, and what may be regretted about it; or all that is in the way. Neither shows the address.
fn read(address: &Secret) -> Result<(PgConnectOptions, Vec<String>), Vec<String>> {
    let mut url = Url::parse(address.expose()).map_err(|error| vec![error.to_string()])?;
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    let (known, unknown): (Vec<_>, Vec<_>) = url.query_pairs().into_owned().partition(|(name, _)| is_known(name));
    // What looks like no name may be what is behind the ? of a password that should have been encoded.
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if unknown.iter().any(|(name, _)| !is_name(name)) {
        return Err(vec!["its parameters: expected names of letters, digits, _ and -; a ? in a password is written %3F".into()]);
    }
    let mut warnings: Vec<String> =
        unknown.into_iter().map(|(parameter, _)| format!("the parameter {parameter:?} has no effect")).collect();
    let problems: Vec<String> = known.iter().filter_map(|(parameter, value)| check(parameter, value).err()).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let has_authorities = known.iter().any(|(name, _)| AUTHORITIES.contains(&&**name));
    url.set_query(None);
    if !known.is_empty() {
        url.query_pairs_mut().extend_pairs(known);
    }
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|error| vec![error.to_string()])?;
    let options = if options.get_application_name().is_none() { options.application_name("carillon") } else { options };
    let host = options.get_host();
    // A certificate says an address without the brackets that a URL needs.
    let options = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).map(str::to_owned) {
        Some(host) => options.host(&host),
        None => options,
    };
    let options = protected(options, has_authorities);
    let danger = danger(&options)
        .map(|danger| format!("{danger}; sslmode=verify-full protects it, with sslrootcert where the authority is your own"));
    warnings.extend(danger);
    Ok((options, warnings))
}

/// The modes as PostgreSQL's own library reads them, where the driver's reading protects less.
fn protected(options: PgConnectOptions, has_authorities: bool) -> PgConnectOptions {
    match options.get_ssl_mode() {
        PgSslMode::Require if has_authorities => options.ssl_mode(PgSslMode::VerifyCa),
        // A server that wants TLS is reached, with any mode but `disable`.
        PgSslMode::Allow => options.ssl_mode(PgSslMode::Prefer),
        _ => options,
    }
}

/// What is wrong with a parameter. Certificates that are not there would be found missing at every try to connect, and a file without
/// any would count for nothing.
fn check(parameter: &str, value: &str) -> Result<(), String> {
    if MODE.contains(&parameter) {
        let is_known = MODES.contains(&&*value.to_ascii_lowercase());
        let problem = "sslmode: expected disable, allow, prefer, require, verify-ca or verify-full";
        return if is_known { Ok(()) } else { Err(problem.into()) };
    }
    let has_authorities = AUTHORITIES.contains(&parameter);
    if !has_authorities && !OWN_FILES.contains(&parameter) {
        return Ok(());
    }
    let text = std::fs::read(value).map_err(|error| format!("{parameter}: expected a file that can be read: {error}"))?;
    let mut certificates = CertificateDer::pem_slice_iter(&text).peekable();
    if has_authorities && (certificates.peek().is_none() || certificates.any(|certificate| certificate.is_err())) {
        return Err(format!("{parameter}: expected a file of certificates in PEM"));
    }
    Ok(())
}

/// Whether the server is reached through a file of this machine.
pub(super) fn is_socket(options: &PgConnectOptions) -> bool {
    options.get_socket().is_some() || options.get_host().starts_with('/')
}

/// What may happen on the way to the database, if that leads out of this machine.
fn danger(options: &PgConnectOptions) -> Option<&'static str> {
    let host = options.get_host();
    let is_loopback = host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback || is_socket(options) {
        return None;
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => None,
        // The driver trusts the public authorities beside those that it is told of.
        PgSslMode::VerifyCa => Some(
            "whoever has a certificate, of any name, from a public authority or from that of sslrootcert can pass for the database",
        ),
        PgSslMode::Require => Some("the way to the database is encrypted, but whoever is on it can pass for the database"),
        PgSslMode::Prefer | PgSslMode::Allow => {
            Some("whoever is on the way to the database can pass for it, or have everything sent in clear")
        }
        PgSslMode::Disable => Some("everything is sent to the database in clear"),
    }
}

/// A failure of TLS itself: no waiting mends it.
pub(super) fn of_tls(error: &sqlx::Error) -> Option<&TlsError> {
    match error {
        sqlx::Error::Io(failure) => failure.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    }
}

/// A failure to connect, with what the address has to do with it.
pub(super) fn explained(options: &PgConnectOptions, error: sqlx::Error, failed: impl Fn(sqlx::Error) -> StoreError) -> StoreError {
    // The server lets nobody in who comes like this (`invalid_authorization_specification`).
    const NOT_LET_IN: &str = "28000";
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let hint = match of_tls(&error) {
        // The signature is a bad one where two authorities have one name.
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            "the server's certificate is not from an authority that is known: sslrootcert names a file with the certificate of its authority"
        }
        Some(TlsError::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })) => {
            "the server's certificate is for another name than the host of the address"
        }
        None if code.as_deref() == Some(NOT_LET_IN) && matches!(options.get_ssl_mode(), PgSslMode::Disable) => {
            "sslmode=disable asks for no TLS, and the server may want it"
        }
        _ => return failed(error),
    };
    let told = format!("{hint} ({error})");
    let StoreError { kind, operation, .. } = failed(error);
    StoreError::because(kind, operation, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> PgConnectOptions {
        address.parse().expect("an address")
    }

    #[test]
    fn modes_are_at_least_as_strict_as_elsewhere() {
        let mode = |mode: &str, has_authorities| {
            format!("{:?}", protected(of(&format!("postgresql://db/x?sslmode={mode}")), has_authorities).get_ssl_mode())
        };
        let modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
        assert_eq!(modes.map(|name| mode(name, false)), ["Disable", "Prefer", "Prefer", "Require", "VerifyCa", "VerifyFull"]);
        assert_eq!(modes.map(|name| mode(name, true)), ["Disable", "Prefer", "Prefer", "VerifyCa", "VerifyCa", "VerifyFull"]);
    }

    #[test]
    fn a_way_that_stays_on_this_machine_is_no_danger() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "LOCALHOST", "%2Frun%2Fpostgresql"] {
            assert_eq!(danger(&of(&format!("postgresql://{host}/x?sslmode=disable"))), None, "{host}");
        }
        assert_eq!(danger(&of("postgresql:///x?host=/run/postgresql&sslmode=disable")), None);
        for (host, mode, is_danger) in [
            ("db.example", "verify-full", false),
            ("db.example", "verify-ca", true),
            ("192.0.2.1", "require", true),
            ("0.0.0.0", "prefer", true),
            ("localhost.example", "disable", true),
        ] {
            let danger = danger(&of(&format!("postgresql://{host}/x?sslmode={mode}")));
            assert_eq!(danger.is_some(), is_danger, "{host} {mode}");
        }
    }
}
