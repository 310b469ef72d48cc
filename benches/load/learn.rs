//! Learns which rows a request writes, by looking at the server's own database before and after it.
//!
//! The bare loop and the loader write what was learnt, so that they cannot fall behind the server's schema: the same tables,
//! indexes and contents, with the user's names and identifiers replaced.

use crate::Result;
use crate::person::Person;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A table, as much of it as matters here.
#[derive(Clone, Debug)]
struct Table {
    name: String,
    columns: Vec<String>,
    /// What tells rows apart: the primary key, if any, then other unique indexes; by column number.
    keys: Vec<Vec<usize>>,
}

/// Every row of a database, by table and key.
#[derive(Debug)]
pub(crate) struct Snapshot {
    tables: Vec<Table>,
    rows: BTreeMap<(usize, String), Vec<Value>>,
}

impl Snapshot {
    /// Reads a whole database: a small one.
    pub(crate) fn read(connection: &Connection) -> Result<Self> {
        let tables = tables(connection)?;
        let mut rows = BTreeMap::new();
        for (number, table) in tables.iter().enumerate() {
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{}\"", table.name))?;
            let mut found = statement.query([])?;
            while let Some(row) = found.next()? {
                let values = (0..table.columns.len()).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>()?;
                let key: Vec<&Value> = table.keys[0].iter().map(|column| &values[*column]).collect();
                rows.insert((number, format!("{key:?}")), values);
            }
        }
        Ok(Self { tables, rows })
    }

    /// What a request about a user did between two snapshots.
    fn differences(&self, after: &Self, person: &Person) -> Vec<Difference> {
        let mut differences = Vec::new();
        for (key, row) in &after.rows {
            let old = self.rows.get(key);
            if old != Some(row) {
                differences.push(self.difference(key.0, old, Some(row), person));
            }
        }
        let gone = self.rows.iter().filter(|(key, _)| !after.rows.contains_key(*key));
        differences.extend(gone.map(|(key, row)| self.difference(key.0, Some(row), None, person)));
        differences.sort_by_key(Difference::shape);
        differences
    }

    fn difference(&self, table: usize, old: Option<&Vec<Value>>, new: Option<&Vec<Value>>, person: &Person) -> Difference {
        let cells = |row: &Vec<Value>| row.iter().map(|value| Cell::of(value, person)).collect();
        Difference { table: self.tables[table].clone(), old: old.map(cells), new: new.map(cells) }
    }
}

fn tables(connection: &Connection) -> Result<Vec<Table>> {
    let mut names = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
    let names = names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    names.into_iter().map(|name| table(connection, name)).collect()
}

fn table(connection: &Connection, name: String) -> Result<Table> {
    let mut information = connection.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
    let found = information.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found = found.collect::<rusqlite::Result<Vec<(String, u16)>>>()?;
    let mut primary: Vec<(u16, usize)> =
        found.iter().enumerate().filter(|(_, (_, key))| *key > 0).map(|(column, (_, key))| (*key, column)).collect();
    primary.sort_unstable();
    let primary: Vec<usize> = primary.into_iter().map(|(_, column)| column).collect();
    let mut keys: Vec<Vec<usize>> = if primary.is_empty() { Vec::new() } else { vec![primary] };
    let sql = "SELECT list.name, info.cid FROM pragma_index_list(?1) list, pragma_index_info(list.name) info \
               WHERE list.\"unique\" AND NOT list.partial ORDER BY list.seq, info.seqno";
    let mut indexes = connection.prepare(sql)?;
    let mut found_indexes = indexes.query([&name])?;
    let mut last = String::new();
    while let Some(row) = found_indexes.next()? {
        let index: String = row.get(0)?;
        if index != last {
            keys.push(Vec::new());
            last = index;
        }
        if let Some(key) = keys.last_mut() {
            key.push(usize::from(row.get::<_, u16>(1)?));
        }
    }
    if keys.is_empty() {
        return Err(format!("table {name} has nothing that tells its rows apart").into());
    }
    Ok(Table { name, columns: found.into_iter().map(|(column, _)| column).collect(), keys })
}

/// One row that a request changed.
#[derive(Clone, Debug)]
struct Difference {
    table: Table,
    old: Option<Vec<Cell>>,
    new: Option<Vec<Cell>>,
}

impl Difference {
    /// The same for the same difference of another user.
    fn shape(&self) -> String {
        let one = |cell: &Cell| match cell {
            Cell::Number(_) => "number".to_owned(),
            Cell::Time(_) => "time".to_owned(),
            Cell::Pieces(pieces, _) => pieces.iter().map(Piece::shape).collect(),
            other => format!("{other:?}"),
        };
        let shape = |cells: &Option<Vec<Cell>>| cells.as_ref().map(|cells| cells.iter().map(one).collect::<Vec<_>>());
        format!("{} {:?} {:?}", self.table.name, shape(&self.old), shape(&self.new))
    }
}

/// A value, with what is to be replaced in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Always the same.
    Same(Value),
    /// A time in milliseconds.
    Time(i64),
    /// A small number.
    Number(i64),
    /// Text or bytes with the user's token or identifier within.
    Pieces(Vec<Piece>, bool),
    /// A new identifier.
    Fresh(Spelling),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// As it is.
    Literal(Vec<u8>),
    /// A time (RFC 3339 in UTC with milliseconds).
    Time(Vec<u8>),
    /// The user's token in hexadecimal.
    Token,
    /// The user's identifier.
    Id(Spelling),
}

impl Piece {
    fn shape(&self) -> String {
        match self {
            Self::Literal(literal) => String::from_utf8_lossy(literal).into_owned(),
            Self::Time(_) => "{time}".to_owned(),
            Self::Token => "{token}".to_owned(),
            Self::Id(spelling) => format!("{{id {spelling:?}}}"),
        }
    }

    fn time_at(bytes: &[u8]) -> Option<(Self, usize)> {
        const FORM: &[u8] = b"0000-00-00T00:00:00.000Z";
        let start = bytes.get(..FORM.len())?;
        let fits = start.iter().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form });
        fits.then(|| (Self::Time(start.to_vec()), FORM.len()))
    }
}

/// How an identifier is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// 16 bytes.
    Bytes,
    /// With hyphens.
    Hyphenated,
    /// Without.
    Simple,
}

impl Spelling {
    const ALL: [Self; 3] = [Self::Bytes, Self::Hyphenated, Self::Simple];

    /// An identifier, spelled so.
    pub(crate) fn spell(self, id: Uuid) -> Vec<u8> {
        match self {
            Self::Bytes => id.as_bytes().to_vec(),
            Self::Hyphenated => id.hyphenated().to_string().into_bytes(),
            Self::Simple => id.simple().to_string().into_bytes(),
        }
    }
}

impl Cell {
    fn of(value: &Value, person: &Person) -> Self {
        const EARLIEST_TIME_MS: i64 = 1_000_000_000_000;
        let (bytes, is_text) = match value {
            Value::Integer(number) if *number < EARLIEST_TIME_MS => return Self::Number(*number),
            Value::Integer(number) => return Self::Time(*number),
            Value::Text(text) => (text.as_bytes(), true),
            Value::Blob(bytes) => (bytes.as_slice(), false),
            other => return Self::Same(other.clone()),
        };
        let pieces = pieces(bytes, person);
        if pieces.iter().any(|piece| !matches!(piece, Piece::Literal(_))) {
            return Self::Pieces(pieces, is_text);
        }
        match (is_text, std::str::from_utf8(bytes).ok().map(Uuid::try_parse), bytes.len()) {
            (false, _, 16) => Self::Fresh(Spelling::Bytes),
            (true, Some(Ok(_)), 36) => Self::Fresh(Spelling::Hyphenated),
            (true, Some(Ok(_)), 32) => Self::Fresh(Spelling::Simple),
            _ => Self::Same(value.clone()),
        }
    }

    fn is_about_the_user(&self) -> bool {
        matches!(self, Self::Pieces(pieces, _) if pieces.iter().any(|piece| matches!(piece, Piece::Token | Piece::Id(_))))
    }
}

fn pieces(bytes: &[u8], person: &Person) -> Vec<Piece> {
    let mut needles = vec![(Piece::Token, format!("{:016x}", person.token).into_bytes())];
    needles.extend(Spelling::ALL.map(|spelling| (Piece::Id(spelling), spelling.spell(person.id))));
    let mut pieces = Vec::new();
    let mut literal = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let needle = needles.iter().find(|(_, needle)| bytes[at..].starts_with(needle));
        let found = needle.map(|(piece, needle)| (piece.clone(), needle.len())).or_else(|| Piece::time_at(&bytes[at..]));
        let Some((piece, length)) = found else {
            literal.push(bytes[at]);
            at += 1;
            continue;
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(piece);
        at += length;
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    pieces
}

/// A statement of the recipe, and how its parameters are made.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The statement.
    pub(crate) sql: String,
    /// Its parameters, in order.
    pub(crate) parameters: Vec<Parameter>,
}

/// How a parameter is made.
#[derive(Clone, Debug)]
pub(crate) enum Parameter {
    /// From a cell.
    Cell(Cell),
    /// The next number of a column that counts: by how much, and the statement that reads its highest value.
    Next(i64, String),
    /// A difference, times the number of users in the transaction.
    Times(i64),
}

/// Requests of one kind: the user, and the database before and after.
pub(crate) type Observed = Vec<(Person, Snapshot, Snapshot)>;

/// All that one request writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipe {
    /// Once for each user.
    pub(crate) rows: Vec<Step>,
    /// Once for each transaction: rows that all users share, such as counters.
    pub(crate) shared: Vec<Step>,
}

impl Recipe {
    /// The recipe behind requests of one kind. What counts up shows in the difference between the last two.
    pub(crate) fn learn(observed: &Observed) -> Result<Self> {
        let [.., first, second] = observed.as_slice() else { return Err("a recipe needs two requests".into()) };
        let one = first.1.differences(&first.2, &first.0);
        let two = second.1.differences(&second.2, &second.0);
        let shapes = |differences: &[Difference]| differences.iter().map(Difference::shape).collect::<Vec<_>>();
        let (shapes_one, shapes_two) = (shapes(&one), shapes(&two));
        if two.is_empty() || shapes_one != shapes_two {
            return Err(format!("two requests of a kind did not write the same:\n{shapes_one:#?}\n{shapes_two:#?}").into());
        }
        let mut recipe = Self::default();
        for (one, two) in one.iter().zip(&two) {
            recipe.add(one, two)?;
        }
        Ok(recipe)
    }

    fn add(&mut self, one: &Difference, two: &Difference) -> Result<()> {
        match (&one.new, &two.old, &two.new) {
            (Some(one_new), None, Some(new)) => self.rows.push(insert(&two.table, one_new, new)),
            (_, Some(old), new) => {
                let about = |key: &&Vec<usize>| key.iter().any(|column| old[*column].is_about_the_user());
                let key = two.table.keys.iter().find(about);
                let step = change(&two.table, key.unwrap_or(&two.table.keys[0]), old, new.as_deref());
                match key {
                    Some(_) => self.rows.push(step),
                    None => self.shared.push(step),
                }
            }
            _ => return Err(format!("table {} is written in a way that is not understood", two.table.name).into()),
        }
        Ok(())
    }
}

fn insert(table: &Table, one: &[Cell], two: &[Cell]) -> Step {
    let parameters = one.iter().zip(two).enumerate().map(|(column, cells)| match cells {
        (Cell::Number(one), Cell::Number(two)) if one != two => {
            Parameter::Next(two - one, format!("SELECT max(\"{}\") FROM \"{}\"", table.columns[column], table.name))
        }
        (_, two) => Parameter::Cell(two.clone()),
    });
    let columns: Vec<String> = table.columns.iter().map(|column| format!("\"{column}\"")).collect();
    let marks = vec!["?"; columns.len()];
    let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({})", table.name, columns.join(", "), marks.join(", "));
    Step { sql, parameters: parameters.collect() }
}

fn change(table: &Table, key: &[usize], old: &[Cell], new: Option<&[Cell]>) -> Step {
    let mut parameters = Vec::new();
    let mut sql = match new {
        None => format!("DELETE FROM \"{}\"", table.name),
        Some(_) => format!("UPDATE \"{}\" SET ", table.name),
    };
    let mut assignments = Vec::new();
    for (column, cell) in new.unwrap_or_default().iter().enumerate().filter(|(column, cell)| old[*column] != **cell) {
        let name = &table.columns[column];
        if let (Cell::Number(old), Cell::Number(new)) = (&old[column], cell) {
            assignments.push(format!("\"{name}\" = \"{name}\" + ?"));
            parameters.push(Parameter::Times(new - old));
        } else {
            assignments.push(format!("\"{name}\" = ?"));
            parameters.push(Parameter::Cell(cell.clone()));
        }
    }
    sql.push_str(&assignments.join(", "));
    let conditions: Vec<String> = key.iter().map(|column| format!("\"{}\" = ?", table.columns[*column])).collect();
    parameters.extend(key.iter().map(|column| Parameter::Cell(old[*column].clone())));
    Step { sql: format!("{sql} WHERE {}", conditions.join(" AND ")), parameters }
}
