//! The house rules that a compiler does not check: floors, sizes, the table of backends, no sleeps, no tests left out.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const FILE_LINES: usize = 500;
/// Longest function body, in lines that hold code (clippy's `too_many_lines` counts so too).
const FUNCTION_LINES: usize = 70;
/// The floors, lowest first. Modules on one floor stay apart, but for [`NEIGHBOURS`].
const FLOORS: [&[&str]; 7] =
    [&["base"], &["scim", "event"], &["store"], &["auth"], &["engine", "delivery"], &["http"], &["app", "cli", "config"]];
/// Who may import from a module on its own floor.
const NEIGHBOURS: [(&str, &str); 4] = [("event", "scim"), ("app", "config"), ("cli", "app"), ("cli", "config")];
/// Files that may sleep for a fixed time, each with its reason. There should be none.
const SLEEPERS: [(&str, &str); 0] = [];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let backends = backend_modules(root);
    let mut found = Vec::new();
    for file in rust_files(root) {
        let name = file.strip_prefix(root).expect("a file of the crate").to_string_lossy().replace('\\', "/");
        found.extend(check(&name, &fs::read_to_string(&file).expect("a readable file"), &backends));
    }
    let table = fs::read_to_string(root.join("src/store/backends.rs")).expect("the table of backends");
    found.extend(missing_in_table(&table, &backends));
    assert!(found.is_empty(), "{} untidy places:\n{}", found.len(), found.join("\n"));
}

/// Everything that is untidy in one file, as `name:line: what`.
fn check(name: &str, text: &str, backends: &[String]) -> Vec<String> {
    let code = mask(text);
    let mut found = Vec::new();
    if text.lines().count() > FILE_LINES {
        found.push(format!("{name}:1: longer than {FILE_LINES} lines"));
    }
    // A module of unit tests says by its name what it holds.
    let is_unit_test = name.starts_with("src/") && (name.contains("/tests/") || name.ends_with("/tests.rs"));
    if !is_unit_test && !text.starts_with("//!") {
        found.push(format!("{name}:1: no //! line that says what lives here"));
    }
    for (line, length) in functions(&code) {
        if length > FUNCTION_LINES {
            found.push(format!("{name}:{line}: a function of {length} lines, more than {FUNCTION_LINES}"));
        }
    }
    found.extend(imports_of(name, &code, backends));
    for (line, text) in code.lines().enumerate() {
        let at = |what: &str| format!("{name}:{}: {what}", line + 1);
        if text.contains("#[ignore") {
            found.push(at("a test that is left out"));
        }
        if ["sleep", "sleep_until", "sleep_ms"].iter().any(|word| has_word(text, word))
            && !SLEEPERS.iter().any(|(file, _)| *file == name)
        {
            found.push(at("a sleep: wait for a condition with a bound"));
        }
    }
    for (line, text) in text.lines().enumerate() {
        if ["home", "root", "work", "mnt", "opt"].iter().any(|folder| text.contains(&format!("/{folder}/"))) {
            found.push(format!("{name}:{}: an absolute path of a machine", line + 1));
        }
    }
    found
}

/// What a file of `src` imports from where it may not.
fn imports_of(name: &str, code: &str, backends: &[String]) -> Vec<String> {
    let Some(module) = name.strip_prefix("src/").map(module_path) else { return Vec::new() };
    let Some(own) = module.first().filter(|first| floor(first).is_some()) else { return Vec::new() };
    let tests_from = code.find("#[cfg(test)]").unwrap_or(code.len());
    let mut found = Vec::new();
    for (offset, path) in paths(code, &module) {
        let at = |what: String| format!("{name}:{}: {what}", code[..offset].matches('\n').count() + 1);
        let (Some(target), Some(from)) = (path.first(), floor(own)) else { continue };
        let Some(to) = floor(target) else { continue };
        if to > from {
            found.push(at(format!("{own} imports upward from {target}")));
        } else if to == from && target != own && !NEIGHBOURS.contains(&(own.as_str(), target.as_str())) {
            found.push(at(format!("{own} imports from {target} on the same floor")));
        }
        if path.len() > 2 && path[..2] == ["store", "backends"] && backends.contains(&path[2]) {
            let inside = module.len() > 2 && module[..2] == ["store", "backends"];
            let may =
                if inside { module[2] == path[2] } else { module == ["store", "backends"] || own == "app" || offset > tests_from };
            if !may {
                found.push(at(format!("{} names the backend {}", module.join("::"), path[2])));
            }
        }
    }
    found
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// `store/backends/sqlite/mod.rs` → `[store, backends, sqlite]`
fn module_path(file: &str) -> Vec<String> {
    let mut path: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    path.pop_if(|last| last == "mod");
    path
}

/// Every path that starts with `crate::` or `super::`, from the crate's root, with its offset. Groups in braces are spread.
fn paths(code: &str, module: &[String]) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = ["crate::", "super::"].iter().filter_map(|word| code[from..].find(word)).min().map(|at| from + at) {
        let is_word = !code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':');
        let mut rest = start;
        let mut base = Vec::new();
        if code[rest..].starts_with("crate::") {
            rest += "crate::".len();
        } else {
            base = module.to_vec();
            while code[rest..].starts_with("super::") {
                rest += "super::".len();
                base.pop();
            }
        }
        from = rest;
        if is_word {
            spread(&code[rest..], rest, &base, &mut found);
        }
    }
    found
}

/// Reads `a::b`, `a::{b, c::d}` after a prefix; returns how many bytes it read.
fn spread(text: &str, offset: usize, prefix: &[String], found: &mut Vec<(usize, Vec<String>)>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        let name: String = text[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        at += name.len();
        if !name.is_empty() {
            path.push(name);
        }
        if text[at..].starts_with("::") {
            at += 2;
        } else if text[at..].starts_with('{') && (at == 0 || text[..at].ends_with("::")) {
            at += 1;
            while !text[at..].starts_with('}') && at < text.len() {
                let skipped = text[at..].len() - text[at..].trim_start_matches([',', ' ', '\n', '*', '\t']).len();
                at += skipped;
                let read = spread(&text[at..], offset + at, &path, found);
                at += read;
                if skipped + read == 0 {
                    at += text[at..].chars().next().map_or(1, char::len_utf8);
                }
            }
            return (at + 1).min(text.len());
        } else {
            found.push((offset, path));
            return at;
        }
    }
}

/// Where each function starts and how many lines of code its body holds.
fn functions(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = code[from..].find("fn ").map(|at| from + at) {
        from = start + 3;
        if code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let (mut nested, mut depth, mut open) = (0_i32, 0_i32, None);
        for (at, c) in code[from..].char_indices().map(|(at, c)| (from + at, c)) {
            match c {
                '(' | '[' if open.is_none() => nested += 1,
                ')' | ']' if open.is_none() => nested -= 1,
                ';' if open.is_none() && nested <= 0 => break,
                '{' => {
                    open.get_or_insert(at);
                    depth += 1;
                }
                '}' => depth -= 1,
                _ => {}
            }
            if let Some(body) = open.filter(|_| depth == 0) {
                let lines = code[body + 1..at].lines().filter(|line| !line.trim().is_empty()).count();
                found.push((code[..start].matches('\n').count() + 1, lines));
                break;
            }
        }
    }
    found
}

/// The text with everything in comments and literals blanked out, line for line and byte for byte.
fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if text[at..].starts_with("//") => text[at..].find('\n').map_or(bytes.len(), |end| at + end),
            b'/' if text[at..].starts_with("/*") => text[at..].find("*/").map_or(bytes.len(), |end| at + end + 2),
            b'"' => string_end(bytes, at),
            b'r' if starts_literal(&code) => raw_string_end(text, at).unwrap_or(at),
            b'\'' => character_end(text, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            let c = text[at..].chars().next().expect("a character");
            code.push(c);
            at += c.len_utf8();
        } else {
            code.extend(text.as_bytes()[at..end].iter().map(|byte| if *byte == b'\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// Whether an `r` after this code can begin a raw string: nothing of a name stands before it but the `b` of a byte string.
fn starts_literal(code: &str) -> bool {
    let before = code.strip_suffix('b').unwrap_or(code);
    !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn raw_string_end(text: &str, start: usize) -> Option<usize> {
    let hashes = text[start + 1..].bytes().take_while(|byte| *byte == b'#').count();
    let open = start + 1 + hashes;
    if text.as_bytes().get(open) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some(text[open + 1..].find(&close).map_or(text.len(), |end| open + 1 + end + close.len()))
}

/// The end of a character literal; `None` for a lifetime.
fn character_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start + 1..];
    let first = rest.chars().next()?;
    if first == '\\' {
        return rest[2..].find('\'').map(|end| start + 1 + 2 + end + 1);
    }
    rest[first.len_utf8()..].starts_with('\'').then(|| start + 1 + first.len_utf8() + 1)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Backends without a row: each must be declared and used in the table.
fn missing_in_table(table: &str, modules: &[String]) -> Vec<String> {
    let code = mask(table);
    let is_missing = |name: &&String| !code.contains(&format!("mod {name};")) || !code.contains(&format!("{name}::"));
    modules.iter().filter(is_missing).map(|name| format!("src/store/backends.rs:1: no row for the backend {name}")).collect()
}

fn backend_modules(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("src/store/backends")).expect("the folder of backends");
    let names = entries.map(|entry| entry.expect("an entry").path());
    names.filter_map(|path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned())).collect()
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "benches"].iter().map(|name| root.join(name)).filter(|path| path.is_dir()).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(files.len() > 30, "only {} files found", files.len());
    files
}

/// The tidy test's own test: each rule sees what it must, and no more.
mod itself {
    use super::{FUNCTION_LINES, check, mask, missing_in_table};

    fn found(name: &str, code: &str) -> Vec<String> {
        check(name, &format!("//! A module.\n{code}\n"), &["memory", "sqlite"].map(str::to_owned))
    }

    #[test]
    fn upward_and_sideways_imports_are_seen() {
        for (name, code) in [
            ("src/base/id.rs", "use crate::scim::Object;"),
            ("src/scim/patch.rs", "fn f() -> crate::store::Unit { crate::store::unit() }"),
            ("src/scim/diff.rs", "use crate::event::Kind;"),
            ("src/event/plan.rs", "use crate::{base::id::Key, store::{Unit, unit}};"),
            ("src/store/mod.rs", "use crate::auth::Caller;"),
            ("src/engine/create.rs", "use super::super::http::router;"),
            ("src/engine/mod.rs", "use crate::{\n    base::id::Key,\n    http::router,\n};"),
            ("src/http/router.rs", "use crate::config::Config;"),
            ("src/config.rs", "use crate::app::run;"),
            ("src/store/backends/memory.rs", "use super::sqlite::Writer;"),
            ("src/store/backends/memory.rs", "use crate::store::backends::sqlite::Writer;"),
            ("src/store/backends/sqlite/writer.rs", "use super::super::memory::State;"),
            ("src/engine/create.rs", "use crate::store::backends::sqlite::Writer;"),
        ] {
            assert!(!found(name, code).is_empty(), "{name}: {code}");
        }
    }

    #[test]
    fn imports_from_below_are_fine() {
        for (name, code) in [
            ("src/event/plan.rs", "use crate::scim::diff::Difference;\nuse super::Kind;"),
            (
                "src/http/mod.rs",
                "use crate::{base::id::Key, engine::Engine};\n// use crate::cli::x\nconst A: &str = \"crate::cli\";",
            ),
            ("src/app.rs", "use crate::config::Config;\nuse crate::store::backends::sqlite;"),
            ("src/store/backends/sqlite/writer.rs", "use super::reader::Reader;\nuse crate::store::backends::sqlite::reader;"),
            ("src/engine/create.rs", "#[cfg(test)]\nmod tests { use crate::store::backends::memory::Memory; use super::*; }"),
            ("src/store/mod.rs", "pub(crate) use ledger::Ledger;\nuse crate::store::backends::open;"),
        ] {
            assert_eq!(found(name, code), Vec::<String>::new(), "{name}: {code}");
        }
    }

    #[test]
    fn long_files_and_functions_are_seen() {
        let body = |lines: usize| {
            format!(
                "fn long<'a>(x: [u8; 3]) -> char {{\n{}\n    f('}}')\n}}",
                "    let x = \"}\"; // }\n".repeat(lines - 1).trim_end()
            )
        };
        assert_eq!(found("src/base/a.rs", &body(FUNCTION_LINES)), Vec::<String>::new());
        assert_eq!(found("src/base/a.rs", &body(FUNCTION_LINES + 1)), ["src/base/a.rs:2: a function of 71 lines, more than 70"]);
        assert_eq!(found("tests/a.rs", &"\n".repeat(500)), ["tests/a.rs:1: longer than 500 lines"]);
        assert_eq!(check("src/base/a.rs", "fn f() {}", &[]), ["src/base/a.rs:1: no //! line that says what lives here"]);
    }

    #[test]
    fn sleeps_and_tests_left_out_and_machine_paths_are_seen() {
        for code in [
            "std::thread::sleep(x);",
            "tokio::time::sleep(x).await;",
            "use tokio::time::{interval, sleep};",
            "#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"]",
        ] {
            assert_eq!(found("tests/a.rs", code).len(), 1, "{code}");
        }
        assert_eq!(found("tests/a.rs", &format!("const A: &str = \"/{}/me/x\";", "home")).len(), 1);
        assert_eq!(found("tests/a.rs", "// a sleep\nlet asleep = \"thread::sleep\"; GET(\"/Users/1\");"), Vec::<String>::new());
    }

    #[test]
    fn a_backend_without_a_row_is_seen() {
        let table = "pub mod memory;\n// pub mod files;\npub mod sqlite;\nconst ROWS: [Row; 1] = [memory::ROW]; // sqlite::ROW";
        let modules = ["memory", "sqlite", "files"].map(str::to_owned);
        let missing = missing_in_table(table, &modules);
        assert_eq!(missing, ["sqlite", "files"].map(|name| format!("src/store/backends.rs:1: no row for the backend {name}")));
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        let text = "a /* b */ \"c \\\" d\" 'e' '\\'' '\\u{1F}' 'life r#\"f \" g\"# br\"h\" // i\nü";
        let code = mask(text);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "'life", "b", "ü"]);
        assert_eq!(code.lines().count(), 2);
    }
}
