//! Secrets in files, the database's address above all.

use crate::base::secret::Secret;
use crate::config::{Flags, Problems, Settings, Source};
use std::path::Path;

const URL: &str = "postgresql://carillon:hunter2@db.example/carillon";

fn explained(environment: &[(&str, &str)]) -> Result<(Settings, Vec<crate::config::Shown>), Problems> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::explained(&Flags::default(), environment)
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn a_database_is_named_by_a_file_and_its_address_is_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (url, key) = (written(folder.path(), "url", &format!("{URL}\n")), written(folder.path(), "key", "hunter2-hunter2\n"));
    let (settings, shown) =
        explained(&[("DATABASE_URL_FILE", &url), ("SECRETS_KEY_FILE", &key), ("API_KEY_FILE", &key)]).expect("fine");
    assert_eq!((settings.store.backend, settings.store.database_url), ("postgres", Some(Secret::new(URL))));
    assert!(!format!("{shown:?}").contains("hunter2"), "{shown:?}");
    let of = |variable: &str| {
        let one = shown.iter().find(|shown| shown.variable == variable).expect("a setting");
        (one.value.clone(), one.source)
    };
    assert_eq!(of("DATABASE_URL"), ("(set, not shown)".to_owned(), Source::Named("DATABASE_URL_FILE")));
    assert_eq!(of("DATABASE_URL_FILE"), (url, Source::Environment));
    assert_eq!(of("SECRETS_KEY"), ("(set, not shown)".to_owned(), Source::Named("SECRETS_KEY_FILE")));
    assert_eq!(of("API_KEY"), ("(1 key, not shown)".to_owned(), Source::Named("API_KEY_FILE")));
    let embedded = written(folder.path(), "embedded", "sqlite:/srv/carillon.db");
    let (settings, _) = explained(&[("DATABASE_URL_FILE", &embedded)]).expect("fine");
    assert_eq!((settings.store.backend, settings.store.data_path), ("sqlite", "/srv".into()));
}

/// Every secret that can stand in a file: never in both places, never in a file that is not there or says nothing.
#[test]
fn what_is_wrong_with_files_of_secrets_is_listed_and_nothing_of_them_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let (empty, wrong) = (written(folder.path(), "empty", "\n"), written(folder.path(), "wrong", "mysql://a:hunter2@db/x"));
    let secrets = ["API_KEY", "SECRETS_KEY", "DATABASE_URL", "SET_PUSH_TOKEN", "SET_SIGNING_SECRET"];
    let problems = |environment: &[(&str, &str)]| {
        let problems = explained(environment).expect_err("wrong").0;
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
        problems
    };
    let url = [("SET_PUSH_URL", "https://receiver.example/")];
    let in_files = secrets.map(|secret| format!("{secret}_FILE"));
    for (path, problem) in [
        (&*empty, "expected a file that is not empty"),
        ("/nowhere/x", "expected a file that can be read: No such file or directory (os error 2)"),
    ] {
        let environment: Vec<(&str, &str)> = in_files.iter().map(|file| (&**file, path)).chain(url).collect();
        let expected = [0, 4, 1, 2, 3].map(|place| format!("{}: {problem}", in_files[place]));
        let mut found = problems(&environment);
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
    let values = [("API_KEY", "hunter2"), ("SECRETS_KEY", "hunter2"), ("DATABASE_URL", URL), ("SET_PUSH_TOKEN", "hunter2")];
    let values = values.into_iter().chain([("SET_SIGNING_SECRET", "hunter2-hunter2-hunter2-hunter2-hunter2")]);
    let both: Vec<(&str, &str)> = in_files.iter().map(|file| (&**file, "/nowhere/x")).chain(url).chain(values).collect();
    let found = problems(&both);
    for (secret, file) in secrets.iter().zip(&in_files) {
        assert!(found.contains(&format!("{secret} and {file} are both set: expected one of them")), "{found:?}");
    }
    assert_eq!(
        problems(&[("DATABASE_URL_FILE", &wrong), ("STORE", "postgres")]),
        [
            "DATABASE_URL_FILE: expected sqlite:<folder>/carillon.db or postgresql://<user>:<password>@<host>/<database> (no other database \
          is built yet)"
        ]
    );
}

#[test]
fn what_the_address_of_the_database_says_is_checked_with_everything_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = written(folder.path(), "empty.pem", "no certificate\n");
    let with =
        |parameters: &str| explained(&[("DATABASE_URL", &format!("{URL}?{parameters}")), ("PORT", "x")]).expect_err("wrong").0;
    let said = |problem: &str| format!("DATABASE_URL (store.database_url): {problem}");
    let mode = said("sslmode: expected disable, allow, prefer, require, verify-ca or verify-full");
    let missing = said("sslrootcert: expected a file that can be read: No such file or directory (os error 2)");
    let none = said("sslrootcert: expected a file of certificates in PEM");
    for (parameters, expected) in [
        ("sslmode=Verify-Full", vec![]),
        ("ssl-mode=allow", vec![]),
        ("sslmode=bogus&sslrootcert=/nowhere/x", vec![mode, missing]),
        (&*format!("sslrootcert={empty}"), vec![none]),
    ] {
        let found = with(parameters);
        assert_eq!(found.iter().filter(|problem| problem.starts_with("DATABASE_URL")).cloned().collect::<Vec<_>>(), expected);
        assert_eq!(found.len(), expected.len() + 1, "{found:?}");
    }
}
