//! A database that stays as it is: for who only reads it, and for who writes into it beside the nodes that serve it.

use super::column::{corrupt, failed};
use super::epoch::{self, Indexes};
use super::open::{MIGRATIONS, alone};
use crate::base::id::TypeCode;
use crate::scim::schema::{Registry, TypeRecord};
use crate::store::Result;
use crate::store::backends::{check_version, refused};
use crate::store::sql::catalogue::Catalogue;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

const OPERATION: &str = "look at the database";
/// How many differences are named.
const NAMED_DIFFERENCES: usize = 8;

/// What a database holds, as a configuration knows it.
pub(super) struct Known {
    /// The types under the codes by which the database keeps them.
    pub(super) registry: Registry,
    pub(super) catalogue: Catalogue,
    /// The epoch of the indexes that are kept; 0 for who only reads.
    pub(super) epoch: u32,
}

/// Whether the first table is there.
pub(super) async fn is_begun(connection: &mut PgConnection, schema: u32) -> Result<bool> {
    const THERE: &str = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = 'meta' AND relnamespace::bigint = $1)";
    sqlx::query_scalar(THERE).bind(i64::from(schema)).fetch_one(connection).await.map_err(failed(OPERATION))
}

/// How many migrations have run, where there is the first table.
pub(super) async fn version(connection: &mut PgConnection) -> Result<Option<usize>> {
    const VERSION: &str = "SELECT value FROM meta WHERE name = 'schema_version'";
    let version: Option<String> = sqlx::query_scalar(VERSION).fetch_optional(connection).await.map_err(failed(OPERATION))?;
    Ok(version.map(|version| version.parse().unwrap_or(usize::MAX)))
}

/// The types that were ever served.
pub(super) async fn types(connection: &mut PgConnection) -> Result<Vec<TypeRecord>> {
    let rows = sqlx::query_as("SELECT code, name, endpoint FROM type ORDER BY code").fetch_all(connection).await;
    let rows: Vec<(i32, String, String)> = rows.map_err(failed(OPERATION))?;
    let records = rows.into_iter().map(|(code, name, endpoint)| {
        let code = u16::try_from(code).map_err(|_| corrupt(OPERATION, "not a resource type"))?;
        Ok(TypeRecord { code: TypeCode(code), name, endpoint })
    });
    records.collect()
}

/// The paths that were ever indexed, with their codes.
pub(super) async fn codes(connection: &mut PgConnection) -> Result<HashMap<String, i64>> {
    let rows = sqlx::query_as("SELECT name, code FROM path").fetch_all(connection).await;
    let rows: Vec<(String, i32)> = rows.map_err(failed(OPERATION))?;
    Ok(rows.into_iter().map(|(name, code)| (name, i64::from(code))).collect())
}

async fn found(connection: &mut PgConnection, schema: u32) -> Result<Option<usize>> {
    if is_begun(connection, schema).await? { version(connection).await } else { Ok(None) }
}

/// A path that no index was ever made of has no code: nobody looks for it.
fn catalogue(registry: &Registry, codes: &HashMap<String, i64>) -> Catalogue {
    let code = |name: &str| Ok::<_, Infallible>(codes.get(name).copied().unwrap_or_default());
    Catalogue::new(registry, code).unwrap_or_else(|never| match never {})
}

/// The database for who only reads it, whatever its servers are configured for. Searches go without indexes.
pub(super) async fn to_read(connection: &mut PgConnection, schema: u32, registry: &Registry) -> Result<Known> {
    check_version(found(connection, schema).await?, MIGRATIONS.len())?;
    let registry = registry.clone().of_records(&types(connection).await?);
    let catalogue = catalogue(&registry, &codes(connection).await?);
    catalogue.set_unfinished(epoch::unfinished(&catalogue, &Indexes::new()));
    Ok(Known { registry, catalogue, epoch: 0 })
}

/// The database for who writes into it as the servers do that it has; `None` where it has none yet. Fails when they keep other indexes,
/// and names these.
pub(super) async fn to_write(connection: &mut PgConnection, schema: u32, registry: &Registry) -> Result<Option<Known>> {
    let failed = failed(OPERATION);
    let Some(version) = found(connection, schema).await? else { return Ok(None) };
    check_version(Some(version), MIGRATIONS.len())?;
    let mut transaction = alone(connection, schema, OPERATION).await?;
    let (configuration, held) = epoch::read(&mut transaction).await?;
    let (kept, codes) = (types(&mut transaction).await?, codes(&mut transaction).await?);
    transaction.commit().await.map_err(failed)?;
    if configuration.epoch == 0 {
        return Ok(None);
    }
    let records = registry.records(&kept).unwrap_or_else(|| kept.clone());
    let registry = registry.clone().with_records(&records);
    let catalogue = catalogue(&registry, &codes);
    let differences = differences(&registry, &kept, &wanted(&registry, &catalogue), &noted(&registry, &codes, &held));
    if let Some(problem) = told(&differences) {
        return Err(refused(problem));
    }
    epoch::appear(connection, schema, configuration.epoch).await?;
    catalogue.set_unfinished(epoch::unfinished(&catalogue, &held));
    Ok(Some(Known { registry, catalogue, epoch: configuration.epoch }))
}

/// The forms of indexes by the names of their types and paths.
type Forms = BTreeMap<(String, String), String>;

fn wanted(registry: &Registry, catalogue: &Catalogue) -> Forms {
    let definitions = catalogue.definitions().into_iter();
    let named = definitions.filter_map(|definition| {
        Some(((registry.name_of(definition.kind)?.to_owned(), definition.path.to_string()), definition.text))
    });
    named.collect()
}

fn noted(registry: &Registry, codes: &HashMap<String, i64>, held: &Indexes) -> Forms {
    let paths: HashMap<i64, &String> = codes.iter().map(|(name, code)| (*code, name)).collect();
    let kept = held.iter().filter(|(_, index)| index.phase != "drop");
    let named = kept.filter_map(|((kind, code), index)| {
        Some(((registry.name_of(*kind)?.to_owned(), (*paths.get(code)?).clone()), index.definition.clone()))
    });
    named.collect()
}

/// What is another way in the database, each with the setting that it comes from.
fn differences(registry: &Registry, kept: &[TypeRecord], wanted: &Forms, noted: &Forms) -> BTreeSet<(String, &'static str)> {
    const SCHEMAS: &str = "SCHEMA_PATH";
    const INDEXES: &str = "INDEXED_ATTRIBUTES";
    let is_unique = |form: &String| form.split(' ').any(|word| word == "unique");
    let is_kept = |name: &str| kept.iter().any(|record| record.name.eq_ignore_ascii_case(name));
    let mut differences = BTreeSet::new();
    for kind in registry.types().iter().filter(|kind| !is_kept(&kind.name)) {
        differences.insert((format!("the type {} is not served", kind.name), SCHEMAS));
    }
    let keys: BTreeSet<_> = wanted.keys().chain(noted.keys()).collect();
    for key in keys {
        let (kind, path) = key;
        let (here, there) = (wanted.get(key), noted.get(key));
        if here == there || !is_kept(kind) {
            continue;
        }
        if registry.by_name(kind).is_none() {
            differences.insert((format!("the type {kind} is served"), SCHEMAS));
            continue;
        }
        let (is, is_there) = (here.is_some_and(is_unique), there.is_some_and(is_unique));
        let what = match (here, there) {
            _ if is != is_there => {
                if is_there {
                    "is unique"
                } else {
                    "is not unique"
                }
            }
            (Some(_), None) => "is not indexed",
            (None, _) => "is indexed",
            (Some(_), Some(_)) => "is indexed in another form, as another version of this program may do",
        };
        let setting = match (kind.as_str(), path.as_str()) {
            ("Group", "displayName") if is != is_there => "UNIQUE_GROUP_NAMES",
            _ if is == is_there && (here.is_none() || there.is_none()) => INDEXES,
            _ => SCHEMAS,
        };
        differences.insert((format!("{kind}:{path} {what}"), setting));
    }
    differences
}

/// Differences in one line.
fn told(differences: &BTreeSet<(String, &'static str)>) -> Option<String> {
    let named: Vec<String> =
        differences.iter().take(NAMED_DIFFERENCES).map(|(what, setting)| format!("{what} ({setting})")).collect();
    let more = match differences.len().saturating_sub(named.len()) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let all = named.join(", ");
    (!differences.is_empty()).then(|| {
        format!(
            "the servers of this database have other settings: there {all}{more}: use theirs, or start a server with these first"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(here: &Registry, there: &Registry) -> Option<String> {
        let forms = |registry: &Registry| wanted(registry, &catalogue(registry, &HashMap::new()));
        let kept = there.records(&[]).expect("codes");
        told(&differences(here, &kept, &forms(here), &forms(there)))
    }

    #[test]
    fn differences_name_attributes_and_settings() {
        let plain = Registry::builtin();
        let (unique, indexed) = (plain.clone().with_unique("Group", "displayName"), plain.clone().with_indexed("User", "title"));
        assert_eq!(compared(&plain, &plain), None);
        for (here, there, expected) in [
            (&plain, &unique, "there Group:displayName is unique (UNIQUE_GROUP_NAMES): "),
            (&unique, &plain, "there Group:displayName is not unique (UNIQUE_GROUP_NAMES): "),
            (&plain, &indexed, "there User:title is indexed (INDEXED_ATTRIBUTES): "),
            (&indexed, &plain, "there User:title is not indexed (INDEXED_ATTRIBUTES): "),
            (&plain, &plain.clone().with_unique("User", "title"), "there User:title is unique (SCHEMA_PATH): "),
            (
                &indexed,
                &unique,
                "there Group:displayName is unique (UNIQUE_GROUP_NAMES), User:title is not indexed (INDEXED_ATTRIBUTES): ",
            ),
        ] {
            let told = compared(here, there).unwrap_or_default();
            assert!(told.contains(expected), "{told}");
        }
        let users = plain.clone().of_records(&plain.records(&[]).expect("codes")[..1]);
        assert!(compared(&plain, &users).is_some_and(|told| told.contains("there the type Group is not served (SCHEMA_PATH): ")));
    }
}
