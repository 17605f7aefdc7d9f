//! `wavemill inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Int16Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::Args;

use crate::manifest::{DatasetFolder, Manifest, ShardEntry};
use crate::nearest::nearest;
use crate::pipeline::Pipeline;
use crate::write::{FeatureColumn, decode};

use super::exit::Failure;
use super::picture::picture;
use super::run::left_out;
use super::{count, counted, length, print, size};

/// Show what a dataset holds, or one row with a picture of its features
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The folder of the dataset
    dir: PathBuf,
    /// The key of the row to show
    key: Option<String>,
    /// Rows to list
    #[arg(long, value_name = "N", default_value_t = 5)]
    rows: usize,
}

impl Inspect {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let folder = DatasetFolder::new(&self.dir);
        let manifest = Manifest::read(&folder)?;
        let reader = Reader::new(&folder, &manifest)?;
        print(&match &self.key {
            None => overview(&manifest, &reader, self.rows)?,
            Some(key) => row(&reader, key)?,
        })
    }
}

/// The dataset as a whole: totals, schema, statistics, the first rows.
fn overview(manifest: &Manifest, reader: &Reader<'_>, rows: usize) -> Result<String, Failure> {
    let totals = &manifest.totals;
    let mut text = format!(
        "{}, made by wavemill {}\n{} of {} in {}, {}; {}\n\n",
        manifest.name,
        manifest.wavemill_version,
        counted(totals.rows, "row"),
        length(totals.hours * 3600.0),
        counted(manifest.shards.len() as u64, "shard"),
        size(totals.bytes),
        left_out(totals),
    );
    let _ = writeln!(text, "  {:<20} {:<8} {:<10} unit", "column", "type", "shape");
    for column in &manifest.schema {
        let shape = column.shape.as_ref().map(|shape| format!("{shape:?}")).unwrap_or_default();
        let line = format!(
            "  {:<20} {:<8} {shape:<10} {}",
            column.name,
            column.dtype,
            column.unit.as_deref().unwrap_or_default()
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "\n  {:<20} {:>12} {:>10} {:>10}", "statistics", "frames", "mean", "deviation");
    for (column, statistics) in &manifest.statistics {
        let bins = statistics.mean.len().max(1) as f64;
        let mean = statistics.mean.iter().sum::<f64>() / bins;
        let deviation = (statistics.variance.iter().sum::<f64>() / bins).sqrt();
        let _ = writeln!(text, "  {column:<20} {:>12} {mean:>10.4} {deviation:>10.4}", count(statistics.count));
    }
    if rows > 0 {
        let _ = writeln!(text, "\n  {:<24} {:>9}  text", "key", "duration");
        for batch in reader.batches(Some(&["key", "text", "duration_s"])).take_while_rows(rows) {
            let (batch, shown) = batch?;
            for row in 0..shown {
                let key = cell_text(&batch, "key", row);
                let duration = cell_text(&batch, "duration_s", row).parse().map_or_else(|_| "?".to_owned(), length);
                let line = format!("  {key:<24} {duration:>9}  {}", cell_text(&batch, "text", row));
                let _ = writeln!(text, "{}", line.trim_end());
            }
        }
        let _ = writeln!(text, "\n`wavemill inspect DIR KEY` shows one of them with its features");
    }
    Ok(text)
}

/// One row: every cell, and a picture of each feature.
fn row(reader: &Reader<'_>, key: &str) -> Result<String, Failure> {
    let mut keys = Vec::new();
    for (shard, entry) in reader.shards.iter().enumerate() {
        for batch in reader.shard(entry, Some(&["key"])) {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let found = cell_text(&batch, "key", row);
                if found == key {
                    return reader.show(shard, key);
                }
                keys.push(found);
            }
        }
    }
    let near = nearest(key, keys.iter().map(String::as_str)).map(str::to_owned);
    Err(Failure::NoRow { key: key.to_owned(), near })
}

/// Reads the shards of a dataset.
struct Reader<'a> {
    folder: &'a DatasetFolder,
    shards: &'a [ShardEntry],
    pipeline: Pipeline,
}

type Batch = Result<RecordBatch, Failure>;

impl<'a> Reader<'a> {
    fn new(folder: &'a DatasetFolder, manifest: &'a Manifest) -> Result<Self, Failure> {
        let pipeline = serde_json::from_value(manifest.pipeline.clone())
            .map_err(|source| crate::manifest::ManifestError::Malformed { path: folder.manifest(), source })?;
        Ok(Self { folder, shards: &manifest.shards, pipeline })
    }

    fn shard(&self, entry: &ShardEntry, columns: Option<&[&str]>) -> Box<dyn Iterator<Item = Batch>> {
        let path = self.folder.path().join(&entry.path);
        match self.pipeline.write.member().read(&path, columns) {
            Ok(batches) => Box::new(
                batches.map(move |batch| batch.map_err(|source| Failure::Shard { path: path.clone(), source })),
            ),
            Err(source) => Box::new(std::iter::once(Err(Failure::Shard { path, source }))),
        }
    }

    fn batches<'s>(&'s self, columns: Option<&'s [&'s str]>) -> impl Iterator<Item = Batch> + 's {
        self.shards.iter().flat_map(move |entry| self.shard(entry, columns))
    }

    /// The row `key` of a shard.
    fn show(&self, shard: usize, key: &str) -> Result<String, Failure> {
        let features = self.pipeline.feature_columns();
        for batch in self.shard(&self.shards[shard], None) {
            let batch = batch?;
            let Some(row) = (0..batch.num_rows()).find(|row| cell_text(&batch, "key", *row) == key) else { continue };
            let mut text = String::new();
            for field in batch.schema().fields() {
                if !features.iter().any(|column| column.name == *field.name()) {
                    let _ = writeln!(text, "  {:<20} {}", field.name(), cell_text(&batch, field.name(), row));
                }
            }
            for column in &features {
                let mut values = numbers(&batch, column, row);
                let all = values.len();
                if let Ok(frames) = cell_text(&batch, &column.frames_name(), row).parse::<usize>() {
                    // Of several channels, the first.
                    values.truncate(frames * column.bins.unwrap_or(1));
                }
                let channels = match all / values.len().max(1) {
                    0 | 1 => String::new(),
                    channels => format!("{channels} channels × "),
                };
                let bins = column.bins.unwrap_or(1);
                let (low, high) =
                    values.iter().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
                let shape = column.bins.map_or(String::new(), |bins| format!(" × {bins}"));
                let _ = writeln!(
                    text,
                    "\n{}: {channels}{}{shape} {}, {low:.2} to {high:.2} {}",
                    column.name,
                    values.len() / bins,
                    column.dtype.name(),
                    column.unit
                );
                text.push_str(&picture(&values, column.bins));
            }
            return Ok(text);
        }
        Err(Failure::NoRow { key: key.to_owned(), near: None })
    }
}

/// Ends an iterator of batches after some rows.
trait TakeRows: Iterator<Item = Batch> + Sized {
    /// The batches that hold the first `rows` rows, each with the number of its rows to show.
    fn take_while_rows(self, rows: usize) -> impl Iterator<Item = Result<(RecordBatch, usize), Failure>> {
        self.scan(rows, |left, batch| {
            if *left == 0 {
                return None;
            }
            Some(batch.map(|batch| {
                let shown = batch.num_rows().min(*left);
                *left -= shown;
                (batch, shown)
            }))
        })
    }
}

impl<I: Iterator<Item = Batch>> TakeRows for I {}

/// A cell as text; nothing for null or a column that is not there.
fn cell_text(batch: &RecordBatch, column: &str, row: usize) -> String {
    let Some(array) = batch.column_by_name(column) else { return String::new() };
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array, &options).map(|cells| cells.value(row).to_string()).unwrap_or_default()
}

/// The numbers of a feature cell, in either layout.
fn numbers(batch: &RecordBatch, column: &FeatureColumn, row: usize) -> Vec<f32> {
    let Some(array) = batch.column_by_name(&column.name) else { return Vec::new() };
    if let Some(cells) = array.as_binary_opt::<i64>() {
        return decode(cells.value(row), column.dtype);
    }
    let Some(frames) = array.as_list_opt::<i64>().map(|cells| cells.value(row)) else { return Vec::new() };
    let flat = frames.as_fixed_size_list_opt().map_or(frames.clone(), |frames| frames.values().clone());
    // A sliced list keeps the numbers of its neighbours: only this row's are taken.
    let (start, end) = (frames.offset() * column.bins.unwrap_or(1), frames.len() * column.bins.unwrap_or(1));
    let flat = if frames.as_fixed_size_list_opt().is_some() { flat.slice(start, end) } else { flat };
    match (flat.as_primitive_opt::<Float32Type>(), flat.as_primitive_opt::<Int16Type>()) {
        (Some(floats), _) => floats.values().to_vec(),
        (_, Some(integers)) => integers.values().iter().map(|value| f32::from(*value) / 32768.0).collect(),
        _ => Vec::new(),
    }
}
