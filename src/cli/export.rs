//! `carillon export`: every resource as JSON lines, straight from the store.

use super::offline::{self, Opened, Place, Progress};
use super::serve::CANNOT_START;
use crate::base::id::Tenant;
use crate::base::limits;
use crate::engine::Extent;
use crate::scim::schema::ResourceType;
use crate::store::backends::Purpose;
use clap::Args;
use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// What is exported, and where to. Nothing changes in the store; servers on a PostgreSQL database may go on.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// File to be written, with mode 600; it is there once everything is in it (default: the standard output)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Resource type, such as User; repeatable (default: all types)
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Export hashed secrets as well, such as passwords
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    place: Place,
}

/// Writes the resources. Ends with 2 when the store cannot be opened, and with 1 for any other failure.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let opened = match offline::open(&arguments.place, Purpose::Read) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let kinds = match kinds(&opened, &arguments.types) {
        Ok(kinds) => kinds,
        Err(problem) => {
            eprintln!("Carillon cannot export:\n{problem}");
            return ExitCode::from(CANNOT_START);
        }
    };
    let outcome = match &arguments.output {
        None => export(&opened, &kinds, arguments, io::stdout().lock()).map(drop),
        Some(path) => to_file(&opened, &kinds, arguments, path),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::from(1),
        Err(error) => {
            eprintln!("Carillon cannot export: {error}");
            ExitCode::from(1)
        }
    }
}

/// The types of these names, in the order of the registry: users come before groups.
fn kinds(opened: &Opened, names: &[String]) -> Result<Vec<Arc<ResourceType>>, String> {
    let registry = opened.engine.registry();
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| registry.by_name(name).is_none()).collect();
    if !unknown.is_empty() {
        let there: Vec<&str> = registry.types().iter().map(|kind| kind.name.as_str()).collect();
        return Err(format!("--type {}: there are {}", unknown.join(", "), there.join(", ")));
    }
    let is_named = |kind: &ResourceType| names.iter().any(|name| name.eq_ignore_ascii_case(&kind.name));
    let is_wanted = |kind: &&Arc<ResourceType>| names.is_empty() || is_named(kind);
    Ok(registry.types().iter().filter(is_wanted).cloned().collect())
}

/// Writes beside the file, and takes its place at the end: an export that came to an early end leaves what was there.
fn to_file(opened: &Opened, kinds: &[Arc<ResourceType>], arguments: &Arguments, path: &Path) -> io::Result<()> {
    let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut name = path.file_name().map(ToOwned::to_owned).ok_or_else(|| about(ErrorKind::InvalidInput.into()))?;
    name.push(".part");
    let part = path.with_file_name(name);
    // A file that was left behind may have another mode, or be a link to elsewhere.
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(about(error)),
        _ => {}
    }
    let file = File::options().create_new(true).write(true).mode(0o600).open(&part).map_err(about)?;
    let written = export(opened, kinds, arguments, &file).and_then(|()| {
        file.sync_all()?;
        fs::rename(&part, path)
    });
    written.inspect_err(|_| drop(fs::remove_file(&part))).map_err(about)
}

fn export(opened: &Opened, kinds: &[Arc<ResourceType>], arguments: &Arguments, output: impl Write) -> io::Result<()> {
    let mut output = BufWriter::new(output);
    let (engine, tenant) = (&opened.engine, Tenant(0));
    let (mut done, mut longest) = (0_u64, 0);
    opened.runtime.block_on(async {
        let mut total = 0;
        for kind in kinds {
            total += engine.count_resources(tenant, kind.code).await?;
        }
        let progress = Progress::new(Some(total), false);
        for record in engine.registry().all_retired().iter().filter(|_| arguments.types.is_empty()) {
            let left = engine.count_resources(tenant, record.code).await?;
            if left > 0 {
                let name = &record.name;
                progress.note(&format!("not exported: {left} of {name}, a type that the settings do not know (SCHEMA_PATH)"));
            }
        }
        let each = |resource: &[u8]| {
            output.write_all(resource)?;
            output.write_all(b"\n")?;
            (done, longest) = (done + 1, resource.len().max(longest));
            if done.is_multiple_of(limits::EXPORT_PAGE_RESOURCES) {
                progress.at(done, done, "exported");
            }
            Ok(())
        };
        engine.export(tenant, kinds, Extent { groups: false, secrets: arguments.with_secrets }, &opened.base, each).await?;
        output.flush()?;
        progress.finish(done, &format!("exported {done}"));
        if longest > limits::IMPORT_LINE_BYTES {
            let mib = longest.div_ceil(1024 * 1024);
            progress.note(&format!("the longest line has {mib} MiB: to import it takes --max-line-mib {mib}"));
        }
        Ok(())
    })
}
