//! A folder of recordings, with what their names and neighbours say.
//!
//! Rows come in the order of their paths, compared byte by byte with `/` between folders, so that the table is the same
//! on every machine whatever order its disk lists files in.

mod name_pattern;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

pub use self::name_pattern::{NamePattern, NamePatternError};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::{AUDIO_EXTENSIONS, CorpusError, Place, Position, ReadCorpus, has_extension};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// Every recording below a folder, with columns taken from the file names.
///
/// An utterance is a file; its id is the path below `root` without the extension (`dev/7_jackson_3`). Two recordings
/// that differ only in their extension are an error, as they would have one id. Where `a.txt` stands beside `a.wav`,
/// it is the text of `a.wav`, without white space at its ends. Hidden files and folders (`.name`) are left out; links
/// are followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioFolder {
    /// The folder.
    pub root: Template,
    /// Endings of recordings, in any case. Default: everything that wavemill decodes.
    #[serde(default = "every_extension")]
    pub extensions: Vec<String>,
    /// Whether folders below `root` are read too. Default: true.
    #[serde(default = "recursive")]
    pub recursive: bool,
    /// How file names without their extension are made: in `"{digit}_{speaker}_{take}"` each `{word}` becomes a column,
    /// and a name that does not fit is an error. `{speaker}`, `{text}`, `{language}` and `{id}` fill the standard
    /// columns; with `{text}` no `.txt` files are read. Default: names say nothing.
    #[serde(default)]
    pub name: Option<NamePattern>,
}

fn every_extension() -> Vec<String> {
    AUDIO_EXTENSIONS.map(str::to_owned).to_vec()
}

const fn recursive() -> bool {
    true
}

impl Member for AudioFolder {
    const EXAMPLE: &'static str = r#"audio_folder: { root: "${CORPUS}/recordings", name: "{digit}_{speaker}_{take}" }"#;
}

impl ReadCorpus for AudioFolder {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let root = self.root.fill(variables)?;
        let root = Path::new(root.as_ref());
        if !root.is_dir() {
            return Err(CorpusError::NoFolder { path: root.to_owned() });
        }
        let Listing { recordings, texts } = self.list(root)?;
        if recordings.is_empty() {
            let looked_for = format!("files that end in {}", self.extensions.join(", "));
            return Err(CorpusError::NoRecordings { root: root.to_owned(), looked_for });
        }
        let mut rows = Rows::new(root, root);
        let columns = self.name.iter().flat_map(NamePattern::columns);
        let columns = columns.map(|column| rows.column(column)).collect::<Result<Vec<_>, _>>()?;
        for recording in &recordings {
            rows.begin(Position::Whole);
            rows.put(ColumnKey::AUDIO, Cell::Untyped(recording))?;
            self.put_name(&mut rows, &columns, &root.join(recording))?;
            let text = Path::new(recording).with_extension("txt");
            if !columns.contains(&ColumnKey::TEXT) && texts.contains(&text) {
                rows.put(ColumnKey::TEXT, Cell::Untyped(text_of(&root.join(text))?.trim()))?;
            }
            rows.end()?;
        }
        rows.finish()
    }
}

/// What a folder holds, by paths relative to it.
struct Listing {
    /// Recordings in the order of their bytes.
    recordings: Vec<String>,
    /// Files that may be texts.
    texts: HashSet<PathBuf>,
}

impl AudioFolder {
    fn list(&self, root: &Path) -> Result<Listing, CorpusError> {
        let (mut recordings, mut texts) = (Vec::new(), HashSet::new());
        let depth = if self.recursive { usize::MAX } else { 1 };
        let shown = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
        for entry in WalkDir::new(root).follow_links(true).max_depth(depth).into_iter().filter_entry(shown) {
            let entry = match entry {
                Ok(entry) => entry,
                // A link that leads nowhere, or to itself: one recording that cannot be read, and no reason to read none.
                Err(error) => match error.path().filter(|path| path.is_symlink() && error.loop_ancestor().is_none()) {
                    Some(path) if has_extension(path, &self.extensions) => {
                        recordings.push(name_below(root, path)?);
                        continue;
                    }
                    _ => return Err(walk_error(root, error)),
                },
            };
            let path = entry.path();
            if !entry.file_type().is_file() {
                continue;
            }
            let below = path.strip_prefix(root).unwrap_or(path);
            if has_extension(path, &self.extensions) {
                recordings.push(name_below(root, path)?);
            } else if below.extension().is_some_and(|extension| extension == "txt") {
                texts.insert(below.to_owned());
            }
        }
        recordings.sort_unstable();
        Ok(Listing { recordings, texts })
    }

    fn put_name(&self, rows: &mut Rows, columns: &[ColumnKey], path: &Path) -> Result<(), CorpusError> {
        let Some(pattern) = &self.name else { return Ok(()) };
        let stem = path.file_stem().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        let captures = pattern.captures(stem).ok_or_else(|| CorpusError::NameUnmatched {
            path: path.to_owned(),
            pattern: pattern.as_written().to_owned(),
        })?;
        columns.iter().zip(captures).try_for_each(|(column, capture)| rows.put(*column, Cell::Untyped(capture)))
    }
}

/// A path as one below `root`, with `/` between its parts.
fn name_below(root: &Path, path: &Path) -> Result<String, CorpusError> {
    let below = path.strip_prefix(root).unwrap_or(path);
    let name = below.to_str().ok_or_else(|| CorpusError::NameNotUtf8 { path: path.to_owned() })?;
    Ok(name.replace(std::path::MAIN_SEPARATOR, "/"))
}

/// The whole of a small text file.
pub(super) fn text_of(path: &Path) -> Result<String, CorpusError> {
    let bytes = std::fs::read(path).map_err(|source| CorpusError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.split(|byte| *byte == b'\n').count() as u64;
        CorpusError::TextNotUtf8 { place: Place::line(path, line), source: error.utf8_error() }
    })
}

/// The error of a walk below `root` as one of a corpus.
pub(super) fn walk_error(root: &Path, error: walkdir::Error) -> CorpusError {
    let path = error.path().unwrap_or(root).to_owned();
    if let Some(ancestor) = error.loop_ancestor() {
        return CorpusError::LinkLoop { path, ancestor: ancestor.to_owned() };
    }
    let message = error.to_string();
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other(message));
    CorpusError::Read { path, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Value;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, settings: &str) -> Result<CorpusTable, CorpusError> {
        let reader: AudioFolder = serde_saphyr::from_str(&format!("{{ root: '${{CORPUS}}', {settings} }}")).unwrap();
        let corpus = folder.path().to_str().unwrap().to_owned();
        reader.read(&[("CORPUS".to_owned(), corpus)].into_iter().collect())
    }

    fn ids(table: &CorpusTable) -> Vec<&str> {
        (0..table.len()).map(|row| table.id(row)).collect()
    }

    #[test]
    fn recordings_come_in_the_order_of_their_bytes_whatever_the_disk_says() {
        let folder = folder(&[
            ("b/2.WAV", ""),
            ("b-1.flac", ""),
            ("b/10.wav", ""),
            ("a.wav", ""),
            (".x/y.wav", ""),
            ("n.md", ""),
        ]);
        let table = read(&folder, "").unwrap();
        assert_eq!(ids(&table), ["a", "b-1", "b/10", "b/2"]);
        assert_eq!((table.audio(3), table.audio_path(3)), ("b/2.WAV", folder.path().join("b/2.WAV")));
        assert_eq!(ids(&read(&folder, "recursive: false").unwrap()), ["a", "b-1"]);
        assert_eq!(ids(&read(&folder, "extensions: [.flac]").unwrap()), ["b-1"]);
    }

    #[test]
    fn names_become_columns_with_types() {
        let folder = folder(&[("7_jackson_0.wav", ""), ("8_george_12.wav", "")]);
        let table = read(&folder, "name: '{digit}_{speaker}_{take}'").unwrap();
        assert_eq!((table.speaker(0), table.speaker(1)), (Some("jackson"), Some("george")));
        assert_eq!(table.extras().map(|(name, _)| name).collect::<Vec<_>>(), ["digit", "take"]);
        assert_eq!((table.extra(0, 0), table.extra(1, 1)), (Value::Int64(7), Value::Int64(12)));
        assert_eq!(ids(&read(&folder, "name: '{x}_{id}'").unwrap()), ["jackson_0", "george_12"]);
    }

    #[test]
    fn a_name_that_does_not_fit_is_named_with_the_pattern() {
        let folder = folder(&[("7_jackson_0.wav", ""), ("readme.wav", "")]);
        let message = read(&folder, "name: '{digit}_{speaker}_{take}'").unwrap_err().to_string();
        assert!(message.contains("readme.wav` does not match the pattern `{digit}_{speaker}_{take}`"), "{message}");
    }

    #[test]
    fn the_text_beside_a_recording_is_its_text() {
        let folder = folder(&[("a.wav", ""), ("a.txt", " hello \n"), ("b.wav", ""), ("c.txt", "no one's")]);
        let table = read(&folder, "").unwrap();
        assert_eq!((table.text(0), table.text(1)), (Some("hello"), None));
        assert_eq!(read(&folder, "name: '{text}'").unwrap().text(0), Some("a"));
        fs::write(folder.path().join("b.txt"), b"fine\n\xff").unwrap();
        let message = read(&folder, "").unwrap_err().to_string();
        assert!(message.contains("b.txt`, line 2 is not UTF-8"), "{message}");
    }

    #[test]
    fn two_recordings_of_one_id_are_both_named() {
        let message = read(&folder(&[("a.wav", ""), ("a.flac", "")]), "").unwrap_err().to_string();
        assert!(message.contains("/a.flac` and by `") && message.contains("/a.wav`"), "{message}");
    }

    #[test]
    fn an_empty_or_missing_folder_says_what_was_looked_for() {
        let empty = folder(&[("a.txt", "")]);
        let message = read(&empty, "extensions: [wav, flac]").unwrap_err().to_string();
        assert!(message.ends_with("looked for files that end in wav, flac"), "{message}");
        let missing = AudioFolder { root: "/no/such".into(), ..serde_saphyr::from_str("root: x").unwrap() };
        assert!(matches!(missing.read(&Variables::default()), Err(CorpusError::NoFolder { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_a_loop_is_reported() {
        let (folder, other) = (folder(&[("a.wav", "")]), folder(&[("b.wav", "")]));
        std::os::unix::fs::symlink(other.path(), folder.path().join("other")).unwrap();
        assert_eq!(ids(&read(&folder, "").unwrap()), ["a", "other/b"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert!(matches!(read(&folder, ""), Err(CorpusError::LinkLoop { .. })));
    }
}
