//! A pipeline over a corpus, decided: which utterance goes to which shard, in which order, before any sound is read.
//!
//! Architecture invariant: a plan is a pure function of the pipeline file and the corpus, and a shard is a pure function
//! of the plan and its number. So any thread or process may make a shard, twice if need be, with the same bytes; and any
//! machine of the plan's kind of processor (see `engines`).

mod difference;
mod duplicates;
mod error;
mod file;
mod lengths;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Range, RangeInclusive};

use indexmap::IndexMap;
use serde_json::json;

use crate::audio::{Hertz, Seconds};
use crate::augment::{Around, Banks};
use crate::corpus::{CorpusTable, Dataset, Deduplicate, Kind, RowCondition, Value};
use crate::engines::{engines, module_engines};
use crate::load::Channels;
use crate::nearest::nearest;
use crate::pipeline::Pipeline;
use crate::resample::Method;
use crate::variables::Variables;
use crate::write::{NUM_CHANNELS, RowSchema, ShardName, Split};

pub use difference::{Difference, differences};
pub use error::PlanError;
pub use file::{PlanFile, PlanFileError, PlanHead, PlannedRow, row_key, segment_id};

/// Stands in for the rate of files where the pipeline does not set one, to estimate sizes only.
const NOMINAL_RATE: Hertz = Hertz::new(16_000).expect("16,000 is not zero");

/// Stands in for a length that neither the corpus nor a header tells, to estimate sizes only: of a usual utterance.
const NOMINAL_LENGTH_S: f64 = 10.0;

/// What the columns beside the features take in a row, roughly: it only decides where shards end.
const ROW_BYTES: u64 = 200;

/// The most rows that a plan may have: a hundred times the largest corpora of speech.
const MOST_ENTRIES: usize = 1 << 32;

/// Everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// The selected utterances, in the order of the corpus.
    pub table: CorpusTable,
    /// Which utterances become rows, once they are loaded.
    pub keep_if: Option<RowCondition>,
    /// By utterance, the one before it that has the same sound, where the pipeline compares them.
    pub duplicates: HashMap<usize, usize>,
    /// The recordings that augmentations draw from.
    pub banks: Banks,
    /// The columns of the rows.
    pub schema: RowSchema,
    /// By column, what the loader is to do with its cells.
    pub at_load: IndexMap<String, Vec<serde_json::Value>>,
    /// Which entries each shard holds: see [`Plan::entry`].
    pub shards: Vec<Range<usize>>,
    /// Which shards each part of the dataset has: the parts of `write.split` in their order, or the one that all is.
    pub parts: Vec<Range<usize>>,
    /// BLAKE3 of everything that decides the bytes of the shards, in hexadecimal.
    pub hash: String,
    /// BLAKE3 of the selected corpus table, in hexadecimal.
    pub corpus_hash: String,
    /// The bytes that the rows will take, estimated from their lengths.
    pub estimated_bytes: u64,
}

/// One row to be made: an utterance and the number of its copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The utterance's row in the table.
    pub utterance: usize,
    /// 0 for the original, 1 and up for augmented copies.
    pub copy: u32,
}

impl Plan {
    /// Reads the corpus, selects, looks up the lengths that the corpus does not give, and cuts the shards.
    ///
    /// # Errors
    ///
    /// The corpus cannot be read, the selection does not fit it, or nothing is left.
    pub fn make(mut pipeline: Pipeline, variables: &Variables) -> Result<Self, PlanError> {
        if let Some((column, source)) = pipeline.open_modules(variables).into_iter().next() {
            return Err(PlanError::Module { column, source });
        }
        let table = lengths::select_and_measure(&pipeline, variables)?;
        if table.is_empty() {
            return Err(PlanError::NothingSelected);
        }
        let keep_if = keep_if(&pipeline, &table, variables)?;
        let extras: Vec<(String, Kind)> = table.extras().map(|(name, kind)| (name.to_owned(), kind)).collect();
        let carried = pipeline.featurize.is_empty().then(|| table.dataset().ok_or(PlanError::NothingToCarry));
        let carried = carried.transpose()?;
        let schema = match carried {
            Some((dataset, _)) => RowSchema { extras, ..dataset.schema().clone() },
            None => pipeline.row_schema(extras),
        };
        if carried.is_none()
            && let Some(row) = table.without_sound()
        {
            return Err(PlanError::NoSound { audio: table.audio(row).to_owned() });
        }
        pipeline.write.member().accepts(&schema)?;
        if let Some(column) = schema.repeated() {
            let setting = match column.as_str() {
                NUM_CHANNELS => "`load.channels` to another value than `keep`",
                "segment" | "segment_start_s" => "no `segment`",
                _ => "`load.quality: none`",
            };
            return Err(if schema.sound.iter().any(|sound| sound.name == column) {
                PlanError::SoundColumnTwice { column, setting }
            } else {
                PlanError::ColumnTwice { column }
            });
        }
        let (copies, variants) = (pipeline.copies(), pipeline.variants());
        if table.len().checked_mul(variants).is_none_or(|entries| entries > MOST_ENTRIES) {
            return Err(PlanError::TooManyEntries { utterances: table.len(), variants, most: MOST_ENTRIES });
        }
        if let Some(key) = repeated_key(&table, &copies) {
            return Err(PlanError::KeyTwice { key });
        }
        let (table, parts) = split(table, pipeline.write.split.as_ref())?;
        let (mut utterances, mut estimated_bytes, mut part_shards) = (Vec::new(), 0_u64, Vec::new());
        for part in &parts {
            let carried = carried_bytes(&pipeline, &table);
            let bytes =
                |row: usize| carried.unwrap_or_else(|| estimated_row_bytes(&pipeline, &schema, table.duration_s(row)));
            let sizes = part.clone().map(|row| bytes(row).saturating_mul(variants as u64));
            let (cut, bytes) = cut_shards(sizes, pipeline.write.member().shard_bytes());
            part_shards.push(utterances.len()..utterances.len() + cut.len());
            utterances.extend(cut.into_iter().map(|range| part.start + range.start..part.start + range.end));
            estimated_bytes = estimated_bytes.saturating_add(bytes);
        }
        // The variants of an utterance stay together: it is decoded once for them.
        let shards = utterances.iter().map(|range| range.start * variants..range.end * variants).collect::<Vec<_>>();
        let duplicates = match pipeline.deduplicate {
            Deduplicate::None => HashMap::new(),
            Deduplicate::Audio => duplicates::duplicates(&table),
        };
        let corpus_hash = corpus_hash(&table, &duplicates);
        let datasets: Vec<&str> = table.datasets().map(|(_, fingerprint)| fingerprint).collect();
        let corpus_hash = match datasets.as_slice() {
            [] => corpus_hash,
            // What is carried on, or decoded, stands in their shards.
            datasets => blake3::hash(format!("{corpus_hash} {datasets:?}").as_bytes()).to_hex().to_string(),
        };
        let at_load = match table.dataset() {
            Some((_, at_load)) if pipeline.featurize.is_empty() => at_load.clone(),
            _ => at_load(&pipeline, variables)?,
        };
        let banks = banks(&pipeline, &table, variables)?;
        let hash = hash(&pipeline, keep_if.as_ref(), &at_load, &banks, &corpus_hash, &shards);
        let parts = part_shards;
        Ok(Self {
            pipeline,
            table,
            keep_if,
            duplicates,
            banks,
            schema,
            at_load,
            shards,
            parts,
            hash,
            corpus_hash,
            estimated_bytes,
        })
    }

    /// The entry at `position`. Positions count through the shards, from 0.
    #[must_use]
    pub fn entry(&self, position: usize) -> Entry {
        let variants = self.variants();
        Entry { utterance: position / variants, copy: self.pipeline.copies().start() + (position % variants) as u32 }
    }

    /// Where an entry stands.
    #[must_use]
    pub fn position(&self, entry: Entry) -> usize {
        entry.utterance * self.variants() + (entry.copy - self.pipeline.copies().start()) as usize
    }

    /// What the files of a shard are called after.
    #[must_use]
    pub fn shard_name(&self, shard: usize) -> ShardName<'_> {
        let part = self.parts.iter().position(|shards| shards.contains(&shard)).unwrap_or(0);
        let shards = &self.parts[part];
        ShardName { split: self.part_name(part), number: shard - shards.start, count: shards.len() }
    }

    /// The name of a part, where `write.split` makes several.
    #[must_use]
    pub fn part_name(&self, part: usize) -> Option<&str> {
        let (name, _) = self.pipeline.write.split.as_ref()?.parts.get_index(part)?;
        Some(name)
    }

    /// The dataset whose rows go on as they are, where the pipeline makes no columns.
    #[must_use]
    pub fn carries(&self) -> Option<&Dataset> {
        let (dataset, _) = self.table.dataset().filter(|_| self.pipeline.featurize.is_empty())?;
        Some(dataset)
    }

    /// How many entries each utterance has: itself, its copies, or both.
    #[must_use]
    pub fn variants(&self) -> usize {
        self.pipeline.variants()
    }

    /// The number of entries: rows and rejects together.
    #[must_use]
    pub fn num_entries(&self) -> usize {
        self.table.len() * self.variants()
    }

    /// Hours of sound behind the entries, as far as their lengths are known, and before augmentation changes them.
    #[must_use]
    pub fn hours(&self) -> f64 {
        let hours =
            (0..self.table.len()).filter_map(|row| self.table.duration_s(row)).fold(0.0, |sum, s| sum + s) / 3600.0;
        hours * self.variants() as f64
    }

    /// The number of utterances whose length is not known before they are decoded.
    #[must_use]
    pub fn num_unmeasured(&self) -> usize {
        (0..self.table.len()).filter(|row| self.table.duration_s(*row).is_none()).count()
    }

    /// The bytes that each row of an utterance will take, estimated from its length.
    #[must_use]
    pub fn estimated_row_bytes(&self, utterance: usize) -> u64 {
        carried_bytes(&self.pipeline, &self.table)
            .unwrap_or_else(|| estimated_row_bytes(&self.pipeline, &self.schema, self.table.duration_s(utterance)))
    }

    /// What the plan's file says of it.
    #[must_use]
    pub fn head(&self) -> PlanHead {
        PlanHead {
            wavemill_version: env!("CARGO_PKG_VERSION").to_owned(),
            engines: engines_of(&self.pipeline),
            pipeline: self.pipeline.resolved(),
            pipeline_hash: self.pipeline.hash(),
            plan_hash: self.hash.clone(),
            corpus_hash: self.corpus_hash.clone(),
            keep_if: self.keep_if.as_ref().map(|condition| condition.sql().to_owned()),
            recordings: self.banks.iter().map(|(place, bank)| (place.to_owned(), bank.fingerprint())).collect(),
            schema: self.schema.describe(),
            at_load: self.at_load.clone(),
            num_shards: self.shards.len(),
        }
    }
}

/// The table in the order of the parts that `split` makes, and the rows of each part.
fn split(table: CorpusTable, split: Option<&Split>) -> Result<(CorpusTable, Vec<Range<usize>>), PlanError> {
    let Some(split) = split else {
        let all = 0..table.len();
        return Ok((table, vec![all]));
    };
    let mut parts = vec![Vec::new(); split.parts.len()];
    for row in 0..table.len() {
        let Some((_, value)) = table.cell(split.column(), row) else {
            let there = table.columns().map(|(name, _)| name);
            let nearest = nearest(split.column(), there).map(str::to_owned);
            return Err(PlanError::SplitColumn { column: split.by.clone(), nearest });
        };
        if value == Value::Null {
            return Err(PlanError::SplitNull { column: split.by.clone(), id: table.id(row).to_owned() });
        }
        parts[split.part_of(&value.to_string())].push(row as u32);
    }
    let mut start = 0;
    let ranges = parts.iter().map(|part| {
        start += part.len();
        start - part.len()..start
    });
    let ranges = ranges.collect();
    Ok((table.gather(&parts.concat()), ranges))
}

/// The condition of the pipeline, its variables filled in, checked against the corpus.
fn keep_if(pipeline: &Pipeline, table: &CorpusTable, variables: &Variables) -> Result<Option<RowCondition>, PlanError> {
    let Some(written) = &pipeline.keep_if else { return Ok(None) };
    let condition = RowCondition::parse(&written.fill(variables).map_err(PlanError::KeepIfVariable)?);
    let condition = condition.map_err(PlanError::KeepIf)?;
    let measures = pipeline.measures();
    let of_sound = |column: &&String| measures.iter().any(|(name, _)| name == column);
    let own = |column: &&String| table.extras().any(|(name, _)| name == **column);
    if let Some(column) = condition.columns().iter().filter(own).find(of_sound) {
        return Err(PlanError::MeasureInCorpus { column: column.clone() });
    }
    let there: Vec<(&str, Kind)> = measures.iter().copied().chain(table.columns()).collect();
    condition.check(there.iter().copied()).map_err(PlanError::KeepIf)?;
    Ok(Some(condition))
}

/// By column, what the loader is to do with its cells.
fn at_load(pipeline: &Pipeline, variables: &Variables) -> Result<IndexMap<String, Vec<serde_json::Value>>, PlanError> {
    let rows = pipeline.columns().map(|(column, recipe)| match recipe.at_load(pipeline.rate(), variables) {
        Ok(rows) => Ok((column.to_owned(), rows)),
        Err(source) => Err(PlanError::AtLoad { column: column.to_owned(), source }),
    });
    rows.filter(|rows| !matches!(rows, Ok((_, rows)) if rows.is_empty())).collect()
}

/// The key that an utterance and a copy of another one would share: ids may look like keys.
fn repeated_key(table: &CorpusTable, copies: &RangeInclusive<u32>) -> Option<String> {
    if *copies.end() == 0 {
        return None;
    }
    let like_copy = |row: usize| {
        let (id, copy) = table.id(row).rsplit_once('~')?;
        copies.contains(&copy.parse().ok()?).then_some(id)
    };
    let suspects: HashSet<&str> = (0..table.len()).filter_map(like_copy).collect();
    let both = (0..table.len()).find(|row| suspects.contains(table.id(*row)))?;
    Some(table.id(both).to_owned())
}

/// The recordings that the pipeline's augmentations draw from.
fn banks(pipeline: &Pipeline, table: &CorpusTable, variables: &Variables) -> Result<Banks, PlanError> {
    let Some(augment) = &pipeline.augment else { return Ok(Banks::default()) };
    let method = pipeline.resample.as_ref().map_or_else(Method::default, |resample| resample.method);
    let around = Around { variables, method, utterances: Some((table, &pipeline.load)) };
    Ok(augment.open(around)?)
}

/// Channels that a recording is taken to have where all are kept, to estimate sizes only.
const NOMINAL_CHANNELS: u64 = 2;

/// The bytes that a row will take that goes on as it is.
fn carried_bytes(pipeline: &Pipeline, table: &CorpusTable) -> Option<u64> {
    table.dataset().filter(|_| pipeline.featurize.is_empty()).map(|(dataset, _)| dataset.bytes_per_row())
}

/// The bytes that one utterance's row will take.
fn estimated_row_bytes(pipeline: &Pipeline, schema: &RowSchema, duration_s: Option<f64>) -> u64 {
    let rate = pipeline.resample.as_ref().map_or(NOMINAL_RATE, |resample| resample.rate_hz);
    let duration = duration_s.or(Some(NOMINAL_LENGTH_S)).and_then(Seconds::new).unwrap_or(Seconds::ZERO);
    let samples = duration.samples(rate);
    let cells = pipeline
        .columns()
        .zip(&schema.features)
        .map(|((_, recipe), column)| recipe.num_frames(samples, rate).saturating_mul(column.frame_bytes() as u64));
    let channels = if pipeline.load.channels == Channels::Keep { NOMINAL_CHANNELS } else { 1 };
    let cells = cells.map(|cell| cell.saturating_mul(channels));
    let audio = pipeline.audio().map(|(_, encode)| encode.estimated_bytes(samples, rate, channels));
    cells.chain(audio).fold(ROW_BYTES, u64::saturating_add)
}

/// Cuts entries of these sizes, in order, into shards of at most `full` bytes, and sums the sizes up.
fn cut_shards(sizes: impl Iterator<Item = u64>, full: u64) -> (Vec<Range<usize>>, u64) {
    let mut shards = Vec::new();
    let (mut start, mut end, mut filled, mut total) = (0, 0, 0_u64, 0_u64);
    for size in sizes {
        if filled > 0 && filled.saturating_add(size) > full {
            shards.push(start..end);
            (start, filled) = (end, 0);
        }
        end += 1;
        filled = filled.saturating_add(size);
        total = total.saturating_add(size);
    }
    if end > start {
        shards.push(start..end);
    }
    (shards, total)
}

/// The engines that decide the bytes of what a pipeline makes.
fn engines_of(pipeline: &Pipeline) -> BTreeMap<String, String> {
    let mut engines = engines();
    if pipeline.has_modules() {
        engines.extend(module_engines());
    }
    engines
}

/// Everything that decides the bytes of the shards: the version, the pipeline, every cell of the table, the cuts.
fn hash(
    pipeline: &Pipeline,
    keep_if: Option<&RowCondition>,
    at_load: &IndexMap<String, Vec<serde_json::Value>>,
    banks: &Banks,
    corpus_hash: &str,
    shards: &[Range<usize>],
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut line = |text: &str| {
        hasher.update(text.as_bytes());
        hasher.update(b"\n");
    };
    line(env!("CARGO_PKG_VERSION"));
    for (name, version) in engines_of(pipeline) {
        line(&name);
        line(&version);
    }
    line(&pipeline.hash());
    // Its variables are filled in, which the pipeline's are not.
    line(keep_if.map_or("", RowCondition::sql));
    // The statistics are in it, of which the pipeline has the path.
    line(&json!(at_load).to_string());
    for (place, bank) in banks.iter() {
        line(place);
        line(&bank.fingerprint());
    }
    line(corpus_hash);
    for shard in shards {
        hasher.update(&(shard.end as u64).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// BLAKE3 of every cell of the table. Roots of audio paths are no part of it: a corpus may move.
fn corpus_hash(table: &CorpusTable, duplicates: &HashMap<usize, usize>) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut text = |value: Option<&str>| match value {
        Some(value) => {
            hasher.update(&(value.len() as u64).to_le_bytes());
            hasher.update(value.as_bytes());
        }
        None => {
            hasher.update(&u64::MAX.to_le_bytes());
        }
    };
    let num_extras = table.extras().len();
    for (name, kind) in table.extras() {
        text(Some(name));
        text(Some(kind.name()));
    }
    for row in 0..table.len() {
        if let Some(original) = duplicates.get(&row) {
            text(Some(table.id(*original)));
        }
        text(Some(table.id(row)));
        text(Some(table.audio(row)));
        for time in [table.start_s(row), table.duration_s(row)] {
            text(time.map(|time| time.to_bits().to_string()).as_deref());
        }
        text(table.channel(row).map(|channel| channel.to_string()).as_deref());
        text(table.text(row));
        text(table.speaker(row));
        text(table.language(row));
        for column in 0..num_extras {
            match table.extra(column, row) {
                Value::Null => text(None),
                Value::String(value) => text(Some(value)),
                value => text(Some(&value.to_string())),
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_cut_before_they_overflow_and_hold_every_entry_once() {
        let (shards, total) = cut_shards([40, 40, 40, 200, 10, 10].into_iter(), 100);
        assert_eq!(shards, [0..2, 2..3, 3..4, 4..6]);
        assert_eq!(total, 340);
        assert_eq!(cut_shards(std::iter::empty(), 100), (vec![], 0));
    }
}
