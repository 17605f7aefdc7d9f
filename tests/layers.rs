//! Imports point down only, so that no circle ever grows.

use std::collections::BTreeMap;
use std::path::Path;

/// The floors of `src/`, from the roof to the ground. A module may import from lower floors, and from its own folder.
const FLOORS: [&[&str]; 11] = [
    &["cli"],
    &["run", "verify"],
    &["plan"],
    &["pipeline"],
    &["augment", "loader", "segment"],
    &["corpus", "featurize"],
    &["transform", "write"],
    &["encode"],
    &["load", "resample", "manifest", "seed"],
    &["spectrum"],
    &["audio", "durable", "engines", "error", "family", "isolation", "nearest", "rejects", "value", "variables"],
];

/// The roofs of the project: they only hand over.
const ROOFS: [&str; 2] = ["lib", "main"];

#[test]
fn imports_point_down() {
    let floor_of: BTreeMap<&str, usize> = FLOORS
        .iter()
        .enumerate()
        .flat_map(|(floor, modules)| modules.iter().map(move |module| (*module, floor)))
        .collect();
    let source = Path::new("src");
    let (mut files, mut imports) = (0, 0);
    for entry in walkdir::WalkDir::new(source).into_iter().map(Result::unwrap) {
        if entry.path().extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        files += 1;
        let inside = entry.path().strip_prefix(source).unwrap();
        let module =
            inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ROOFS.contains(&module.as_str()) {
            continue;
        }
        let floor =
            floor_of.get(module.as_str()).unwrap_or_else(|| panic!("`{module}` stands on no floor: add it to FLOORS"));
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for import in imported(&text) {
            let Some(other) = floor_of.get(import) else { continue };
            imports += 1;
            let allowed = import == module || other > floor;
            assert!(allowed, "{}: `{module}` imports `{import}`, which is not below it", inside.display());
        }
    }
    assert!(files > 40 && imports > 60, "saw {files} files with {imports} imports");
}

/// The top-level modules that a file names after `crate::`.
fn imported(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.inspect(|line| assert!(!line.contains("crate::{"), "one import a line: {line}"))
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            &rest[..end]
        })
}
