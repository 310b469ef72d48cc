//! An import that writes nothing: what it would come to, as far as that can be known.

use super::super::{Engine, secrets};
use super::Origin;
use super::commit::{Fate, Item, Run};
use super::pipeline::Claim;
use super::read::Prepared;
use crate::base::limits;
use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::filter::{Expression, Operator, resolve};
use crate::scim::path;
use crate::scim::resource::leaves;
use crate::store::index::Entry;
use crate::store::{Detail, Query, Result, Start};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What has come so far: ids and values of unique attributes. There may be tens of millions of them: of each only a [`Digest`] is kept.
#[derive(Debug, Default)]
pub(super) struct Rehearsal {
    seen: Mutex<BTreeSet<Digest>>,
}

/// Half a SHA-256: two claims have the same one only if they are the same, but for chance that nobody meets.
type Digest = [u8; 16];

fn digest(claim: &Claim) -> Digest {
    let mut hash = Sha256::new();
    match claim {
        Claim::Id(id) => hash.update(format!("id {id}")),
        Claim::Value(kind, Entry { path, value }) => {
            hash.update(format!("{} {path}\0", kind.0));
            match value {
                Comparable::Boolean(value) => hash.update(value.to_string()),
                Comparable::Integer(value) => hash.update(value.to_string()),
                // A whole number is written as the integer that it equals.
                Comparable::Decimal(value) => hash.update(value.to_string()),
                Comparable::Text(value) => hash.update(value),
            }
        }
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.finalize()[..size_of::<Digest>()]);
    digest
}

impl Rehearsal {
    /// What would become of a batch. Whether members name resources is not looked at: they may come later.
    pub(super) async fn batch(&self, run: &Run, items: Vec<Item>) -> Result<Vec<(Origin, Fate)>> {
        let checked: Vec<(Origin, Option<Prepared>, Option<Error>)> = items.into_iter().map(|item| self.first_look(item)).collect();
        let looked_up = stream::iter(checked).map(|(origin, prepared, error)| async move {
            let fate = match (prepared, error) {
                (_, Some(error)) => Fate::Refused(error),
                (Some(prepared), None) => second_look(run, prepared).await?,
                (None, None) => Fate::Present,
            };
            Ok((origin, fate))
        });
        let fates: Vec<Result<(Origin, Fate)>> = looked_up.buffered(limits::IMPORT_LOOKUPS).collect().await;
        fates.into_iter().collect()
    }

    /// What the resource itself and those before it tell.
    fn first_look(&self, item: Item) -> (Origin, Option<Prepared>, Option<Error>) {
        let prepared = match item {
            Ok(prepared) => prepared,
            Err((origin, error)) => return (origin, None, Some(error)),
        };
        let origin = prepared.origin.clone();
        if let Some(error) = prepared.secrets.iter().find_map(|change| secrets::check(change).err()) {
            return (origin, None, Some(error));
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = Claim::of(&prepared).find(|claim| seen.contains(&digest(claim)));
        if taken.is_none() {
            // What is refused claims nothing.
            seen.extend(Claim::of(&prepared).map(|claim| digest(&claim)));
        }
        let error = taken.map(|claim| {
            let problem = format!("What comes before has the same '{}'.", claim.path());
            Error::new(ErrorKind::Uniqueness, problem)
        });
        (origin, Some(prepared), error)
    }
}

/// What the store tells.
async fn second_look(run: &Run, prepared: Prepared) -> Result<Fate> {
    let engine = &run.engine;
    if let Some(stored) = engine.found(&prepared).await? {
        return run.met(prepared, Some(stored)).await;
    }
    match taken(engine, &prepared).await? {
        Some(path) => {
            let problem = format!("Another resource has this value of the unique attribute '{path}'.");
            Ok(Fate::Refused(Error::new(ErrorKind::Uniqueness, problem)))
        }
        None => Ok(Fate::Created),
    }
}

/// The unique attribute whose value another resource has.
async fn taken(engine: &Engine, prepared: &Prepared) -> Result<Option<Arc<str>>> {
    let document: Object = serde_json::from_slice(&prepared.document.body).unwrap_or_default();
    for entry in &prepared.document.unique_added {
        let Ok(path) = path::resolve(&prepared.kind, &entry.path) else { continue };
        for value in leaves(&document, &path) {
            let equal = Expression::Compare { path: entry.path.to_string(), operator: Operator::Eq, value: value.clone() };
            let Ok(filter) = resolve(&prepared.kind, &equal) else { continue };
            let query = Query {
                tenant: prepared.key.tenant,
                kind: prepared.kind.code,
                filter: Some(filter),
                sort: None,
                start: Start::After(None),
                limit: 1,
                detail: Detail::default(),
            };
            if !engine.store.query(&query).await?.resources.is_empty() {
                return Ok(Some(Arc::clone(&entry.path)));
            }
        }
    }
    Ok(None)
}
