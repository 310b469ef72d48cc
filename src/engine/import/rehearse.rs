//! An import that writes nothing: what it would come to, as far as that can be known.

use super::super::{Engine, secrets};
use super::commit::{Fate, Item, Members, Run};
use super::pipeline::Claim;
use super::read::Prepared;
use super::{OnConflict, Origin, Terms};
use crate::base::limits;
use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::filter::{Expression, Operator, resolve};
use crate::scim::path;
use crate::scim::resource::leaves;
use crate::store::index::Entry;
use crate::store::{Detail, Document, Query, Result, Start};
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What has come so far: resources, ids and values of unique attributes. There may be tens of millions of them: of each only a
/// [`Digest`] is kept.
#[derive(Debug, Default)]
pub(super) struct Rehearsal {
    seen: Mutex<BTreeSet<Digest>>,
}

/// Half a SHA-256: two have the same one only if they are the same, but for chance that nobody meets.
type Digest = [u8; 16];

fn digest(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        let part = part.as_ref();
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(&hash.finalize()[..size_of::<Digest>()]);
    digest
}

fn digest_of_claim(claim: &Claim) -> Digest {
    match claim {
        Claim::Id(id) => digest(["id", &id.to_string()]),
        Claim::Value(kind, Entry { path, value }) => {
            let value = match value {
                Comparable::Boolean(value) => value.to_string(),
                Comparable::Integer(value) => value.to_string(),
                // A whole number is written as the integer that it equals.
                Comparable::Decimal(value) => value.to_string(),
                Comparable::Text(value) => value.clone(),
            };
            digest([&kind.0.to_string(), &**path, &value])
        }
    }
}

/// Of all that would be written.
fn digest_of_content(prepared: &Prepared) -> Digest {
    let mut members: Vec<String> = prepared.members.iter().map(|member| format!("{} {:?}", member.id, member.display)).collect();
    members.sort_unstable();
    let Document { body, secrets, .. } = &prepared.document;
    let texts = [prepared.key.id.to_string(), secrets.clone().unwrap_or_default(), members.join("\n")];
    digest([&body[..]].into_iter().chain(texts.iter().map(String::as_bytes)))
}

impl Rehearsal {
    /// What would become of a batch. Whether members name resources is not looked at: they may come later.
    pub(super) async fn batch(&self, run: &Run, items: Vec<Item>) -> Result<Vec<(Origin, Fate)>> {
        let looked_at: Vec<Result<Prepared, (Origin, Fate)>> =
            items.into_iter().map(|item| self.first_look(&run.terms, item)).collect();
        let looked_up = stream::iter(looked_at).map(|looked_at| async move {
            match looked_at {
                Ok(prepared) => Ok((prepared.origin.clone(), second_look(run, prepared).await?)),
                Err(told) => Ok(told),
            }
        });
        let fates: Vec<Result<(Origin, Fate)>> = looked_up.buffered(limits::IMPORT_LOOKUPS).collect().await;
        fates.into_iter().collect()
    }

    /// What the resource itself and those before it tell: its fate, if that is enough.
    fn first_look(&self, terms: &Terms, item: Item) -> Result<Prepared, (Origin, Fate)> {
        let prepared = item.map_err(|(origin, error)| (origin, Fate::Refused(error)))?;
        let known = |fate| Err((prepared.origin.clone(), fate));
        if let Some(error) = prepared.secrets.iter().find_map(|change| secrets::check(change).err()) {
            return known(Fate::Refused(error));
        }
        let content = digest_of_content(&prepared);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = Claim::of(&prepared).find(|claim| seen.contains(&digest_of_claim(claim))) {
            return known(match (&claim, terms.on_conflict) {
                (Claim::Id(_), _) if seen.contains(&content) => Fate::Present,
                (Claim::Id(_), OnConflict::Skip) => Fate::Skipped,
                (Claim::Id(_), OnConflict::Replace) => Fate::Replaced,
                _ => {
                    let problem = format!("What comes before has the same '{}'.", claim.path());
                    Fate::Refused(Error::new(ErrorKind::Uniqueness, problem))
                }
            });
        }
        // What is refused claims nothing.
        seen.extend(Claim::of(&prepared).map(|claim| digest_of_claim(&claim)).chain([content]));
        Ok(prepared)
    }
}

/// What the store tells.
async fn second_look(run: &Run, prepared: Prepared) -> Result<Fate> {
    let engine = &run.engine;
    if let Some(stored) = engine.found(&prepared).await? {
        return run.met(prepared, Some(stored), Members::Any).await;
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
