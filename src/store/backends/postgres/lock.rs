//! Locks what units touch, and reads what they rest on.

use super::Shared;
use super::column::{count, id_bytes, id_of, key_bytes, tenant_number, write_failed as failed};
use crate::base::id::{ResourceId, Tenant, TypeCode};
use crate::scim::resource::Member;
use crate::store::Result;
use crate::store::apply::Facts;
use crate::store::sql::draft::{IndexKey, Membership, Named, Needs, Read, Row};
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// Resources, locked in the order of ids, which is the same for every node. Each is named by its whole key: asked for one of several types,
/// a database that knows nothing of the table yet may walk through all the tenant's.
pub(super) const LOCK: &str = "SELECT r.tenant, r.id, r.type, r.version, r.revision, r.member_count, r.external_id \
    FROM unnest($1::int[], $2::int[], $3::bytea[]) AS wanted (tenant, type, id) \
    JOIN resource r ON r.tenant = wanted.tenant AND r.type = wanted.type AND r.id = wanted.id \
    ORDER BY r.tenant, r.id, r.type FOR UPDATE OF r";
const PARENTS: &str = "SELECT m.tenant, m.group_id, m.member_id FROM unnest($1::int[], $2::bytea[]) AS wanted (tenant, id) \
    JOIN member m ON m.tenant = wanted.tenant AND m.member_id = wanted.id";
const HOLDERS: &str = "SELECT wanted.number, k.id FROM unnest($1::int[], $2::int[], $3::int[], $4::bytea[]) WITH ORDINALITY \
    AS wanted (tenant, type, path, value, number) \
    JOIN unique_key k ON k.tenant = wanted.tenant AND k.type = wanted.type AND k.path = wanted.path AND k.value = wanted.value";
const JOINED: &str = "SELECT m.tenant, m.group_id, m.member_id, m.kind, m.display \
    FROM unnest($1::int[], $2::bytea[], $3::bytea[]) AS wanted (tenant, group_id, member_id) \
    JOIN member m ON m.tenant = wanted.tenant AND m.group_id = wanted.group_id AND m.member_id = wanted.member_id";
const WHOLE: &str = "SELECT m.tenant, m.group_id, m.member_id, m.kind, m.display \
    FROM unnest($1::int[], $2::bytea[]) AS wanted (tenant, id) JOIN member m ON m.tenant = wanted.tenant AND m.group_id = wanted.id";

fn tenant_of(number: i32) -> Tenant {
    Tenant(u32::try_from(number).unwrap_or_default())
}

/// Resources as two arrays: tenants and ids.
pub(super) fn columns<'n>(names: impl Iterator<Item = &'n Named>) -> (Vec<i32>, Vec<Vec<u8>>) {
    names.map(|(tenant, id)| (tenant_number(*tenant), id_bytes(id))).unzip()
}

/// Locks and reads, within a transaction.
pub(super) async fn read(connection: &mut PgConnection, shared: &Shared, needs: &Needs) -> Result<Read> {
    let types: Vec<i32> = shared.catalogue.all_codes().map(|code| i32::from(code.0)).collect();
    let mut read = Read::default();
    let mut locked: BTreeSet<Named> = BTreeSet::new();
    let mut wanted = needs.resources.clone();
    if !needs.ending.is_empty() {
        wanted.extend(parents(connection, needs).await?.into_iter().map(|(tenant, group, _)| (tenant, group)));
    }
    while !wanted.is_empty() {
        read.resources.extend(lock(connection, &types, &wanted).await?);
        locked.append(&mut wanted);
        if !needs.ending.is_empty() {
            // What ends is locked now, so that nobody lets it join another group; it may have joined one before.
            read.parents = parents(connection, needs).await?;
            let groups = read.parents.iter().map(|(tenant, group, _)| (*tenant, group.clone()));
            wanted = groups.filter(|group| !locked.contains(group)).collect();
        }
    }
    if !needs.claims.is_empty() {
        read.claims = holders(connection, &needs.claims).await?;
    }
    let counts: BTreeMap<&Named, u64> = read.resources.iter().map(|(name, row)| (name, row.facts.member_count)).collect();
    let size = |name: &Named| counts.get(name).copied().unwrap_or(0);
    let whole: BTreeSet<&Named> =
        needs.whole.iter().filter(|(name, most)| (1..=**most).contains(&size(name))).map(|(name, _)| name).collect();
    let single: Vec<&Membership> = needs
        .memberships
        .iter()
        .filter(|(tenant, group, _)| {
            let group = (*tenant, group.clone());
            size(&group) > 0 && !whole.contains(&group)
        })
        .collect();
    let mut members = Vec::new();
    if !whole.is_empty() {
        let (tenants, ids) = columns(whole.into_iter());
        let rows = sqlx::query(WHOLE).bind(tenants).bind(ids).fetch_all(&mut *connection).await;
        members.extend(rows.map_err(failed("read all members"))?);
    }
    if !single.is_empty() {
        let tenants: Vec<i32> = single.iter().map(|(tenant, ..)| tenant_number(*tenant)).collect();
        let groups: Vec<Vec<u8>> = single.iter().map(|(_, group, _)| id_bytes(group)).collect();
        let ids: Vec<Vec<u8>> = single.iter().map(|(.., id)| id_bytes(id)).collect();
        let rows = sqlx::query(JOINED).bind(tenants).bind(groups).bind(ids).fetch_all(&mut *connection).await;
        members.extend(rows.map_err(failed("read members"))?);
    }
    read.members = members.iter().map(member).collect::<Result<_>>()?;
    Ok(read)
}

/// Locks the resources of these ids, of whatever type.
async fn lock(connection: &mut PgConnection, types: &[i32], wanted: &BTreeSet<Named>) -> Result<Vec<(Named, Row)>> {
    let failed = failed("lock resources");
    let (mut tenants, mut kinds, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for ((tenant, id), kind) in wanted.iter().flat_map(|name| types.iter().map(move |kind| (name, *kind))) {
        tenants.push(tenant_number(*tenant));
        kinds.push(kind);
        ids.push(id_bytes(id));
    }
    let rows = sqlx::query(LOCK).bind(tenants).bind(kinds).bind(ids).fetch_all(connection).await.map_err(failed)?;
    let row = |row: &sqlx::postgres::PgRow| -> Result<(Named, Row)> {
        let number = |column: usize| row.try_get::<i64, _>(column).map(count).map_err(failed);
        let facts = Facts { version: number(3)?, revision: number(4)?, member_count: number(5)? };
        let kind = TypeCode(u16::try_from(row.try_get::<i32, _>(2).map_err(failed)?).unwrap_or_default());
        let external_id = row.try_get(6).map_err(failed)?;
        let name = (tenant_of(row.try_get(0).map_err(failed)?), id_of(row.try_get(1).map_err(failed)?)?);
        Ok((name, Row { kind, facts, external_id, written: None, modified: None }))
    };
    rows.iter().map(row).collect()
}

/// The groups that ending resources are in.
async fn parents(connection: &mut PgConnection, needs: &Needs) -> Result<Vec<Membership>> {
    let failed = failed("read groups");
    let (tenants, ids) = columns(needs.ending.iter());
    let rows = sqlx::query_as::<_, (i32, Vec<u8>, Vec<u8>)>(PARENTS).bind(tenants).bind(ids).fetch_all(connection).await;
    let membership = |(tenant, group, member): (i32, Vec<u8>, Vec<u8>)| -> Result<Membership> {
        Ok((tenant_of(tenant), id_of(&group)?, id_of(&member)?))
    };
    rows.map_err(failed)?.into_iter().map(membership).collect()
}

async fn holders(connection: &mut PgConnection, claims: &BTreeSet<IndexKey>) -> Result<Vec<(IndexKey, ResourceId)>> {
    let failed = failed("read unique keys");
    let claims: Vec<&IndexKey> = claims.iter().collect();
    let keys = IndexColumns::new(claims.iter().copied());
    let rows = sqlx::query_as::<_, (i64, Vec<u8>)>(HOLDERS).bind(keys.tenants).bind(keys.types).bind(keys.paths).bind(keys.values);
    let mut held = Vec::new();
    for (number, id) in rows.fetch_all(connection).await.map_err(failed)? {
        // They are counted from 1.
        let key = usize::try_from(number - 1).ok().and_then(|number| claims.get(number));
        if let Some(key) = key {
            held.push(((*key).clone(), id_of(&id)?));
        }
    }
    Ok(held)
}

fn member(row: &sqlx::postgres::PgRow) -> Result<(Named, Member)> {
    let failed = failed("read members");
    let bytes = |column: usize| row.try_get::<&[u8], _>(column).map_err(failed).and_then(id_of);
    let kind = row.try_get(3).map_err(failed)?;
    let display = row.try_get(4).map_err(failed)?;
    let group = (tenant_of(row.try_get(0).map_err(failed)?), bytes(1)?);
    Ok((group, Member { id: bytes(2)?, kind, display }))
}

/// Index keys as arrays.
#[derive(Debug, Default)]
pub(super) struct IndexColumns {
    pub(super) tenants: Vec<i32>,
    pub(super) types: Vec<i32>,
    pub(super) paths: Vec<i32>,
    pub(super) values: Vec<Vec<u8>>,
}

impl IndexColumns {
    pub(super) fn new<'k>(keys: impl Iterator<Item = &'k IndexKey>) -> Self {
        let mut columns = Self::default();
        for (tenant, kind, path, value) in keys {
            columns.tenants.push(tenant_number(*tenant));
            columns.types.push(i32::from(kind.0));
            columns.paths.push(i32::try_from(*path).unwrap_or(i32::MAX));
            columns.values.push(key_bytes(value));
        }
        columns
    }
}

#[cfg(all(test, feature = "servers"))]
mod tests;
