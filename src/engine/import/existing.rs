//! What is there already under the id of what is imported: the same, or something else.

use super::super::export::SECRETS;
use super::super::plan::{Planned, contended, document_of};
use super::super::write::{Action, Write};
use super::super::{Engine, failure_of};
use super::OnConflict;
use super::commit::{Fate, Members, Run};
use super::read::{Prepared, body};
use crate::base::limits;
use crate::event::Kind;
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::{Detail, Document, Effect, StoreError, StoreErrorKind, Stored};
use serde_json::Value;
use std::collections::BTreeMap;

impl Engine {
    /// What is there, with all that can differ.
    pub(super) async fn found(&self, prepared: &Prepared) -> Result<Option<Stored>, StoreError> {
        let detail = Detail { members: prepared.kind.members().is_some(), groups: false, secrets: true };
        self.store.get(&prepared.key, detail).await
    }
}

impl Run {
    /// What becomes of a resource whose id is taken.
    pub(super) async fn met(&self, prepared: Prepared, stored: Option<Stored>, members: Members) -> Result<Fate, StoreError> {
        let Some(stored) = stored else {
            let problem = "Another resource has this 'id', one of another type or one that has just been deleted.";
            return Ok(Fate::Refused(Error::new(ErrorKind::Uniqueness, problem)));
        };
        let differences = match differences(&prepared, &stored) {
            Ok(differences) => differences,
            Err(error) => return Ok(Fate::Refused(error)),
        };
        if differences.is_empty() {
            return Ok(Fate::Present);
        }
        match self.terms.on_conflict {
            OnConflict::Skip => Ok(Fate::Skipped),
            OnConflict::Replace if self.terms.rehearse => Ok(Fate::Replaced),
            OnConflict::Replace => Ok(match self.engine.replace_with(&prepared, members).await {
                Ok(unknown) if unknown.is_empty() => Fate::Replaced,
                Ok(unknown) => Fate::Waits(Box::new(prepared), unknown),
                Err(error) => Fate::Refused(error),
            }),
            OnConflict::Refuse => {
                let problem = format!("The resource of this 'id' is another one here: it differs in {}.", differences.join(", "));
                Ok(Fate::Refused(Error::new(ErrorKind::Uniqueness, problem)))
            }
        }
    }
}

/// The names of what differs. A clear secret is compared with nothing: that would take as long as to hash it.
fn differences(prepared: &Prepared, stored: &Stored) -> Result<Vec<String>> {
    let (is, was) = (object(&prepared.document.body), document_of(stored)?);
    let names = is.keys().chain(was.keys().filter(|name| !is.contains_key(*name))).filter(|name| *name != "schemas");
    let mut differences: Vec<String> = names.filter(|name| is.get(*name) != was.get(*name)).cloned().collect();
    if prepared.kind.members().is_some() {
        let wanted: BTreeMap<_, _> = prepared.members.iter().map(|member| (&member.id, &member.display)).collect();
        let there: BTreeMap<_, _> = stored.members.iter().flatten().map(|member| (&member.id, &member.display)).collect();
        if wanted != there {
            differences.push("members".into());
        }
    }
    if let Some(hashed) = &prepared.document.secrets {
        let there = stored.secrets.as_deref().map(|secrets| object(secrets.as_bytes())).unwrap_or_default();
        let wanted = object(hashed.as_bytes());
        differences.extend(wanted.iter().filter(|(path, hash)| there.get(*path) != Some(*hash)).map(|(path, _)| path.clone()));
    }
    Ok(differences)
}

/// A JSON object that we have written.
fn object(text: &[u8]) -> Object {
    serde_json::from_slice(text).unwrap_or_default()
}

impl Engine {
    /// Replaces what is there as by a PUT, with the hashed secrets that the file brings. It tells of it by its events, as every step of a
    /// version that receivers know of (I1). Returns the ids of members for whose sake it is not replaced, because they name nothing yet.
    async fn replace_with(&self, prepared: &Prepared, members: Members) -> Result<Vec<String>> {
        let mut value = body(prepared.text.as_deref().unwrap_or_default())?;
        if let Some(object) = value.as_object_mut() {
            object.shift_remove(SECRETS);
        }
        let txn = self.txn();
        for _ in 0..limits::REPLANS {
            let write =
                Write { kind: &prepared.kind, key: prepared.key.clone(), action: Action::Replace(&value), precondition: None };
            let mut planned = self.plan_write(&write, Detail::default()).await?;
            // Clear secrets have been hashed by the plan; hashed ones are taken as they are.
            if let Some(hashed) = prepared.document.secrets.as_deref().filter(|_| prepared.secrets.is_empty()) {
                self.take_hashes(&mut planned, hashed).await?;
            }
            if planned.changes_nothing() {
                return Ok(Vec::new());
            }
            planned.change.known_members_only = members == Members::Known;
            match self.commit(planned.at, &txn, planned.change).await {
                Ok(_) => return Ok(Vec::new()),
                Err(StoreError { kind: StoreErrorKind::UnknownMembers(ids), .. }) => return Ok(ids),
                Err(error) if error.kind == StoreErrorKind::Stale => {}
                Err(error) => return Err(failure_of(&error, &prepared.key.id)),
            }
        }
        Err(contended())
    }

    async fn take_hashes(&self, planned: &mut Planned, hashed: &str) -> Result<()> {
        let before = self.load(&planned.change.key, None, Detail::default()).await?;
        let mut secrets = before.stored.secrets.as_deref().map(|secrets| object(secrets.as_bytes())).unwrap_or_default();
        let mut changed = Vec::new();
        for (path, hash) in object(hashed.as_bytes()) {
            if secrets.get(&path) != Some(&hash) {
                secrets.insert(path.clone(), hash);
                changed.push(path);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let text = Some(Value::Object(secrets).to_string());
        if let Effect::Replace(document) = &mut planned.change.effect {
            document.secrets = text;
        } else {
            let of = |name: &str| before.document.get(name).and_then(Value::as_str).map(str::to_owned);
            let (external_id, display) = (of("externalId"), of("displayName"));
            let document = Document { body: before.stored.body, external_id, display, secrets: text, ..Document::default() };
            planned.change.effect = Effect::Replace(document);
        }
        let put = planned.change.events.iter_mut().filter(|template| template.kind == Kind::Put);
        put.for_each(|template| template.attributes.extend(changed.iter().cloned()));
        Ok(())
    }
}
