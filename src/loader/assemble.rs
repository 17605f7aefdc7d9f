//! A batch made of its rows: cells read to where they belong, and all made as long as the longest.

use std::sync::Arc;

use indexmap::IndexMap;

use super::batch::{Batch, Column, Padded};
use super::columns::{Columns, PaddedColumn};
use super::epoch::Entry;
use super::error::{Damage, LoaderError};
use super::memory::Memory;
use super::prepared::Prepared;
use super::rows::{Located, Rows};
use super::settings::{OnDamage, RowOrder, Settings};
use crate::error::chain;
use crate::manifest::Dtype;
use crate::seed::Draws;
use crate::transform::{Extract, LoadChain, LoadChainError};
use crate::value::{Kind, Value};
use crate::write::{CellChannels, NUM_CHANNELS, decode_into, encode, value_at};

/// What all threads of a loader share.
pub(super) struct Shared {
    pub(super) prepared: Prepared,
    pub(super) columns: Columns,
    pub(super) rows: Rows,
    pub(super) settings: Settings,
    pub(super) memory: Memory,
}

/// Makes batches, one at a time; each thread has its own.
pub(super) struct Assembler {
    shared: Arc<Shared>,
    /// By padded column and dataset, what is done to the frames.
    chains: Vec<Vec<Option<Box<dyn Extract>>>>,
    /// A cell as it is stored.
    cell: Vec<u8>,
    /// The numbers of a cell.
    numbers: Vec<f32>,
    /// The frames made of those of a channel: a transform looks at all of them.
    frames: Vec<f32>,
    /// The numbers of all rows of a column, one row behind the other.
    made: Vec<f32>,
    /// The numbers of some frames as they are given.
    encoded: Vec<u8>,
}

/// A row that cannot be given, by its place among those of the batch.
struct Fault {
    row: usize,
    damage: Box<Damage>,
}

impl Assembler {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, LoaderError> {
        let chains = shared.columns.padded.iter().map(|column| {
            let stored = column.stored.iter();
            stored.map(|(_, chain)| chain.as_ref().map(LoadChain::prepare).transpose()).collect()
        });
        let chains = chains.collect::<Result<_, LoadChainError>>()?;
        Ok(Self {
            shared,
            chains,
            cell: Vec::new(),
            numbers: Vec::new(),
            frames: Vec::new(),
            made: Vec::new(),
            encoded: Vec::new(),
        })
    }

    /// The batch of these rows.
    pub(super) fn batch(&mut self, entries: &[Entry]) -> Result<Batch, LoaderError> {
        let shared = Arc::clone(&self.shared);
        let Shared { prepared, columns, rows: open, settings, .. } = shared.as_ref();
        let mut skipped = Vec::new();
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            match open.locate(prepared, columns, *entry) {
                Ok(row) => match row.shard.check_values(row.row).and_then(|()| check_length(&shared, &row)) {
                    Ok(()) => rows.push(row),
                    Err(damage) => skip(settings, &mut skipped, Arc::new(damage))?,
                },
                Err(LoaderError::Damaged(damage)) => skip(settings, &mut skipped, damage)?,
                Err(error) => return Err(error),
            }
        }
        if settings.row_order != RowOrder::Drawn {
            // Stored frames of the features: what is done to them keeps their order, but where it makes all alike.
            let counted = columns.features.as_ref().map(|name| format!("{name}_frames"));
            let length = |row: &Located| match &counted {
                Some(name) => row.shard.count(name, row.row).unwrap_or_default() as u64,
                None => prepared.length(row.number).into(),
            };
            match settings.row_order {
                RowOrder::LongestFirst => rows.sort_by_key(|row| std::cmp::Reverse(length(row))),
                RowOrder::ShortestFirst | RowOrder::Drawn => rows.sort_by_key(length),
            }
        }
        loop {
            match self.fill(&rows) {
                Ok(columns) => {
                    for row in &rows {
                        open.is_verified(row.number);
                    }
                    let keys = rows.iter().map(|row| text(row, "key").unwrap_or_default()).collect();
                    let texts = rows.iter().map(|row| text(row, "text")).collect();
                    let features = shared.columns.features.clone();
                    return Ok(Batch { keys, texts, columns, skipped, features });
                }
                Err(Fault { row, damage }) => {
                    skip(settings, &mut skipped, Arc::from(damage))?;
                    rows.remove(row);
                }
            }
        }
    }

    fn fill(&mut self, rows: &[Located]) -> Result<IndexMap<String, Column>, Fault> {
        let shared = Arc::clone(&self.shared);
        let mut columns = IndexMap::new();
        for (place, column) in shared.columns.padded.iter().enumerate() {
            let direct = column.channels == CellChannels::One && rows.iter().all(|row| column.is_direct(row.dataset));
            let padded =
                if direct { self.pad_stored(place, column, rows)? } else { self.pad_made(place, column, rows)? };
            columns.insert(column.name.clone(), Column::Padded(padded));
        }
        for (place, name) in shared.columns.sound.iter().enumerate() {
            let place = shared.columns.padded.len() + place;
            let cells = rows.iter().enumerate().map(|(number, row)| {
                let mut cell = vec![0; row.shard.cell_bytes(place, row.row)];
                self.read(place, name, number, row, &mut cell)?;
                Ok(cell)
            });
            let cells = cells.collect::<Result<_, Fault>>()?;
            columns.insert(name.clone(), Column::Sound(cells));
        }
        for (name, kind) in &shared.columns.values {
            columns.insert(name.clone(), values(rows, name, *kind));
        }
        Ok(columns)
    }

    fn read(&self, place: usize, name: &str, number: usize, row: &Located, out: &mut [u8]) -> Result<(), Fault> {
        let verify = self.shared.rows.must_verify(row.number);
        row.shard.read_cell(place, name, row.row, verify, out).map_err(fault(number))
    }

    /// A column of which every cell is given as it is stored: each is read to where it belongs.
    fn pad_stored(&self, place: usize, column: &PaddedColumn, rows: &[Located]) -> Result<Padded, Fault> {
        let counted = format!("{}_frames", column.name);
        let frame_bytes = column.bins.unwrap_or(1) * column.dtype.bytes();
        let mut lengths = Vec::with_capacity(rows.len());
        for (number, row) in rows.iter().enumerate() {
            let frames = row.shard.count(&counted, row.row).map_err(fault(number))?;
            let bytes = row.shard.cell_bytes(place, row.row);
            if frames.checked_mul(frame_bytes) != Some(bytes) {
                let reason = format!("{bytes} bytes are not {frames} frames");
                return Err(fault(number)(row.shard.wrong_cell(&column.name, row.row, reason)));
            }
            lengths.push(frames as u32);
        }
        let (frames, mut shape) = self.padded_shape(&lengths);
        shape.extend(column.bins);
        let row_bytes = frames * frame_bytes;
        let mut buffer = self.shared.memory.take(rows.len() * row_bytes);
        let out = buffer.bytes_mut();
        for (number, row) in rows.iter().enumerate() {
            let cell = &mut out[number * row_bytes..(number + 1) * row_bytes];
            let (cell, padding) = cell.split_at_mut(lengths[number] as usize * frame_bytes);
            self.read(place, &column.name, number, row, cell)?;
            self.pad(padding, column.dtype);
        }
        Ok(Padded { dtype: column.dtype, shape, lengths, channels: None, buffer })
    }

    /// A column whose cells are made of what is stored: other numbers, other frames.
    fn pad_made(&mut self, place: usize, column: &PaddedColumn, rows: &[Located]) -> Result<Padded, Fault> {
        self.made.clear();
        let bins = column.bins.unwrap_or(1);
        let (mut lengths, mut channels) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for (number, row) in rows.iter().enumerate() {
            let many = match column.channels {
                CellChannels::One => 1,
                CellChannels::All => row.shard.count(NUM_CHANNELS, row.row).map_err(fault(number))?,
            };
            let before = self.made.len();
            self.make(place, column, number, row, many)?;
            let frames = (self.made.len() - before) / bins / many.max(1);
            lengths.push(frames as u32);
            channels.push(many as u32);
        }
        let (frames, mut shape) = self.padded_shape(&lengths);
        let many = channels.iter().copied().max().unwrap_or(1).max(1) as usize;
        if column.channels == CellChannels::All {
            shape.insert(1, many);
        }
        shape.extend(column.bins);
        let channel_bytes = frames * bins * column.dtype.bytes();
        let mut buffer = self.shared.memory.take(rows.len() * many * channel_bytes);
        let mut out = buffer.bytes_mut().chunks_exact_mut(channel_bytes.max(1));
        let mut made = self.made.as_slice();
        for (length, there) in lengths.iter().zip(&channels) {
            for channel in 0..many {
                let Some(out) = out.next() else { break };
                let values = if channel < *there as usize { *length as usize * bins } else { 0 };
                let (values, rest) = made.split_at(values);
                made = rest;
                let (cell, padding) = out.split_at_mut(values.len() * column.dtype.bytes());
                put(values, column.dtype, &mut self.encoded, cell);
                self.pad(padding, column.dtype);
            }
        }
        let channels = (column.channels == CellChannels::All).then_some(channels);
        Ok(Padded { dtype: column.dtype, shape, lengths, channels, buffer })
    }

    /// Appends the numbers of a row's cell, channel by channel, to those made.
    fn make(
        &mut self,
        place: usize,
        column: &PaddedColumn,
        number: usize,
        row: &Located,
        channels: usize,
    ) -> Result<(), Fault> {
        let (stored, _) = &column.stored[row.dataset];
        let mut cell = std::mem::take(&mut self.cell);
        cell.resize(row.shard.cell_bytes(place, row.row), 0);
        let read = self.read(place, &column.name, number, row, &mut cell);
        let wrong = |reason: String| fault(number)(row.shard.wrong_cell(&column.name, row.row, reason));
        let scale = match stored.scale_name() {
            Some(name) => row.shard.scale(&name, row.row).map_err(fault(number)),
            None => Ok(1.0),
        };
        let frames = row.shard.count(&stored.frames_name(), row.row).map_err(fault(number));
        let result = read.and(scale).and_then(|scale| {
            let frames = frames?;
            let expected = frames.checked_mul(stored.frame_bytes()).and_then(|bytes| bytes.checked_mul(channels));
            if expected != Some(cell.len()) {
                return Err(wrong(format!("{} bytes are not {frames} frames of {channels} channels", cell.len())));
            }
            self.numbers.clear();
            decode_into(&cell, scale, stored, &mut self.numbers);
            Ok(frames * stored.bins.unwrap_or(1))
        });
        self.cell = cell;
        let channel_values = result?;
        let Some(at_work) = &mut self.chains[place][row.dataset] else {
            self.made.extend_from_slice(&self.numbers);
            return Ok(());
        };
        let key = text(row, "key").unwrap_or_default();
        let seed = self.shared.settings.seed.unwrap_or_default();
        for channel in 0..channels {
            let values = &self.numbers[channel * channel_values..(channel + 1) * channel_values];
            at_work.begin(Draws { seed, id: &key, copy: row.pass, segment: None, channel });
            self.frames.clear();
            at_work.push(values, &mut self.frames);
            let finished = at_work.finish(&mut self.frames);
            finished.map_err(|error| fault(number)(row.shard.not_transformed(&column.name, row.row, error)))?;
            self.made.extend_from_slice(&self.frames);
        }
        Ok(())
    }

    /// The frames that each row takes, and the shape as far as the frames.
    fn padded_shape(&self, lengths: &[u32]) -> (usize, Vec<usize>) {
        let longest = lengths.iter().copied().max().unwrap_or(0) as usize;
        let frames = longest.next_multiple_of(self.shared.settings.pad_to_multiple.max(1));
        (frames, vec![lengths.len(), frames])
    }

    /// Fills the frames behind a row.
    fn pad(&self, padding: &mut [u8], dtype: Dtype) {
        let value = self.shared.settings.pad_value;
        if value == 0.0 {
            return padding.fill(0);
        }
        let mut one = Vec::new();
        encode(&[value], dtype, &mut one);
        for number in padding.chunks_exact_mut(one.len()) {
            number.copy_from_slice(&one);
        }
    }
}

fn fault(row: usize) -> impl Fn(Damage) -> Fault {
    move |damage| Fault { row, damage: Box::new(damage) }
}

/// Holds the frames of a row against those that the order of the epoch was made of.
fn check_length(shared: &Shared, row: &Located) -> Result<(), Damage> {
    let Some(name) = &shared.prepared.frames_of else { return Ok(()) };
    let found = row.shard.count(&format!("{name}_frames"), row.row)? as u64;
    let planned = shared.prepared.length(row.number);
    if shared.prepared.parts[row.dataset].loaded_frames(found) == planned {
        return Ok(());
    }
    let reason = format!("{found} frames are not those of the shard's record");
    Err(row.shard.wrong_cell(name, row.row, reason))
}

/// Leaves a row out if that is asked for and every process finds the same; an error otherwise.
fn skip(settings: &Settings, skipped: &mut Vec<String>, damage: Arc<Damage>) -> Result<(), LoaderError> {
    if settings.on_damage == OnDamage::Stop || !damage.is_of_data() {
        return Err(damage.into());
    }
    let told = chain(damage.as_ref());
    tracing::warn!("left out: {told}");
    skipped.push(told);
    Ok(())
}

/// Numbers as they are given.
fn put(values: &[f32], dtype: Dtype, encoded: &mut Vec<u8>, out: &mut [u8]) {
    if dtype == Dtype::F32 {
        return out.copy_from_slice(bytemuck::cast_slice(values));
    }
    encoded.clear();
    encode(values, dtype, encoded);
    out.copy_from_slice(encoded);
}

/// The text of a row.
fn text(row: &Located, name: &str) -> Option<String> {
    let column = row.shard.values().column_by_name(name)?;
    match value_at(column, row.row) {
        Value::String(text) => Some(text.to_owned()),
        _ => None,
    }
}

/// A column of texts or numbers.
fn values(rows: &[Located], name: &str, kind: Kind) -> Column {
    let cells = || {
        rows.iter()
            .map(|row| row.shard.values().column_by_name(name).map_or(Value::Null, |column| value_at(column, row.row)))
    };
    match kind {
        Kind::String => Column::Text(
            cells().map(|cell| if let Value::String(text) = cell { Some(text.to_owned()) } else { None }).collect(),
        ),
        Kind::Int64 => {
            Column::Int(cells().map(|cell| if let Value::Int64(number) = cell { Some(number) } else { None }).collect())
        }
        Kind::Float64 => Column::Float(
            cells().map(|cell| if let Value::Float64(number) = cell { Some(number) } else { None }).collect(),
        ),
        Kind::Boolean => Column::Boolean(
            cells().map(|cell| if let Value::Boolean(truth) = cell { Some(truth) } else { None }).collect(),
        ),
    }
}
