//! Which files a dataset has on disk, and of which split each is.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use walkdir::{DirEntry, WalkDir};

use crate::corpus::audio_folder::walk_error;
use crate::corpus::regular_file::open_regular;
use crate::corpus::{CorpusError, Format, Place};

/// The files of a dataset.
#[derive(Debug)]
pub(super) struct Layout {
    /// The folder that paths are relative to.
    pub(super) root: PathBuf,
    pub(super) files: Vec<DataFile>,
}

/// A file with rows.
#[derive(Debug)]
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    /// The path below the root, with `/` between its parts.
    pub(super) below: String,
    pub(super) kind: FileKind,
    pub(super) split: Option<String>,
    shard: Option<Shard>,
}

/// What a file with rows is.
#[derive(Debug, Clone, Copy)]
pub(super) enum FileKind {
    Parquet,
    /// Arrow's stream or file format.
    Arrow,
    /// The table of an AudioFolder, which names recordings beside it.
    Metadata(Format),
}

/// The numbers in `train-00003-of-00008`.
#[derive(Debug, Clone, Copy)]
struct Shard {
    number: u64,
    of: u64,
}

/// `dataset_dict.json`.
#[derive(Deserialize)]
struct DatasetDict {
    splits: Vec<String>,
}

/// `state.json`.
#[derive(Deserialize)]
struct State {
    #[serde(rename = "_data_files")]
    data_files: Vec<StateFile>,
    #[serde(rename = "_split")]
    split: Option<String>,
    /// Rows in another order, as versions before 1.9 saved them.
    #[serde(rename = "_indices_data_files", default)]
    indices: Option<Vec<StateFile>>,
}

#[derive(Deserialize)]
struct StateFile {
    filename: String,
}

const METADATA: [(&str, Format); 3] =
    [("metadata.csv", Format::Csv), ("metadata.jsonl", Format::Ndjson), ("metadata.parquet", Format::Parquet)];

/// The words that file and folder names have for the usual splits, as `datasets` reads them.
const SPLIT_WORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "val", "dev"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

impl Layout {
    pub(super) fn of(path: &Path) -> Result<Self, CorpusError> {
        if path.is_file() {
            return Self::of_file(path);
        }
        if !path.is_dir() {
            return Err(CorpusError::NoFolder { path: path.to_owned() });
        }
        let dict = path.join("dataset_dict.json");
        let files = if dict.is_file() {
            let mut files = Vec::new();
            for split in json::<DatasetDict>(&dict)?.splits {
                let folder = format!("{}/", plain_name(&dict, &split)?);
                files.extend(saved(path, &folder, Some(&split))?);
            }
            files
        } else if path.join("state.json").is_file() {
            saved(path, "", None)?
        } else {
            let tables = metadata(path)?;
            if tables.is_empty() { parquet_files(path)? } else { tables }
        };
        if files.is_empty() {
            let looked_for = "`*.parquet`, `state.json` or `dataset_dict.json` as `save_to_disk` writes them, or \
                              `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with recordings beside it (a folder of \
                              recordings alone is for the reader `audio_folder`)";
            return Err(CorpusError::NoRecordings { root: path.to_owned(), looked_for: looked_for.to_owned() });
        }
        Ok(Self { root: path.to_owned(), files })
    }

    fn of_file(path: &Path) -> Result<Self, CorpusError> {
        let fail = |source| CorpusError::Read { path: path.to_owned(), source };
        let mut head = Vec::new();
        open_regular(path)?.take(8).read_to_end(&mut head).map_err(fail)?;
        let kind = match head.as_slice() {
            [b'P', b'A', b'R', b'1', ..] => FileKind::Parquet,
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [0xff, 0xff, 0xff, 0xff, ..] => FileKind::Arrow,
            _ => {
                let reason = "neither Parquet nor Arrow: name a folder or file that Hugging Face `datasets` wrote";
                return Err(CorpusError::malformed(Place::whole(path), reason));
            }
        };
        let root = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().and_then(std::ffi::OsStr::to_str);
        let name = name.ok_or_else(|| CorpusError::NameNotUtf8 { path: path.to_owned() })?;
        let split = split_of(name).ok().map(|(split, _)| split);
        let file = DataFile { path: path.to_owned(), below: name.to_owned(), kind, split, shard: None };
        Ok(Self { root: root.to_owned(), files: vec![file] })
    }

    /// The files of the split `named`, or of all; and whether a row must say of which split it is.
    pub(super) fn select(mut self, path: &Path, named: Option<&str>) -> Result<(Self, bool), CorpusError> {
        let there: BTreeSet<String> = self.files.iter().filter_map(|file| file.split.clone()).collect();
        if let Some(named) = named {
            self.files.retain(|file| file.split.as_deref() == Some(named));
            if self.files.is_empty() {
                let there = there.iter().map(|split| format!("`{split}`")).collect::<Vec<_>>().join(", ");
                let there = if there.is_empty() { "it has no splits".to_owned() } else { format!("it has {there}") };
                let reason = format!("there is no split `{named}`: {there}");
                return Err(CorpusError::malformed(Place::whole(path), reason));
            }
        }
        self.check_shards()?;
        Ok((self, named.is_none() && there.len() > 1))
    }

    /// Checks that each split is whole, and is one.
    fn check_shards(&self) -> Result<(), CorpusError> {
        let mut seen: BTreeMap<&str, (BTreeSet<u64>, &DataFile)> = BTreeMap::new();
        for file in &self.files {
            let (Some(split), Some(shard)) = (&file.split, file.shard) else { continue };
            let (numbers, first) = seen.entry(split).or_insert_with(|| (BTreeSet::new(), file));
            if !numbers.insert(shard.number) || first.shard.is_some_and(|first| first.of != shard.of) {
                let reason = format!(
                    "a second set of files for the split `{split}`, beside that of `{}`: where these are configurations, \
                     name the folder of one as `path`",
                    first.below
                );
                return Err(CorpusError::malformed(Place::whole(&file.path), reason));
            }
        }
        for (numbers, first) in seen.values() {
            let of = first.shard.map_or(0, |shard| shard.of);
            if numbers.len() as u64 != of {
                let reason = format!("its name says that there are {of} such files, and {} are there", numbers.len());
                return Err(CorpusError::malformed(Place::whole(&first.path), reason));
            }
        }
        Ok(())
    }
}

impl DataFile {
    fn new(root: &Path, below: String, kind: FileKind) -> Result<Self, CorpusError> {
        let path = root.join(&below);
        let (split, shard) = split_of(&below).map_err(|reason| CorpusError::malformed(Place::whole(&path), reason))?;
        Ok(Self { path, below, kind, split: Some(split), shard })
    }

    /// The file's path below the root without its extension.
    pub(super) fn stem(&self) -> &str {
        self.below.rsplit_once('.').map_or(self.below.as_str(), |(stem, _)| stem)
    }

    /// The folder of the file below the root, empty or with `/` behind it.
    pub(super) fn folder(&self) -> &str {
        self.below.rfind('/').map_or("", |slash| &self.below[..=slash])
    }
}

/// The split that a path names, and the shard of it; or why it names none.
fn split_of(below: &str) -> Result<(String, Option<Shard>), String> {
    let path = below.rsplit_once('.').map_or(below, |(path, _)| path);
    let stem = path.rsplit('/').next().unwrap_or_default();
    if let Some((split, shard)) = shard_of(stem) {
        return Ok((split.to_owned(), Some(shard)));
    }
    Ok((split_word(path)?.unwrap_or("train").to_owned(), None))
}

/// `train-00003-of-00008`, with or without `-` and a hash behind it.
fn shard_of(stem: &str) -> Option<(&str, Shard)> {
    let (before, after) = stem.rsplit_once("-of-")?;
    let (split, number) = before.rsplit_once('-')?;
    let of = after.split_once('-').map_or(after, |(of, _)| of);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    Some((split, Shard { number: digits(number)?, of: digits(of)? })).filter(|(split, _)| !split.is_empty())
}

/// The usual split whose word stands in a path, between delimiters; an error where there are words of two.
fn split_word(path: &str) -> Result<Option<&'static str>, String> {
    let is_between = |letter: char| matches!(letter, '/' | '_' | '-' | '.' | ' ' | '0'..='9');
    let mut found = None;
    for word in path.split(is_between) {
        let word = word.to_ascii_lowercase();
        let split = SPLIT_WORDS.iter().find(|(_, words)| words.contains(&word.as_str())).map(|(split, _)| *split);
        match (found, split) {
            (Some(found), Some(split)) if found != split => {
                return Err(format!(
                    "the name has words of two splits, `{found}` and `{split}`: rename the file or folder, or name the file \
                     itself as `path`"
                ));
            }
            _ => found = found.or(split),
        }
    }
    Ok(found)
}

/// The files of a folder that `save_to_disk` wrote: `folder` is below `root`, empty or with `/` behind it.
fn saved(root: &Path, folder: &str, split: Option<&str>) -> Result<Vec<DataFile>, CorpusError> {
    let state_file = root.join(format!("{folder}state.json"));
    let state: State = json(&state_file)?;
    if state.indices.is_some_and(|files| !files.is_empty()) {
        let reason =
            "the rows are in an order of their own (`_indices_data_files`): load the dataset and save it again";
        return Err(CorpusError::malformed(Place::whole(&state_file), reason));
    }
    let split = split.map(str::to_owned).or(state.split);
    let files = state.data_files.into_iter().map(|file| {
        let below = format!("{folder}{}", plain_name(&state_file, &file.filename)?);
        Ok(DataFile { path: root.join(&below), below, kind: FileKind::Arrow, split: split.clone(), shard: None })
    });
    files.collect()
}

/// A name that stays in its folder.
fn plain_name<'a>(place: &Path, name: &'a str) -> Result<&'a str, CorpusError> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) => Ok(name),
        _ => Err(CorpusError::malformed(
            Place::whole(place),
            format!("`{name}` is no name of a file or folder beside it"),
        )),
    }
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, CorpusError> {
    serde_json::from_reader(std::io::BufReader::new(open_regular(path)?)).map_err(|error| {
        let reason = format!("not as `save_to_disk` writes it: {error}");
        CorpusError::malformed(Place::whole(path), reason)
    })
}

/// The tables of an AudioFolder: at the root, or in the folders of its splits.
fn metadata(root: &Path) -> Result<Vec<DataFile>, CorpusError> {
    let mut tables = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).max_depth(2).sort_by_file_name() {
        let entry = entry.map_err(|error| walk_error(root, error))?;
        let format = METADATA.iter().find(|(name, _)| entry.file_name() == *name);
        if let Some((_, format)) = format.filter(|_| entry.file_type().is_file()) {
            let below = below(root, &entry)?;
            let folder = below.rsplit_once('/').map(|(folder, _)| folder.to_owned());
            let path = root.join(&below);
            let split = folder.map(|folder| Ok(split_word(&folder)?.map_or(folder, str::to_owned))).transpose();
            let split = split.map_err(|reason: String| CorpusError::malformed(Place::whole(&path), reason))?;
            tables.push(DataFile { path, below, kind: FileKind::Metadata(*format), split, shard: None });
        }
    }
    let folders: BTreeSet<_> = tables.iter().map(|table| table.folder().to_owned()).collect();
    if folders.len() < tables.len() || (folders.contains("") && folders.len() > 1) {
        let names = tables.iter().map(|table| format!("`{}`", table.below)).collect::<Vec<_>>().join(", ");
        let reason = format!("more than one table for the same recordings: {names}");
        return Err(CorpusError::malformed(Place::whole(root), reason));
    }
    Ok(tables)
}

/// Every Parquet file below a folder, in the order of their paths; hidden ones are left out.
fn parquet_files(root: &Path) -> Result<Vec<DataFile>, CorpusError> {
    let shown = |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut names = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).into_iter().filter_entry(shown) {
        let entry = entry.map_err(|error| walk_error(root, error))?;
        if entry.file_type().is_file() && crate::corpus::has_extension(entry.path(), &["parquet"]) {
            names.push(below(root, &entry)?);
        }
    }
    names.sort_unstable();
    names.into_iter().map(|name| DataFile::new(root, name, FileKind::Parquet)).collect()
}

/// The path of `entry` below `root`, with `/` between its parts.
fn below(root: &Path, entry: &DirEntry) -> Result<String, CorpusError> {
    let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
    let name = below.to_str().ok_or_else(|| CorpusError::NameNotUtf8 { path: entry.path().to_owned() })?;
    Ok(name.replace(std::path::MAIN_SEPARATOR, "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_split() {
        for (path, split, shard) in [
            ("data/train-00003-of-00008.parquet", "train", Some((3, 8))),
            ("train.clean.100-00000-of-00001-ab12.parquet", "train.clean.100", Some((0, 1))),
            ("default/test/0000.parquet", "test", None),
            ("dev.parquet", "validation", None),
            ("validation_2.parquet", "validation", None),
            ("my_test_file_1.parquet", "test", None),
            ("a/dev-2/b.parquet", "validation", None),
            ("part 3.eval.parquet", "test", None),
            ("test1.parquet", "test", None),
            ("trained.parquet", "train", None),
            ("contest/latest_x.parquet", "train", None),
            ("a-of-b.parquet", "train", None),
        ] {
            let (found, numbers) = split_of(path).unwrap();
            assert_eq!((found.as_str(), numbers.map(|shard| (shard.number, shard.of))), (split, shard), "{path}");
        }
    }

    #[test]
    fn words_of_two_splits_in_one_path_are_an_error() {
        for path in ["train_test.parquet", "test/train.parquet", "test-corpus/train/0.parquet"] {
            let message = layout(&[path], None).unwrap_err();
            assert!(message.contains(path) && message.contains("words of two splits, `t"), "{message}");
        }
        assert_eq!(layout(&["eval/test.parquet"], Some("test")).unwrap(), ["eval/test.parquet"]);
    }

    fn layout(files: &[&str], split: Option<&str>) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let selected = Layout::of(folder.path()).and_then(|layout| layout.select(folder.path(), split));
        let (layout, _) = selected.map_err(|error| error.to_string())?;
        Ok(layout.files.into_iter().map(|file| file.below).collect())
    }

    #[test]
    fn a_split_with_a_shard_missing_or_doubled_is_an_error() {
        let (first, second) = ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet");
        assert_eq!(layout(&[second, first, "data/.hidden.parquet"], None).unwrap(), [first, second]);
        assert!(layout(&[first], None).unwrap_err().contains("there are 2 such files, and 1 are there"));
        let message = layout(&["de/a-00000-of-00001.parquet", "en/a-00000-of-00001.parquet"], None).unwrap_err();
        assert!(message.contains("name the folder of one as `path`"), "{message}");
        let message = layout(&[first, second], Some("test")).unwrap_err();
        assert!(message.ends_with("there is no split `test`: it has `train`"), "{message}");
    }

    #[test]
    fn a_folder_without_a_dataset_says_what_was_looked_for() {
        assert!(layout(&["a.wav"], None).unwrap_err().contains("the reader `audio_folder`"));
        let message = layout(&["metadata.csv", "train/metadata.jsonl"], None).unwrap_err();
        assert!(message.ends_with("`metadata.csv`, `train/metadata.jsonl`"), "{message}");
    }

    #[test]
    fn names_in_the_json_files_stay_in_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let message = || Layout::of(folder.path()).unwrap_err().to_string();
        write("state.json", r#"{"_data_files": [{"filename": "../secret.arrow"}], "_split": null}"#);
        assert!(message().contains("`../secret.arrow` is no name of a file or folder beside it"));
        write("state.json", r#"{"_data_files": [], "_indices_data_files": [{"filename": "i.arrow"}]}"#);
        assert!(message().contains("load the dataset and save it again"));
        write("dataset_dict.json", r#"{"splits": ["/etc"]}"#);
        assert!(message().contains("`/etc` is no name"));
        write("dataset_dict.json", "[");
        assert!(message().contains("not as `save_to_disk` writes it: EOF"));
    }
}
