//! The files of schemas and resource types: found, read, and handed to the loader. What is wrong with them is wrong with the settings.

use super::Flags;
use super::reader::Reader;
use crate::base::limits;
use crate::scim::path::shorten;
use crate::scim::quirks::{Quirk, Quirks};
use crate::scim::schema::Registry;
use crate::scim::schema::load::{Loaded, SchemaFile, load};
use crate::store::index::Indexes;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The registry of the flags, else of `SCHEMA_PATH`, on top of the built-in definitions (these alone where something is wrong), as the
/// other settings want it.
pub(super) fn read(reader: &mut Reader, flags: &Flags, unique_group_names: bool, quirks: Quirks) -> Loaded {
    let mut files = Files::default();
    for (setting, path) in paths(reader, flags) {
        files.add(setting, &path);
    }
    let Files { found, problems } = files;
    for problem in problems {
        reader.problem(problem);
    }
    let loaded = load(&found).unwrap_or_else(|problems| {
        for problem in problems {
            reader.problem(problem.to_string());
        }
        Loaded { registry: Registry::builtin(), files: BTreeMap::new() }
    });
    let registry = loaded.registry;
    let registry = if quirks.allows(Quirk::LooseFormats) { registry.with_loose_formats() } else { registry };
    let registry = if unique_group_names { registry.with_unique("Group", "displayName") } else { registry };
    Loaded { registry: indexed(reader, registry), files: loaded.files }
}

/// The registry with the indexes that `INDEXED_ATTRIBUTES` asks for beside the usual ones.
fn indexed(reader: &mut Reader, mut registry: Registry) -> Registry {
    let named = reader.list("INDEXED_ATTRIBUTES");
    let each = named.iter().flat_map(|names| names.split(',')).map(str::trim).filter(|name| !name.is_empty());
    for name in each {
        let found = name.split_once(':').and_then(|(kind, path)| Some((registry.by_name(kind)?, path)));
        match found.map(|(kind, path)| (kind.name.clone(), Indexes::indexable(kind, path))) {
            Some((kind, Ok(path))) => registry = registry.with_indexed(&kind, &path),
            Some((_, Err(problem))) => reader.problem(format!("INDEXED_ATTRIBUTES: '{}': {problem}", shorten(name))),
            None => {
                let expected = "a resource type, a colon and an attribute, such as User:name.familyName";
                reader.problem(format!("INDEXED_ATTRIBUTES: expected {expected}, found '{}'", shorten(name)));
            }
        }
    }
    registry
}

/// Each path with the setting that names it.
fn paths(reader: &mut Reader, flags: &Flags) -> Vec<(&'static str, PathBuf)> {
    let flagged = flags.schemas.iter().map(|path| ("--schema", path.clone()));
    let flagged: Vec<_> = flagged.chain(flags.resource_types.iter().map(|path| ("--resource-type", path.clone()))).collect();
    if !flagged.is_empty() {
        return flagged;
    }
    let named = reader.list("SCHEMA_PATH");
    let each = named.iter().flat_map(|paths| paths.split(':')).filter(|path| !path.is_empty());
    each.map(|path| ("SCHEMA_PATH", PathBuf::from(path))).collect()
}

#[derive(Default)]
struct Files {
    found: Vec<SchemaFile>,
    problems: Vec<String>,
}

impl Files {
    /// Adds a file, or the files of a folder.
    fn add(&mut self, setting: &str, path: &Path) {
        let before = self.found.len() + self.problems.len();
        if path.is_dir() {
            self.folder(setting, path, 0);
            if self.found.len() + self.problems.len() == before {
                self.problems.push(format!("{setting}: expected files that end in .json in the folder '{}'", path.display()));
            }
        } else {
            self.file(setting, path);
        }
    }

    /// The `.json` files of a folder and the folders in it, in the order of their names. Hidden ones are left out.
    fn folder(&mut self, setting: &str, folder: &Path, depth: usize) {
        let unreadable =
            |error: std::io::Error| format!("{setting}: expected a folder that can be read, '{}': {error}", folder.display());
        if depth > limits::SCHEMA_FOLDER_DEPTH {
            let most = limits::SCHEMA_FOLDER_DEPTH;
            return self.problems.push(format!("{setting}: expected at most {most} folders in each other, '{}'", folder.display()));
        }
        let entries = fs::read_dir(folder).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
        let mut entries: Vec<PathBuf> = match entries {
            Ok(entries) => entries,
            Err(error) => return self.problems.push(unreadable(error)),
        };
        entries.sort();
        let is_hidden = |path: &PathBuf| path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        for path in entries.into_iter().filter(|path| !is_hidden(path)) {
            if path.is_dir() {
                self.folder(setting, &path, depth + 1);
            } else if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
                self.file(setting, &path);
            }
        }
    }

    fn file(&mut self, setting: &str, path: &Path) {
        let shown = path.display().to_string();
        let most = limits::SCHEMA_FILES;
        if self.found.len() >= most {
            if self.found.len() == most && !self.problems.iter().any(|problem| problem.contains("at most")) {
                self.problems.push(format!("{setting}: expected at most {most} files"));
            }
            return;
        }
        let size = fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
        if size > limits::SCHEMA_FILE_BYTES {
            let most = limits::SCHEMA_FILE_BYTES;
            return self.problems.push(format!("{shown}: expected at most {most} bytes, found {size}"));
        }
        match fs::read_to_string(path) {
            Ok(text) => self.found.push(SchemaFile { name: shown, text }),
            Err(error) => self.problems.push(format!("{setting}: expected a file that can be read, '{shown}': {error}")),
        }
    }
}
