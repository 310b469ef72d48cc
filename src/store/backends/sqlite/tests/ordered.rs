//! Pages in the order of an index: what they cost, and that it is known who has no value.

use super::super::Sqlite;
use super::super::reader::with_reader;
use super::*;
use crate::scim::compare::Comparable;
use crate::store::sql::plan::Plan;
use crate::store::{Position, Start};
use rusqlite::Row;
use serde_json::Value;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

fn known(name: &str, external: Option<&str>) -> Value {
    let mut document = user(name);
    if let Some(external) = external {
        document["externalId"] = external.into();
    }
    document
}

/// Those that the table names are those without an entry, for every index that holds one value of a resource.
pub(super) fn all_are_known(folder: &Path) {
    const NAMED: &str = "SELECT type, name, id FROM bare JOIN path ON code = path";
    const FOUND: &str = "SELECT r.type, name, id FROM resource r JOIN indexed i ON i.type = r.type JOIN path ON code = i.path \
        WHERE name <> 'emails.value' \
        EXCEPT SELECT type, name, id FROM (SELECT * FROM lookup UNION ALL SELECT * FROM unique_key) JOIN path ON code = path";
    let connection = Connection::open(folder.join("data/carillon.db")).expect("a connection");
    let read = |sql: &str| -> Vec<(u16, String, String)> {
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let mut statement = connection.prepare(&format!("{sql} ORDER BY 1, 2, 3")).expect(sql);
        statement.query_map([], row).and_then(Iterator::collect).expect(sql)
    };
    assert_eq!(read(NAMED), read(FOUND));
}

#[tokio::test]
async fn who_has_no_value_is_known_after_every_write() {
    let store = Fixture::new("sqlite");
    let folder = store.folder.path().to_owned();
    let (with, without) = (known("a", Some("x")), known("a", None));
    let id = |id: &str| key(USER, id);
    let steps = [
        vec![
            store.create(id("a"), &without),
            store.create(id("b"), &known("b", Some("y"))),
            store.create(key(GROUP, "g"), &group("g")),
        ],
        vec![store.replace(id("a"), &without, &with)],
        vec![store.replace(id("a"), &with, &known("a", Some("z")))],
        vec![store.replace(id("a"), &known("a", Some("z")), &without)],
        vec![store.delete(id("b"), &known("b", Some("y")))],
        vec![store.delete(id("a"), &without), store.create(id("a"), &with)],
        vec![store.replace(id("a"), &with, &without), store.replace(id("a"), &without, &with)],
        vec![store.create(id("c"), &known("c", None)), store.delete(id("c"), &known("c", None))],
        vec![store.delete(key(GROUP, "g"), &group("g"))],
    ];
    for changes in steps {
        store.commit(changes).await.expect("a commit");
        all_are_known(&folder);
    }
    // What fails leaves nothing behind.
    store.commit(vec![store.create(id("d"), &known("d", None)), store.create(id("e"), &with)]).await.expect_err("a taken name");
    all_are_known(&folder);
}

/// How many steps of SQLite's machine a page of ten takes, the second time that it is read.
fn steps(store: &Sqlite, shape: &Fixture, sort: &str, start: &Start) -> u64 {
    let query = shape.query(USER, None, Some(sort), start.clone(), 10);
    let plan = Plan::new(&store.shared.catalogue, &query);
    assert!(matches!(plan, Plan::Ordered(_)));
    let taken = Arc::new(AtomicU64::new(0));
    let read = |reader: &super::super::reader::Reader| {
        reader.search(&store.shared, &query, &plan)?;
        let counter = Arc::clone(&taken);
        let count = move || counter.fetch_add(1, Ordering::Relaxed) == u64::MAX;
        reader.connection.progress_handler(1, Some(count)).expect("a handler");
        let page = reader.search(&store.shared, &query, &plan)?;
        // After a place in the one stretch comes nothing where the other one is empty, and lies behind.
        let is_from_a_place = matches!(start, Start::After(Some(_)));
        assert!(page.resources.len() == 10 || is_from_a_place && page.resources.is_empty());
        reader.connection.progress_handler(0, None::<fn() -> bool>).expect("no handler");
        Ok(())
    };
    with_reader(&store.shared, Duration::from_mins(1), read).expect("a page");
    taken.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_page_in_an_order_costs_the_same_among_few_and_many() {
    // I8: half of the users have an externalId, all have a userName, and none has a nickName.
    let registry = Arc::new(Registry::builtin().with_indexed("User", "nickName"));
    let shape = Fixture { registry: Arc::clone(&registry), ..Fixture::new("memory") };
    let mut taken = Vec::new();
    for users in [200, 4_000] {
        let folder = TempDir::new().expect("a folder");
        let store = Sqlite::open(opening(&folder, &registry)).expect("a store");
        let create = |number: usize| {
            let name = format!("u{number:05}");
            shape.create(key(USER, &name), &known(&name, number.is_multiple_of(2).then_some(&*name)))
        };
        store.commit(unit(1, (0..users).map(create).collect())).await.expect("a commit");
        let after = |key: Option<&str>| {
            let key = key.map(|key| Comparable::Text(key.into()));
            Start::After(Some(Position { key, id: crate::base::id::ResourceId::parse("u00100") }))
        };
        let mut costs = Vec::new();
        for sort in ["userName", "-userName", "externalId", "-externalId", "nickName", "-nickName"] {
            for start in [Start::Offset(0), Start::Offset(50), Start::After(None), after(Some("u00100")), after(None)] {
                costs.push((sort, start.clone(), steps(&store, &shape, sort, &start)));
            }
        }
        taken.push(costs);
    }
    assert_eq!(taken[0], taken[1]);
}
