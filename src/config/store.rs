//! Where the resources are: in a folder of this machine, or in a database that is reached by its address.

use super::Store;
use super::effective::Source;
use super::reader::Reader;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::store::backends::{self, BACKENDS};
use std::path::PathBuf;
use url::Url;

pub(super) fn store(reader: &mut Reader) -> Store {
    let data_path = reader.parsed("DATA_PATH", "a path", |text| Some(PathBuf::from(text)));
    let built: Vec<&'static str> = BACKENDS.iter().map(|descriptor| descriptor.name).collect();
    let expected = format!("{} (no other store is built yet)", built.join(" or "));
    let chosen = reader.parsed("STORE", &expected, |text| built.iter().copied().find(|name| *name == text));
    let named = named(reader);
    let views = view_names(reader);
    let of_url = named.as_ref().map(|database| match database {
        Database::Embedded(_) => "sqlite",
        Database::Server(_) => "postgres",
    });
    match (chosen, of_url) {
        (Some(chosen), Some(of_url)) if chosen != of_url => {
            reader.problem(format!("DATABASE_URL names a database, but STORE is {chosen}: expected one of them"));
        }
        (Some("postgres"), None) if reader.source("DATABASE_URL") == Source::Default => {
            reader.problem("STORE is postgres, but DATABASE_URL is not set: expected both".into());
        }
        _ => {}
    }
    let backend = chosen.or(of_url).unwrap_or("sqlite");
    let (folder, database_url) = match named {
        Some(Database::Embedded(folder)) => (Some(folder), None),
        Some(Database::Server(url)) => (None, Some(url)),
        None => (None, None),
    };
    if folder.is_some() && data_path.is_some() {
        reader.problem("DATABASE_URL and DATA_PATH both say where the data is: expected one of them".into());
    }
    if let Some(Err(problems)) = database_url.as_ref().map(|url| backends::examine(backend, url)) {
        for problem in problems {
            reader.problem(format!("{}: {problem}", said_by(reader)));
        }
    }
    let data_path = folder.or(data_path).unwrap_or_else(|| Store::default().data_path);
    Store { backend, data_path, database_url, views }
}

/// What `DATABASE_URL` says, or the file that its twin names.
fn named(reader: &mut Reader) -> Option<Database> {
    let address = super::keys::secret(reader, "DATABASE_URL")?;
    let named = database(address.expose());
    if named.is_none() {
        let expected = "expected sqlite:<folder>/carillon.db or postgresql://<user>:<password>@<host>/<database> (no other database is built yet)";
        reader.problem(format!("{}: {expected}", said_by(reader)));
    }
    named
}

/// The setting that says where the database is.
fn said_by(reader: &Reader) -> &'static str {
    match reader.source("DATABASE_URL") {
        Source::Named(file) => file,
        _ => "DATABASE_URL (store.database_url)",
    }
}

/// The names of the views over users and groups: two different ones that need no quotes in SQL.
fn view_names(reader: &mut Reader) -> [String; 2] {
    let is_name = |text: &str| {
        let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        text.len() <= limits::VIEW_NAME_BYTES
            && text.starts_with(is_letter)
            && text.chars().all(|letter| is_letter(letter) || letter.is_ascii_digit())
    };
    let expected = "a name of letters, digits and _, at most 63";
    let [users, groups] = Store::default().views;
    let mut name =
        |setting, default| reader.parsed(setting, expected, |text| is_name(text).then(|| text.to_owned())).unwrap_or(default);
    let views = [name("USER_MODEL_NAME", users), name("GROUP_MODEL_NAME", groups)];
    if views[0].eq_ignore_ascii_case(&views[1]) {
        reader.problem("USER_MODEL_NAME and GROUP_MODEL_NAME are the same: expected two names".into());
    }
    views
}

/// Where `DATABASE_URL` says that the data is.
enum Database {
    /// In a folder of this machine.
    Embedded(PathBuf),
    /// In a server, at an address that its own driver reads.
    Server(Secret),
}

/// Spellings of PostgreSQL's scheme, those of other languages' drivers among them.
fn database(text: &str) -> Option<Database> {
    if let Some(folder) = database_folder(text) {
        return Some(Database::Embedded(folder));
    }
    let (scheme, rest) = text.split_once("://")?;
    let engine = scheme.split_once('+').map_or(scheme, |(engine, _)| engine);
    if !matches!(engine, "postgresql" | "postgres") {
        return None;
    }
    let url = format!("postgresql://{rest}");
    let parsed = Url::parse(&url).ok()?;
    let names_database = parsed.path().len() > 1;
    names_database.then(|| Database::Server(Secret::new(url)))
}

/// The folder of `sqlite:data/carillon.db`, `sqlite:///var/lib/carillon/carillon.db`. The file's name is the store's to choose, so
/// no other is taken.
fn database_folder(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = PathBuf::from(path);
    if path.file_name()? != "carillon.db" {
        return None;
    }
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() })
}

#[cfg(test)]
mod tests;
