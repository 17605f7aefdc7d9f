//! Datasets of Hugging Face `datasets` on disk: Parquet, `save_to_disk`, and folders of recordings with a table.
//!
//! The forms are those that `datasets` 5.2 writes. Sound that is embedded stays where it is: the corpus table says where it lies.

mod arrow_file;
mod columns;
mod layout;
mod parquet_file;
mod sounds;

use std::collections::BTreeMap;
use std::path::{Component, Path};

use arrow::array::ArrayRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::columns::{AUDIO_PATH, Columns, OtherCells};
use self::layout::{DataFile, FileKind, Layout};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows, Value, without_extension};
use super::table::arrow_cells::ArrowCells;
use super::table::{AudioPaths, Table};
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::family::Member;
use crate::variables::{Template, Variables};

/// A dataset of Hugging Face `datasets` on this machine, with the sound embedded or beside it.
///
/// `path` is one of:
///
/// - a folder with Parquet files at any depth, as a repository of the hub has them (`data/train-00000-of-00004.parquet`). The
///   split of a file is what stands before its number, else the usual word (`train`, `test`, `validation`, `dev` and so on) in
///   its name or the folders that it lies in, between `_`, `-`, `.`, spaces or digits (`my_test_1.parquet`), else `train`. Words
///   of two splits in one path are an error. What `configs:` of a `README.md` says is not read. A split of which a numbered file is missing is an error, and so are two
///   sets of files for one split, as several configurations make them: name the folder of one.
/// - a folder that `save_to_disk` wrote (`state.json`, or `dataset_dict.json` with splits)
/// - an AudioFolder: `metadata.csv`, `metadata.jsonl` or `metadata.parquet` with a column `file_name`, in the folder or in
///   each of its splits' folders. Its rows are read as the reader `table` reads them, with its ids.
/// - one file: Parquet, or Arrow's stream or file format without compression
///
/// The rows come file by file, in the order of the paths or of the JSON file that lists them. Where several splits are read, the
/// column `split` says of each row where it is from; a column of that name in the files then needs another one, by `columns` or
/// `drop`.
///
/// The audio column is a struct of `bytes` and `path`, or binary, or text with paths. Where `bytes` is null, `path` is a file,
/// absolute or in the dataset's folder; `..` and addresses of the web are errors. Where both are null, the utterance has no sound,
/// and is a reject when it should be loaded; its id is that of `ids: row`, if no column gives it. The rate that the `Audio` feature names
/// resamples nothing: say so in the pipeline.
///
/// `text` and the other standard columns fill themselves, and so does `speaker` from `speaker_id` where there is no `speaker`.
/// Every further column is carried; lists and structs as JSON text. A `ClassLabel` becomes the name of its class, if the file's
/// metadata says so. `num_samples` and `sample_rate`, which decoding tells, are left out, and `key`, `copy` and `augmentation`,
/// which every dataset has, become `source_key` and so on. The `path` of embedded sound is the column `audio_path` where it does not give the id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HuggingFace {
    /// The folder or file.
    pub path: Template,
    /// The split to read. Default: all.
    #[serde(default)]
    pub split: Option<String>,
    /// The column with the sound. Default: the one whose feature is `Audio`, else the only struct of `bytes` and `path`.
    #[serde(default)]
    pub audio: Option<String>,
    /// Which column of the files fills which column of the corpus: `{text: sentence, speaker: client_id}`. On the left stand the
    /// standard columns (`id`, `start_s`, `duration_s`, `channel`, `text`, `speaker`, `language`) or new names. Default: every
    /// column under its own name.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Columns of the files to leave out. Default: none.
    #[serde(default)]
    pub drop: Vec<String>,
    /// What is the id of a row that has no column `id`: `path` (the path of its sound without the extension) or `row` (the file
    /// and the row's number in it, from 0: `data/train-00000-of-00001-17`, which changes when the files are made anew).
    /// Default: `path`.
    #[serde(default)]
    pub ids: Ids,
}

/// What the id of a row is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// The path of its sound.
    #[default]
    Path,
    /// Its file and its number in it.
    Row,
}

impl Member for HuggingFace {
    const EXAMPLE: &'static str = r#"hugging_face: { path: "${CORPUS}", split: train, columns: { text: sentence } }"#;
}

impl ReadCorpus for HuggingFace {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let path = self.path.fill(variables)?;
        let path = Path::new(path.as_ref());
        if let Some(column) = self.columns.get("audio") {
            let reason = format!("`columns` names the audio: write `audio: {column}` beside it");
            return Err(CorpusError::malformed(Place::whole(path), reason));
        }
        let (layout, split_is_told) = Layout::of(path)?.select(path, self.split.as_deref())?;
        let mut rows = Rows::new(path, &layout.root);
        let mut has_path_ids = false;
        for part in &layout.files {
            let mut cells = Vec::new();
            if let (true, Some(split)) = (split_is_told, &part.split) {
                cells.push((rows.column("split")?, split.clone()));
            }
            match part.kind {
                FileKind::Metadata(format) => {
                    rows.begin_part(&part.path, part.folder(), cells);
                    let mut columns = self.columns.clone();
                    let audio = self.audio.clone().unwrap_or_else(|| "file_name".to_owned());
                    columns.insert("audio".to_owned(), audio);
                    self.table(columns).read_file(&part.path, format, &mut rows, AudioPaths::Below)?;
                }
                FileKind::Parquet => {
                    rows.begin_part(&part.path, "", cells);
                    has_path_ids |= self.read_parquet(part, &mut rows)? == Ids::Path;
                }
                FileKind::Arrow => {
                    rows.begin_part(&part.path, "", cells);
                    has_path_ids |= self.read_arrow(part, &mut rows)? == Ids::Path;
                }
            }
        }
        rows.finish().map_err(|error| match error {
            CorpusError::DuplicateId { id, first, second, .. } if has_path_ids => {
                let reason =
                    format!("the id `{id}`, the `path` of the sound, is also that of {first}: write `ids: row`");
                CorpusError::malformed(second, reason)
            }
            other => other,
        })
    }
}

impl HuggingFace {
    /// The reader of tables with this mapping.
    fn table(&self, columns: BTreeMap<String, String>) -> Table {
        let drop = self.drop.clone();
        Table { path: Template::from(""), format: None, columns, drop, audio_root: None, delimiter: None }
    }
}

/// What stands behind the `#` of a reference where a row has no sound: loading it is a reject.
const NO_SOUND: &str = "null";

/// A file with rows while it is read.
struct Reading<'a> {
    settings: &'a HuggingFace,
    part: &'a DataFile,
    columns: &'a Columns,
    rows: &'a mut Rows,
    /// How many rows of the file were read.
    number: u64,
}

impl Reading<'_> {
    /// Reads a batch: `array` gives the file's columns by their numbers, `sound` what stands behind the `#` of a row's
    /// reference, where its sound is embedded. It is asked once for each row, in their order.
    fn read_batch<'b>(
        &mut self,
        len: usize,
        array: impl Fn(usize) -> Option<&'b ArrayRef>,
        paths: Option<&ArrayRef>,
        mut sound: impl FnMut(usize) -> Result<Option<String>, CorpusError>,
    ) -> Result<(), CorpusError> {
        let file = &self.part.path;
        let paths = paths.map(|paths| ArrowCells::of(paths, file, "audio.path")).transpose()?;
        let others = self.columns.others.iter();
        let others = others.filter_map(|other| array(other.number).map(|array| OtherCells::of(other, array, file)));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        for row in 0..len {
            self.number += 1;
            self.rows.begin(Position::Row(self.number));
            others.iter().try_for_each(|cells| cells.put(row, self.rows))?;
            let path = match paths.as_ref().map(|paths| paths.value(row)) {
                Some(Value::String(path)) if !path.is_empty() => Some(path),
                _ => None,
            };
            self.put_sound(sound(row)?.as_deref(), path)?;
            self.rows.end()?;
        }
        Ok(())
    }

    /// Fills the columns that come of the sound.
    fn put_sound(&mut self, sound: Option<&str>, path: Option<&str>) -> Result<(), CorpusError> {
        let fail = |reason: String| Err(CorpusError::malformed(self.rows.place(), reason));
        let audio = match (sound, path) {
            (Some(place), _) => format!("{}#{place}", self.part.below),
            (None, Some(path)) if path.contains("://") => {
                return fail(format!(
                    "the sound is not embedded, and `{path}` is no file: embed it, or download it first"
                ));
            }
            (None, Some(path)) if Path::new(path).components().any(|part| part == Component::ParentDir) => {
                return fail(format!("the sound's path `{path}` leads out of the dataset's folder"));
            }
            (None, Some(path)) => path.to_owned(),
            (None, None) => format!("{}#{NO_SOUND}", self.part.below),
        };
        let mut path_is_id = false;
        if !self.columns.has_id {
            let id = match (self.settings.ids, path) {
                (Ids::Path, Some(path)) => without_extension(path),
                (Ids::Path, None) if sound.is_some() => {
                    let reason = "the row has no id, neither a column `id` nor the path of its sound: name a column by \
                                  `columns: {id: …}`, or write `ids: row`";
                    return fail(reason.to_owned());
                }
                (Ids::Row, _) | (Ids::Path, None) => format!("{}-{}", self.part.stem(), self.number - 1),
            };
            path_is_id = self.settings.ids == Ids::Path;
            self.rows.put(ColumnKey::ID, Cell::string(&id))?;
        }
        self.rows.put(ColumnKey::AUDIO, Cell::string(&audio))?;
        if let Some(path) = path.filter(|_| sound.is_some() && !path_is_id && !self.columns.has_audio_path) {
            let key = self.rows.column(AUDIO_PATH)?;
            self.rows.put(key, Cell::string(path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
