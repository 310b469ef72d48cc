//! The bare loop: writes what a recipe says, many users a transaction, with nothing around it. With other settings it is the
//! loader of large stores.

use crate::Result;
use crate::learn::{Cell, Parameter, Piece, Recipe, Spelling, Step};
use crate::person::Person;
use crate::random::Random;
use carillon::base::id::{Ids, TimeOrderedIds};
use carillon::base::limits;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Settings for loading: what fails is thrown away as a whole.
const LOADING: &str = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000000;";
/// Users in one transaction of the loader.
const LOADED_AT_ONCE: usize = 50_000;

/// A database that is written without a server.
#[derive(Debug)]
pub(crate) struct Replay {
    connection: Connection,
    counters: HashMap<String, i64>,
}

/// A statement's number, and its parameters.
type Row = (usize, Vec<Value>);

impl Replay {
    /// Opens the database of a data folder, to write as durably as the server, with its settings.
    pub(crate) fn durable(folder: &Path) -> Result<Self> {
        let (cache, pages) = (limits::WRITER_CACHE_KIB, limits::WAL_PAGES);
        let settings = format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -{cache}; PRAGMA wal_autocheckpoint = {pages};"
        );
        Self::open(folder, &settings)
    }

    fn open(folder: &Path, settings: &str) -> Result<Self> {
        let connection = Connection::open(database(folder)?)?;
        connection.execute_batch(settings)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection, counters: HashMap::new() })
    }

    /// Writes for these users in one transaction. Gives the time that the transaction took; what prepares its rows is not
    /// counted.
    pub(crate) fn write(&mut self, recipe: &Recipe, people: &[Person]) -> Result<Duration> {
        let rows = self.rows(recipe, people)?;
        let start = Instant::now();
        self.transaction(recipe, &rows)?;
        Ok(start.elapsed())
    }

    fn transaction(&mut self, recipe: &Recipe, rows: &[Row]) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        {
            let steps: Vec<&Step> = recipe.rows.iter().chain(&recipe.shared).collect();
            let mut statements =
                steps.iter().map(|step| transaction.prepare_cached(&step.sql)).collect::<rusqlite::Result<Vec<_>>>()?;
            for (step, parameters) in rows {
                if statements[*step].execute(params_from_iter(parameters))? != 1 {
                    return Err(format!("no row was changed: {}", steps[*step].sql).into());
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn rows(&mut self, recipe: &Recipe, people: &[Person]) -> Result<Vec<Row>> {
        let mut rows = Vec::with_capacity((recipe.rows.len()) * people.len() + recipe.shared.len());
        for person in people {
            for (number, step) in recipe.rows.iter().enumerate() {
                rows.push((number, self.parameters(step, person, 1)?));
            }
        }
        if let Some(person) = people.last() {
            let times = i64::try_from(people.len())?;
            for (number, step) in recipe.shared.iter().enumerate() {
                rows.push((recipe.rows.len() + number, self.parameters(step, person, times)?));
            }
        }
        Ok(rows)
    }

    fn parameters(&mut self, step: &Step, person: &Person, times: i64) -> Result<Vec<Value>> {
        step.parameters
            .iter()
            .map(|parameter| match parameter {
                Parameter::Cell(cell) => render(cell, person),
                Parameter::Times(number) => Ok(Value::Integer(number * times)),
                Parameter::Next(number, highest) => Ok(Value::Integer(self.next(*number, highest)?)),
            })
            .collect()
    }

    fn next(&mut self, by: i64, highest: &str) -> Result<i64> {
        if let Some(counter) = self.counters.get_mut(highest) {
            *counter += by;
            return Ok(*counter);
        }
        let now: Option<i64> = self.connection.query_row(highest, [], |row| row.get(0))?;
        let next = now.unwrap_or_default() + by;
        self.counters.insert(highest.to_owned(), next);
        Ok(next)
    }
}

fn render(cell: &Cell, person: &Person) -> Result<Value> {
    let (bytes, is_text) = match cell {
        Cell::Same(value) => return Ok(value.clone()),
        Cell::Number(number) | Cell::Time(number) => return Ok(Value::Integer(*number)),
        Cell::Fresh(spelling) => (spelling.spell(TimeOrderedIds.next()), *spelling != Spelling::Bytes),
        Cell::Pieces(pieces, is_text) => {
            let mut bytes = Vec::with_capacity(1024);
            for piece in pieces {
                match piece {
                    Piece::Literal(literal) | Piece::Time(literal) => bytes.extend_from_slice(literal),
                    Piece::Token => bytes.extend_from_slice(format!("{:016x}", person.token).as_bytes()),
                    Piece::Id(spelling) => bytes.extend(spelling.spell(person.id)),
                }
            }
            (bytes, *is_text)
        }
    };
    Ok(if is_text { Value::Text(String::from_utf8(bytes)?) } else { Value::Blob(bytes) })
}

/// Fills the database of a data folder with users, fast and without a thought for crashes.
pub(crate) fn load(folder: &Path, recipe: &Recipe, people: &[Person]) -> Result<()> {
    let mut replay = Replay::open(folder, LOADING)?;
    for people in people.chunks(LOADED_AT_ONCE) {
        replay.write(recipe, people)?;
    }
    replay.connection.execute_batch("PRAGMA journal_mode = WAL;")?;
    Ok(())
}

/// Copies a data folder whose server has ended, and waits until the copy is on disk, so that writing it does not weigh on what
/// is measured next.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        std::fs::copy(entry.path(), &target)?;
        std::fs::File::open(&target)?.sync_all()?;
    }
    Ok(())
}

/// The SQLite database of a data folder: the file that says it is one.
pub(crate) fn database(folder: &Path) -> Result<PathBuf> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_wal = path.extension().is_some_and(|end| end.to_string_lossy().ends_with("-wal"));
        if path.is_file() && !is_wal && starts_as_database(&path)? {
            return Ok(path);
        }
    }
    Err(format!("no database in {}", folder.display()).into())
}

fn starts_as_database(path: &Path) -> Result<bool> {
    use std::io::Read;
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(16).read_to_end(&mut start)?;
    Ok(start == b"SQLite format 3\0")
}

/// New users, with identifiers that grow as the server's do and random names.
pub(crate) fn people(count: usize) -> Vec<Person> {
    let mut random = Random::new();
    (0..count).map(|_| Person { id: TimeOrderedIds.next(), token: random.next() }).collect()
}
