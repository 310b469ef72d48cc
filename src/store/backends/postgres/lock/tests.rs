//! What is read after the locks is newer than the locks. Two ways of reading that look as good, and lose what another node has done.

use super::*;
use crate::base::id::Key;
use crate::store::backends::postgres::server::{PATIENCE, Schema};
use crate::store::tests::fixture::{GROUP, USER, unit};
use crate::store::tests::{Fixture, key, user};
use crate::store::{Store as _, Unit};
use sqlx::{Connection as _, PgTransaction};
use std::sync::Arc;

const GROUP_ID: &str = "g";
const MEMBER_ID: &str = "m";
const NAME: &str = "ann";

/// The members and the version of the group, and who holds the name.
#[derive(Debug, PartialEq)]
struct Found {
    version: u64,
    members: usize,
    is_held: bool,
}

const BEFORE: Found = Found { version: 1, members: 0, is_held: false };
const AFTER: Found = Found { version: 2, members: 1, is_held: true };

/// What this unit rests on: it moves a member of the group, and a user takes the name.
fn needs(fixture: &Fixture, shared: &Shared) -> Needs {
    let unit: Unit = unit(2, vec![Fixture::move_members(GROUP_ID, &[MEMBER_ID], &[]), fixture.create(key(USER, "u"), &user(NAME))]);
    let mut needs = Needs::default();
    needs.add(&shared.catalogue, &unit).expect("needs");
    needs
}

/// As the writers read.
async fn after_the_locks(connection: &mut PgConnection, shared: &Shared, needs: &Needs) -> Found {
    let read = read(connection, shared, needs).await.expect("what it rests on");
    let group = read.resources.iter().find(|((_, id), _)| *id == ResourceId::parse(GROUP_ID)).expect("the group");
    // Of a group without members nobody is asked for.
    Found { version: group.1.facts.version, members: read.members.len(), is_held: !read.claims.is_empty() }
}

const FACTS: &str = "SELECT (SELECT count(*) FROM member WHERE group_id = $1), EXISTS (SELECT FROM unique_key WHERE id = $2)";

fn found((version, members, is_held): (i64, i64, bool)) -> Found {
    Found { version: count(version), members: usize::try_from(members).expect("a count"), is_held }
}

/// One round trip less: the lock, and what is read under it, in one statement.
async fn with_the_locks(connection: &mut PgConnection) -> Found {
    let sql = format!(
        "WITH locked AS MATERIALIZED (SELECT version FROM resource WHERE tenant = 0 AND id = $1 FOR UPDATE) \
         SELECT locked.version, facts.* FROM locked CROSS JOIN LATERAL ({FACTS}) AS facts"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id_bytes(&ResourceId::parse(GROUP_ID)));
    found(query.bind(id_bytes(&ResourceId::parse("x"))).fetch_one(connection).await.expect("facts"))
}

/// The statement that reads comes first, and the lock then.
async fn before_the_locks(connection: &mut PgConnection) -> Found {
    let sql = format!(
        "SELECT version, facts.* FROM resource CROSS JOIN ({FACTS}) AS facts WHERE resource.tenant = 0 AND resource.id = $1"
    );
    let group = id_bytes(&ResourceId::parse(GROUP_ID));
    let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(&group).bind(id_bytes(&ResourceId::parse("x")));
    let facts = query.fetch_one(&mut *connection).await.expect("facts");
    let lock = "SELECT FROM resource WHERE tenant = 0 AND id = $1 FOR UPDATE";
    sqlx::query(lock).bind(&group).execute(connection).await.expect("a lock");
    found(facts)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    After,
    With,
    Before,
}

/// Another node's transaction, up to its commit: a member joins, and a user takes the name.
async fn write(transaction: &mut PgTransaction<'_>, name: &IndexKey) {
    let group = id_bytes(&ResourceId::parse(GROUP_ID));
    let keys = IndexColumns::new(std::iter::once(name));
    let joins = "INSERT INTO member (tenant, group_id, member_id) VALUES (0, $1, $2)";
    let joins = sqlx::query(joins).bind(&group).bind(id_bytes(&ResourceId::parse(MEMBER_ID)));
    joins.execute(&mut **transaction).await.expect("a member");
    let grows = "UPDATE resource SET version = version + 1, member_count = member_count + 1 WHERE tenant = 0 AND id = $1";
    sqlx::query(grows).bind(&group).execute(&mut **transaction).await.expect("a version");
    let takes = "INSERT INTO unique_key (tenant, type, path, value, id) SELECT unnest($1::int[]), unnest($2::int[]), unnest($3::int[]), \
        unnest($4::bytea[]), $5";
    let takes = sqlx::query(takes).bind(keys.tenants).bind(keys.types).bind(keys.paths).bind(keys.values);
    takes.bind(id_bytes(&ResourceId::parse("x"))).execute(&mut **transaction).await.expect("a name");
}

/// Reads while another node holds the lock, which commits only when this one waits for it.
async fn race(way: Way) -> Found {
    const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock')";
    let schema = Schema::empty().await;
    let node = schema.node().await;
    let fixture = Fixture::new("memory");
    let document = crate::store::tests::group("G");
    let group: Key = key(GROUP, GROUP_ID);
    node.commit(unit(1, vec![fixture.create(group, &document)])).await.expect("a group");
    let needs = needs(&fixture, &node.shared);
    let name = needs.claims.iter().next().expect("a name").clone();
    let mut other = schema.connect().await;
    let mut transaction = other.begin().await.expect("a transaction");
    let lock = "SELECT FROM resource WHERE tenant = 0 AND id = $1 FOR UPDATE";
    sqlx::query(lock).bind(id_bytes(&ResourceId::parse(GROUP_ID))).execute(&mut *transaction).await.expect("a lock");
    let mut reader = schema.connect().await;
    let reading: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut reader).await.expect("a process");
    let shared = Arc::clone(&node.shared);
    let found = tokio::spawn(async move {
        let mut transaction = reader.begin().await.expect("a transaction");
        match way {
            Way::After => after_the_locks(&mut transaction, &shared, &needs).await,
            Way::With => with_the_locks(&mut transaction).await,
            Way::Before => before_the_locks(&mut transaction).await,
        }
    });
    let mut observer = schema.connect().await;
    let waits =
        async { while !sqlx::query_scalar::<_, bool>(WAITS).bind(reading).fetch_one(&mut observer).await.expect("a process") {} };
    tokio::time::timeout(PATIENCE, waits).await.expect("it waits for the lock");
    write(&mut transaction, &name).await;
    transaction.commit().await.expect("a commit");
    let found = tokio::time::timeout(PATIENCE, found).await.expect("in time").expect("facts");
    drop(node);
    schema.drop().await;
    found
}

/// I1: what the writers rest on is there when they have their locks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_has_done_is_seen_by_who_waited_for_its_lock() {
    assert_eq!(race(Way::After).await, AFTER);
}

/// The control: one statement has one snapshot, taken before it waits. The row that is locked is read again, and nothing else: the version
/// is the new one, the member and the name are not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_read_with_the_lock_miss_what_another_node_has_done() {
    assert_eq!(race(Way::With).await, Found { version: AFTER.version, ..BEFORE });
}

/// The control: a version that was read before the lock is the old one, and the other node's would be written over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_read_before_the_lock_miss_what_another_node_has_done() {
    assert_eq!(race(Way::Before).await, BEFORE);
}
