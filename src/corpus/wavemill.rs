//! A dataset of wavemill as the corpus of the next pipeline.

mod dataset;

use std::path::Path;
use std::sync::Arc;

use arrow::array::ArrayRef;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::dataset::{Dataset, RowError};
use super::corpus_table::{Cell, ColumnKey, CorpusTable, Rows};
use super::{CorpusError, Place, Position, ReadCorpus};
use crate::error::chain;
use crate::family::Member;
use crate::manifest::{DatasetFolder, Manifest};
use crate::variables::{Template, Variables};
use crate::write::{ROW_COLUMNS, RowSchema, Write, value_at};

/// A dataset of wavemill, in any of its formats: to make other features of its sound, or to write it in another format.
///
/// With `featurize`, the sound of the rows is loaded from their column of encoded sound (`encode`), and every row is an
/// utterance: its key is the id. Text, speaker, language and the corpus's further columns come along; what was drawn or
/// measured for the row does not. `mix_utterance` and other augmentations may draw from such a corpus as from any other.
///
/// Without `featurize` the dataset is carried on as it is: every row with all its columns, each value as it is stored, in the
/// format under `write`. So a dataset is converted, selected from (`select`; ids of copies end in `~1`, `~2`, …) or split. `load`,
/// `keep_if`, `resample`, `segment` and `augment` have nothing to do then, and `write.dtype` nothing to decide. The statistics
/// are those of the numbers as they are stored. Each shard is held against its checksum before its rows go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wavemill {
    /// The folder of the dataset: the one with `manifest.json`.
    pub dir: Template,
    /// The column with the sound. Default: the only one that there is; of several, one must be named to make features.
    #[serde(default)]
    pub audio: Option<String>,
    /// The parts of a dataset with `write.split` to read, such as `[train]`. Default: all.
    #[serde(default)]
    pub splits: Vec<String>,
}

/// By column, the transforms that are left to whoever loads a dataset.
pub type AtLoad = IndexMap<String, Vec<serde_json::Value>>;

/// Where the rows of a table stand that were read from a dataset.
#[derive(Debug, Clone)]
pub(super) struct OfDataset {
    /// All columns of its rows.
    pub(super) rows: Arc<Dataset>,
    /// The column of sound alone, where there is one.
    pub(super) sound: Option<Arc<Dataset>>,
    /// A hash of what its shards hold.
    pub(super) fingerprint: String,
    /// What is left to whoever loads the dataset.
    pub(super) at_load: Arc<AtLoad>,
}

impl Member for Wavemill {
    const EXAMPLE: &'static str = r#"wavemill: { dir: "${CORPUS}" }"#;
}

impl ReadCorpus for Wavemill {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let dir = self.dir.fill(variables)?;
        let dir = Path::new(dir.as_ref());
        if !dir.is_dir() {
            return Err(CorpusError::NoFolder { path: dir.to_owned() });
        }
        let folder = DatasetFolder::new(dir);
        let place = Place::whole(&folder.manifest());
        let wrong = |reason: String| CorpusError::malformed(place.clone(), reason);
        let manifest = Manifest::read(&folder).map_err(|error| wrong(chain(&error)))?;
        let format = Write::of(&manifest)
            .ok_or_else(|| wrong("its `pipeline.write` names no format of this version".to_owned()))?;
        let schema =
            RowSchema::of(&manifest.schema).ok_or_else(|| wrong("its `schema` is none of this version".to_owned()))?;
        let audio = self.audio_column(&schema).map_err(wrong)?;
        let mut shards = manifest.shards;
        for split in &self.splits {
            if !shards.iter().any(|shard| shard.split.as_ref() == Some(split)) {
                return Err(wrong(format!("the dataset has no part `{split}`")));
            }
        }
        if !self.splits.is_empty() {
            shards.retain(|shard| shard.split.as_ref().is_some_and(|split| self.splits.contains(split)));
        }
        let mut hasher = blake3::Hasher::new();
        let described = schema.describe();
        hasher.update(format!("{described:?} {:?}\n", manifest.at_load).as_bytes());
        for shard in &shards {
            hasher.update(format!("{} {:?}\n", shard.rows, shard.files).as_bytes());
        }
        let fingerprint = hasher.finalize().to_hex().to_string();
        let dataset = |columns| Dataset::new(folder.clone(), format.clone(), shards.clone(), schema.clone(), columns);
        let sound = audio.map(|audio| Arc::new(dataset(Some(vec![audio]))));
        let rows = Arc::new(dataset(None));
        let at_load = Arc::new(manifest.at_load);
        let files: Vec<&str> =
            shards.iter().map(|shard| shard.files.first().map_or("", |file| file.path.as_str())).collect();
        let table = read_rows(dir, &rows, &files)?;
        Ok(table.of_dataset(&OfDataset { rows, sound, fingerprint, at_load }))
    }
}

impl Wavemill {
    /// The column with the sound, if there is one.
    fn audio_column(&self, schema: &RowSchema) -> Result<Option<String>, String> {
        let there: Vec<&str> = schema.audio.iter().map(|column| column.name.as_str()).collect();
        match (&self.audio, there.as_slice()) {
            (Some(audio), there) if there.contains(&audio.as_str()) => Ok(Some(audio.clone())),
            (Some(audio), _) => Err(format!("the dataset has no column `{audio}` of encoded sound")),
            (None, [audio]) => Ok(Some((*audio).to_owned())),
            // Of several none is the sound: where rows go on as they are, none is asked for.
            (None, _) => Ok(None),
        }
    }
}

/// The table of all rows; what is large in them stays where it is.
fn read_rows(dir: &Path, dataset: &Dataset, files: &[&str]) -> Result<CorpusTable, CorpusError> {
    let schema = dataset.schema();
    let mut rows = Rows::new(&dir.join("data"), dir);
    let fixed: Vec<&str> = ["key", "text", "speaker", "language", "duration_s"]
        .into_iter()
        .filter(|name| ROW_COLUMNS.contains(name))
        .collect();
    let columns: Vec<&str> = fixed.iter().copied().chain(schema.extras.iter().map(|(name, _)| name.as_str())).collect();
    let keys = columns.iter().map(|name| match *name {
        "key" => Ok(ColumnKey::ID),
        name => rows.column(name),
    });
    let keys: Vec<ColumnKey> = keys.collect::<Result<_, _>>()?;
    let (mut shard, mut number) = (usize::MAX, 0_u64);
    let mut counts = vec![0_u64; files.len()];
    for (of, batch) in dataset.batches(&columns) {
        let path = dir.join(files.get(of).copied().unwrap_or_default());
        let wrong = |reason: String| CorpusError::malformed(Place::whole(&path), reason);
        let batch = batch.map_err(|error| wrong(chain(&error)))?;
        if of != shard {
            (shard, number) = (of, 0);
            rows.continue_in(&path);
        }
        let cells = columns.iter().map(|name| {
            let column = batch.column_by_name(name);
            column.ok_or_else(|| wrong(format!("there is no column `{name}`")))
        });
        let cells: Vec<&ArrayRef> = cells.collect::<Result<_, _>>()?;
        counts[of] += batch.num_rows() as u64;
        for row in 0..batch.num_rows() {
            number += 1;
            rows.begin(Position::Row(number));
            let name = format!("{}#row={}", files.get(of).copied().unwrap_or_default(), number - 1);
            rows.put(ColumnKey::AUDIO, Cell::string(&name))?;
            for (key, cells) in keys.iter().zip(&cells) {
                rows.put(*key, Cell::Typed(value_at(cells, row)))?;
            }
            rows.end()?;
        }
    }
    for ((found, claimed), file) in counts.into_iter().zip(dataset.num_rows()).zip(files) {
        if found != claimed {
            let reason =
                format!("the shard has {found} rows, and the manifest says {claimed}: `wavemill verify` tells more");
            return Err(CorpusError::malformed(Place::whole(&dir.join(file)), reason));
        }
    }
    rows.finish()
}
