//! Layers the sources and reads values from them, remembering every problem.

use super::Flags;
use super::effective::Source;
use super::table::{NOT_BUILT, SECRET, SETTINGS, TABLES, in_file};
use crate::scim::path::shorten;
use config::builder::DefaultState;
use config::{Config, ConfigBuilder, ConfigError, File, FileFormat};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

/// The file that is read when `--config` names none, if it is there.
const DEFAULT_FILE: &str = "carillon.toml";

/// The layered values, and the problems so far.
pub(super) struct Reader {
    values: Config,
    sources: BTreeMap<&'static str, Source>,
    problems: Vec<String>,
}

impl Reader {
    /// Layers file, environment and flags.
    pub(super) fn open(flags: &Flags, environment: &BTreeMap<String, String>) -> Self {
        let mut problems = Vec::new();
        let file = read_file(flags.config.as_deref(), &mut problems);
        refuse_unbuilt(environment, &mut problems);
        let sources = sources(&file, flags, environment);
        let layered = layer(file, flags, environment);
        let values = layered.and_then(ConfigBuilder::<DefaultState>::build).unwrap_or_else(|error| {
            problems.push(format!("settings: {}", first_line(&error)));
            Config::default()
        });
        Self { values, sources, problems }
    }

    /// A setting that is text with a meaning. A value without one is a problem, and `None` like an absent one.
    pub(super) fn parsed<T>(&mut self, variable: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let key = key_of(variable);
        let found = match self.values.get::<Option<String>>(key) {
            Ok(found) => found?,
            Err(ConfigError::NotFound(_)) => return None,
            Err(_) => {
                self.problem(format!("{variable} ({key}): expected {expected}"));
                return None;
            }
        };
        let parsed = parse(&found);
        if parsed.is_none() {
            let shown = if SECRET.contains(&variable) { String::new() } else { format!(", found '{}'", shorten(&found)) };
            self.problem(format!("{variable} ({key}): expected {expected}{shown}"));
        }
        parsed
    }

    /// A setting that is a whole number, not less than `least`.
    pub(super) fn whole<T: FromStr + PartialOrd + From<u8>>(&mut self, variable: &str, least: u8) -> Option<T> {
        let expected = format!("a whole number, at least {least}");
        self.parsed(variable, &expected, |text| text.parse().ok().filter(|number| *number >= T::from(least)))
    }

    /// A setting that is a text, or in the file a list of them.
    pub(super) fn list(&mut self, variable: &str) -> Vec<String> {
        let key = key_of(variable);
        match self.values.get::<Value>(key) {
            Ok(Value::Array(values)) if values.iter().all(Value::is_string) => {
                values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Ok(Value::Array(_) | Value::Object(_)) => {
                self.problem(format!("{variable} ({key}): expected a text or a list of texts"));
                Vec::new()
            }
            _ => self.parsed(variable, "a text", |text| Some(vec![text.to_owned()])).unwrap_or_default(),
        }
    }

    /// Where the value of a setting comes from.
    pub(super) fn source(&self, variable: &str) -> Source {
        self.sources.get(variable).copied().unwrap_or(Source::Default)
    }

    /// A setting as it was written, if it was.
    pub(super) fn raw(&self, variable: &str) -> Option<String> {
        self.values.get::<String>(key_of(variable)).ok()
    }

    /// What the file has under a key, whatever its shape.
    pub(super) fn value(&self, key: &str) -> Option<Value> {
        self.values.get(key).ok()
    }

    /// Remembers a problem.
    pub(super) fn problem(&mut self, line: String) {
        self.problems.push(line);
    }

    /// Every problem so far.
    pub(super) fn into_problems(self) -> Vec<String> {
        self.problems
    }
}

fn key_of(variable: &str) -> &str {
    SETTINGS.iter().find(|(name, _)| *name == variable).map_or(variable, |(_, key)| key)
}

/// Where the value of each setting comes from that has one.
fn sources(file: &Config, flags: &Flags, environment: &BTreeMap<String, String>) -> BTreeMap<&'static str, Source> {
    let flagged = |variable: &str| match variable {
        "HOST" if flags.hostname.is_some() => Some(Source::Flag("--hostname")),
        "PORT" if flags.port.is_some() => Some(Source::Flag("--port")),
        "REVERSE_PROXY" if flags.reverse_proxy => Some(Source::Flag("--reverse-proxy")),
        "API_KEY" if !flags.bearer_tokens.is_empty() => Some(Source::Flag("--bearer-token")),
        "SCHEMA_PATH" if !flags.schemas.is_empty() => Some(Source::Flag("--schema")),
        "SCHEMA_PATH" if !flags.resource_types.is_empty() => Some(Source::Flag("--resource-type")),
        _ => None,
    };
    let written = |variable: &str, key: &str| match () {
        () if environment.contains_key(variable) => Some(Source::Environment),
        () if file.get::<Value>(key).is_ok() => Some(Source::File),
        () => None,
    };
    let named = |variable: &str| {
        let file = in_file(variable)?;
        written(file, key_of(file)).map(|_| Source::Named(file))
    };
    let source = |variable: &str, key: &str| flagged(variable).or_else(|| written(variable, key)).or_else(|| named(variable));
    let of = |(variable, key): &(&'static str, &str)| Some((*variable, source(variable, key)?));
    SETTINGS.iter().filter_map(of).collect()
}

fn layer(file: Config, flags: &Flags, environment: &BTreeMap<String, String>) -> Result<ConfigBuilder<DefaultState>, ConfigError> {
    let mut builder = Config::builder().add_source(file);
    for (variable, key) in SETTINGS {
        builder = builder.set_override_option(*key, environment.get(*variable).cloned())?;
    }
    builder.set_override_option(key_of("HOST"), flags.hostname.clone())?.set_override_option(key_of("PORT"), flags.port.clone())
}

fn read_file(named: Option<&Path>, problems: &mut Vec<String>) -> Config {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Config::default(),
        Err(error) => {
            problems.push(format!("--config: expected a file that can be read, '{}': {error}", path.display()));
            return Config::default();
        }
    };
    let read = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build();
    let read = read.and_then(|file| Ok((file.clone().try_deserialize::<Value>()?, file)));
    match read {
        Ok((values, file)) => {
            refuse_unknown(path, "", &values, problems);
            file
        }
        Err(error) => {
            problems.push(format!("{}: expected TOML: {}", path.display(), first_line(&error)));
            Config::default()
        }
    }
}

/// The rest of such a message shows the line it is about, which may hold a secret.
fn first_line(error: &ConfigError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

fn refuse_unknown(path: &Path, prefix: &str, values: &Value, problems: &mut Vec<String>) {
    let sorted: BTreeMap<&String, &Value> = values.as_object().into_iter().flatten().collect();
    for (name, value) in sorted {
        let key = format!("{prefix}{name}");
        if TABLES.contains(&key.as_str()) {
            continue;
        }
        let is_section = SETTINGS.iter().any(|(_, known)| known.strip_prefix(&*key).is_some_and(|rest| rest.starts_with('.')));
        if is_section && value.is_object() {
            refuse_unknown(path, &format!("{key}."), value, problems);
        } else if !SETTINGS.iter().any(|(_, known)| *known == key) {
            problems.push(format!("{}: {} is not a setting", path.display(), shorten(&key)));
        }
    }
}

fn refuse_unbuilt(environment: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    for (variable, harmless) in NOT_BUILT {
        let Some(value) = environment.get(*variable) else { continue };
        if harmless.contains(&value.as_str()) {
            continue;
        }
        problems.push(match harmless {
            [] => format!("{variable}: what it names is not built yet; unset it"),
            known => format!("{variable}: what it asks for is not built yet; expected {}, or not to be set", known.join(" or ")),
        });
    }
}
