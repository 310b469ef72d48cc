//! TLS to the database: what each `sslmode` protects against, with a server that takes nothing else.

use crate::support::authority::Authority;
use crate::support::database::Database;
use crate::support::fixture::user;
use crate::support::server::{Server, Settings};
use std::path::Path;

/// It stands in every address, and nowhere else.
const PASSWORD: &str = "hunter2-hunter2";

/// The address of a database, by this host and with these parameters.
fn address(database: &Database, host: &str, parameters: &str) -> String {
    let url = database.url.replace("postgres@127.0.0.1", &format!("postgres:{PASSWORD}@{host}"));
    format!("{url}?{parameters}")
}

fn authority_file(folder: &Path, authority: &Authority, name: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, &authority.pem).expect("written");
    path.to_str().expect("a path").to_owned()
}

/// The line that says why it does not start.
fn refused(address: &str) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ended = Settings::default().database(address).folder(folder.path()).run_to_its_end();
    let printed = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
    assert!(!printed.contains(PASSWORD) && !printed.contains("postgresql://"), "{printed}");
    assert!(!printed.contains("waiting for it"), "it is refused at once: {printed}");
    let (_, said) = printed.split_once("Carillon cannot start:\n").expect("a reason");
    let lines: Vec<&str> = said.lines().collect();
    assert!(matches!(&*lines, [line] if line.starts_with("DATABASE_URL")), "{printed}");
    assert_eq!(ended.status.code(), Some(2));
    lines[0].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verified_database_is_served_over_tls_alone() {
    const CONNECTIONS: &str = "SELECT count(*) || ' ' || count(*) FILTER (WHERE ssl AND version = 'TLSv1.3') \
        FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name = 'carillon'";
    let (authority, folder) = (Authority::default(), tempfile::tempdir().expect("a temporary folder"));
    let database = Database::start_tls(&authority.certificate(&["localhost", "127.0.0.1"]));
    let file = authority_file(folder.path(), &authority, "authority.pem");
    for host in ["localhost", "127.0.0.1"] {
        let verified = address(&database, host, &format!("sslmode=verify-full&sslrootcert={file}"));
        let settings = Settings::default().database(&verified);
        let node = Server::start(&settings);
        let id = node.client().post("/Users", &user(host)).await.id();
        assert_eq!(node.client().get(&format!("/Users/{id}")).await.status, 200);
        let asked = format!("{verified}&application_name=test");
        let counts = Settings::default().database(&asked).ask(CONNECTIONS).expect("counts");
        let (all, encrypted) = counts.split_once(' ').expect("two counts");
        // A reader, a writer, the sequencer, the listener, who looks after the indexes.
        assert!(all.parse::<usize>().expect("a count") >= 5, "{counts}");
        assert_eq!(all, encrypted);
        assert!(!node.output().contains("DATABASE_URL"), "{}", node.output());
    }
}

#[test]
fn a_database_that_is_not_who_it_should_be_stops_the_start() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = authority_file(folder.path(), &authority, "authority.pem");
    let strangers = authority_file(folder.path(), &stranger, "stranger.pem");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").expect("written");
    let empty = empty.to_str().expect("a path");
    let named = Database::start_tls(&authority.certificate(&["localhost", "127.0.0.1"]));
    let misnamed = Database::start_tls(&authority.certificate(&["other.example"]));
    let (unknown, other) = ("not from an authority that is known: sslrootcert", "for another name than the host");
    for (database, parameters, reason) in [
        (&named, format!("sslmode=verify-full&sslrootcert={strangers}"), unknown),
        (&named, format!("sslmode=verify-ca&sslrootcert={strangers}"), unknown),
        // As PostgreSQL's own programs do: an authority that is named is asked.
        (&named, format!("sslmode=require&sslrootcert={strangers}"), unknown),
        (&named, "sslmode=verify-full".into(), unknown),
        (&misnamed, format!("sslmode=verify-full&sslrootcert={file}"), other),
        (&named, "sslmode=disable".into(), "sslmode=disable asks for no TLS, and the server may want it"),
        (
            &named,
            format!("sslmode=verify-full&sslrootcert={file}.not"),
            "sslrootcert: expected a file that can be read: No such file",
        ),
        (&named, format!("sslmode=verify-full&sslrootcert={empty}"), "sslrootcert: expected a file of certificates in PEM"),
        (&named, format!("sslmode=require&sslkey={file}.not"), "sslkey: expected a file that can be read"),
    ] {
        let said = refused(&address(database, "127.0.0.1", &parameters));
        assert!(said.contains(reason), "{parameters}: {said}");
    }
    let plain = Database::start();
    let said = refused(&address(&plain, "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={file}")));
    assert!(said.contains("server does not support TLS"), "{said}");
}

/// An address that is not this machine's by name, and leads to it: every mode that lets somebody in between is told of in one line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_not_protected_is_warned_of() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().expect("a temporary folder"));
    let database = Database::start_tls(&authority.certificate(&["other.example"]));
    let file = authority_file(folder.path(), &authority, "authority.pem");
    for (host, parameters, warning) in [
        ("0.0.0.0", String::new(), Some("or have everything sent in clear")),
        ("0.0.0.0", "sslmode=require".into(), Some("but whoever is on it can pass for the database")),
        // It takes another name.
        ("0.0.0.0", format!("sslmode=verify-ca&sslrootcert={file}"), Some("whoever has a certificate, of any name")),
        ("127.0.0.1", "sslmode=require".into(), None),
    ] {
        let node = Server::start(&Settings::default().database(&address(&database, host, &parameters)));
        assert_eq!(node.client().get("/ready").await.status, 200, "{parameters}");
        let output = match warning {
            Some(warning) => node.says(warning).await,
            None => node.output(),
        };
        let lines: Vec<&str> = output.lines().filter(|line| line.contains("DATABASE_URL")).collect();
        assert_eq!(lines.len(), usize::from(warning.is_some()), "{output}");
        assert!(
            lines.iter().all(|line| line.contains("WARN") && !line.contains("0.0.0.0") && !line.contains(PASSWORD)),
            "{output}"
        );
    }
}
