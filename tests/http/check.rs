//! `carillon check`: what it shows, and what it never does.

use crate::support::server::{KEY, Settings};
use std::path::Path;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// What stands in the rows that begin with this word, each without repeated spaces.
fn rows(report: &str, first: &str) -> Vec<String> {
    let row = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    report.lines().map(row).filter(|row| row.split(' ').next() == Some(first)).collect()
}

const NAMED: &str = "[limits]\npage_size = 7\n[[auth.keys]]\nname = \"entra\"\nkey = \"hunter2-hunter2-hunter2\"\nuser_name = \"ann\"\n\
    scopes = [\"events:read\", \"scim:read\"]\n";

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("the folder").next().is_none()
}

#[test]
fn it_shows_what_would_be_served_and_touches_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outside = tempfile::tempdir().expect("a temporary folder");
    let config = outside.path().join("carillon.toml");
    std::fs::write(&config, NAMED).expect("written");
    let settings = Settings::default().folder(folder.path()).with("SCHEMA_PATH", &fixture("schemas")).with("SET_ISSUER", "me");
    let settings = settings.arguments(&["check", "--config", config.to_str().expect("a path")]);
    let checked = settings.arguments(&["--hostname", "localhost"]).run_to_its_end();
    let report = text(&checked.stdout);
    assert_eq!((checked.status.code(), text(&checked.stderr)), (Some(0), String::new()), "{report}");
    assert!(!report.contains(KEY) && !report.contains("hunter2") && !report.contains("ann"), "{report}");
    assert_eq!(rows(&report, "entra"), ["entra (1 key, not shown) /Me is set, not shown scim:read events:read"]);
    assert_eq!(rows(&report, "HOST"), ["HOST server.host localhost --hostname"]);
    assert_eq!(rows(&report, "PORT"), ["PORT server.port 0 environment"]);
    assert_eq!(rows(&report, "PAGE_SIZE"), ["PAGE_SIZE limits.page_size 7 file"]);
    assert_eq!(rows(&report, "LIMIT_SCANS"), ["LIMIT_SCANS limits.scans 4 default"]);
    assert_eq!(rows(&report, "API_KEY"), ["API_KEY auth.api_key (1 key, not shown) environment"]);
    assert_eq!(rows(&report, "SCHEMA_PATH"), [format!("SCHEMA_PATH schemas.path {} environment", fixture("schemas"))]);
    let sram = "urn:mace:surf.nl:sram:scim:extension:User";
    assert_eq!(rows(&report, sram), [format!("{sram} {}", fixture("schemas/extensions/User/sram.json"))]);
    let teams = fixture("schemas/teams.json");
    let billing = "urn:example:scim:schemas:extension:Billing";
    assert_eq!(
        rows(&report, "Team"),
        [
            format!("Team /Teams urn:example:scim:schemas:Team extensions: {billing} (required) {teams}"),
            format!("Team {billing}:account (unique), externalId, displayName"),
        ]
    );
    assert!(is_empty(folder.path()));
}

#[test]
fn it_warns_of_what_is_risky() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path()).store("memory").with("EVENT_MODE", "full").with("HOST", "0.0.0.0");
    let risky = text(&settings.arguments(&["check", "--bearer-token", "secret"]).run_to_its_end().stdout);
    let warnings = risky.split_once("Warnings\n").expect("warnings").1;
    for word in [
        "PUBLIC_URL is not set",
        "HOST 0.0.0.0",
        "--bearer-token",
        "API_KEY or [[auth.keys]]: 1 of 1",
        "STORE is memory",
        "EVENT_MODE is full",
    ] {
        assert_eq!(warnings.matches(word).count(), 1, "{word}: {warnings}");
    }
    let far = "postgresql://u:hunter2@db.example/x?sslmode=require&charset=utf8";
    let far = Settings::default().store("sqlite").folder(folder.path()).with("STORE", "postgres").with("DATABASE_URL", far);
    let far = text(&far.arguments(&["check"]).run_to_its_end().stdout);
    for warning in
        ["DATABASE_URL: the parameter \"charset\" has no effect\n", "DATABASE_URL: the way to the database is encrypted, but"]
    {
        assert_eq!(far.matches(warning).count(), 1, "{warning}: {far}");
    }
    assert!(!far.contains("hunter2"), "{far}");
    let safe = Settings::default().folder(folder.path()).with("PUBLIC_URL", "https://scim.example.com").arguments(&["check"]);
    let safe = text(&safe.run_to_its_end().stdout);
    assert!(safe.ends_with("No warnings\n"), "{safe}");
}

#[test]
fn it_lists_every_problem_as_a_start_would() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let outside = tempfile::tempdir().expect("a temporary folder");
    let broken = outside.path().join("broken.json");
    std::fs::write(&broken, r#"{"id": "urn:x:y", "attributes": [{"name": "a", "type": "text"}, {"name": "A"}]}"#).expect("written");
    let broken = broken.to_str().expect("a path");
    let paths = format!("{broken}:{broken}.not");
    let settings = Settings::default().folder(folder.path()).with("SCHEMA_PATH", &paths).with("PAGE_SIZE", "many");
    let said = text(&settings.run_to_its_end().stderr);
    let checked = settings.arguments(&["check"]).run_to_its_end();
    assert_eq!((checked.status.code(), text(&checked.stdout), text(&checked.stderr)), (Some(2), String::new(), said.clone()));
    for problem in [
        "PAGE_SIZE (limits.page_size): expected a whole number, at least 1, found 'many'".to_owned(),
        format!("SCHEMA_PATH: expected a file that can be read, '{broken}.not'"),
        format!("{broken}: attributes[0].type: expected one of string, boolean"),
        format!("{broken}: attributes[1].name: expected a name that no other attribute here has in any case, found 'A'"),
        format!("{broken}: id: expected a resource type that has this schema or is extended by it"),
    ] {
        assert_eq!(said.matches(&problem).count(), 1, "{problem}\n{said}");
    }
    assert!(is_empty(folder.path()));
}
