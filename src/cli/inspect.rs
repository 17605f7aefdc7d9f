//! `wavemill inspect`.

use std::fmt::Write;
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float32Type;
use clap::Args;
use indexmap::IndexMap;
use serde_json::Value;

use crate::manifest::{DatasetFolder, Manifest};
use crate::write::{AudioColumn, FeatureColumn, decode_cell};

use super::exit::Failure;
use super::picture::picture;
use super::rows::{Reader, TakeRows, cell_text};
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
    let mut parts: IndexMap<&str, (u64, f64)> = IndexMap::new();
    for shard in &manifest.shards {
        if let Some(split) = &shard.split {
            let (rows, seconds) = parts.entry(split).or_default();
            *rows += shard.rows;
            *seconds += shard.audio_s;
        }
    }
    for (name, (rows, seconds)) in &parts {
        let _ = writeln!(text, "  {name:<20} {} of {}", counted(*rows, "row"), length(*seconds));
    }
    if !parts.is_empty() {
        text.push('\n');
    }
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
    let batch = reader.find(key)?;
    let features = &reader.schema.features;
    let mut text = String::new();
    for field in batch.schema().fields() {
        if features.iter().any(|column| column.name == *field.name()) {
            continue;
        }
        let sound = reader.schema.audio.iter().find(|column| column.name == *field.name());
        let cell = match sound {
            Some(column) => encoded(&batch, column),
            None => cell_text(&batch, field.name(), 0),
        };
        let lines = if field.name() == "augmentation" { augmentations(&cell) } else { vec![cell] };
        for (number, line) in lines.iter().enumerate() {
            let name = if number == 0 { field.name().as_str() } else { "" };
            let _ = writeln!(text, "{}", format!("  {name:<20} {line}").trim_end());
        }
    }
    for column in features {
        let mut values = numbers(&batch, column, 0);
        let all = values.len();
        if let Ok(frames) = cell_text(&batch, &column.frames_name(), 0).parse::<usize>() {
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
    Ok(text)
}

/// What a cell of encoded sound is: `flac, 24.1 kB`.
fn encoded(batch: &RecordBatch, column: &AudioColumn) -> String {
    let cells = batch.column_by_name(&column.name).and_then(|cells| cells.as_binary_opt::<i64>());
    cells.map_or_else(String::new, |cells| format!("{}, {}", column.codec, size(cells.value(0).len() as u64)))
}

/// What was done to a row's sound, a line each: `add_noise  audio: rain.wav, snr_db: 12.31`.
pub(super) fn augmentations(json: &str) -> Vec<String> {
    let Ok(Value::Array(applied)) = serde_json::from_str::<Value>(json) else { return vec![json.to_owned()] };
    if applied.is_empty() {
        return vec!["nothing was drawn".to_owned()];
    }
    let line = |entry: &Value| {
        let (name, record) = entry.as_object().and_then(|entry| entry.iter().next())?;
        let shown = |value: &Value| match value {
            Value::Number(number) if number.is_f64() => {
                let text = format!("{:.4}", number.as_f64().unwrap_or_default());
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let parameters = record.as_object().into_iter().flatten();
        let parameters: Vec<String> = parameters.map(|(key, value)| format!("{key}: {}", shown(value))).collect();
        Some(format!("{name}  {}", parameters.join(", ")).trim_end().to_owned())
    };
    applied.iter().map(|entry| line(entry).unwrap_or_else(|| entry.to_string())).collect()
}

/// The numbers of a feature cell.
fn numbers(batch: &RecordBatch, column: &FeatureColumn, row: usize) -> Vec<f32> {
    let cells = batch.column_by_name(&column.name).and_then(|cells| cells.as_binary_opt::<i64>());
    let Some(cells) = cells else { return Vec::new() };
    let scales = column.scale_name().and_then(|name| batch.column_by_name(&name)?.as_primitive_opt::<Float32Type>());
    decode_cell(cells.value(row), scales.map_or(1.0, |scales| scales.value(row)), column)
}
