//! The features of one row: every column of every channel, from samples to the bytes that are stored.

use std::collections::HashMap;

use crate::audio::Hertz;
use crate::featurize::{Recipe, RowError};
use crate::manifest::Moments;
use crate::plan::Plan;
use crate::seed::Draws;
use crate::transform::{Extract, ExtractError};
use crate::write::Cell;

use super::cell::{CELL_BYTES, CellInWork};
use super::failure::{Failure, in_column};
use super::sound::Sound;

/// Rates whose extractors a thread keeps: a folder of thousands must not fill the memory.
const RATES: usize = 16;

/// The columns of one row that are made of its sound.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// One for each feature column.
    pub(super) cells: Vec<Cell>,
    /// One for each feature column.
    pub(super) moments: Vec<Moments>,
    /// One for each audio column.
    pub(super) audio: Vec<Vec<u8>>,
    /// What waits for a module; until that has run, its cells and moments are empty.
    pub(super) waiting: Vec<Waiting>,
}

/// The input of a module, which takes that of several rows at once: see [`Batches`](super::batch::Batches).
#[derive(Debug)]
pub(super) struct Waiting {
    /// The feature column.
    pub(super) column: usize,
    /// One for each channel: `[frames, bins]` of the module's `input`.
    pub(super) channels: Vec<Vec<f32>>,
}

/// One column of one channel, being made.
enum InWork {
    Cell(CellInWork),
    /// The input of a module, and the numbers that it may have.
    Input(Vec<f32>, usize),
}

impl InWork {
    fn begin(&mut self, most: usize) {
        match self {
            Self::Cell(cell) => cell.begin(most),
            Self::Input(values, room) => {
                values.clear();
                *room = most / size_of::<f32>();
            }
        }
    }

    fn push(&mut self, extractor: &mut dyn Extract, samples: &[f32]) -> Result<(), ExtractError> {
        match self {
            Self::Cell(cell) => cell.push(extractor, samples),
            Self::Input(values, room) => {
                extractor.push(samples, values);
                within(values, *room)
            }
        }
    }
}

/// Refuses an input of a module that fills the memory.
fn within(values: &mut Vec<f32>, room: usize) -> Result<(), ExtractError> {
    if values.len() > room {
        *values = Vec::new();
        return Err(ExtractError::TooLong { most: room * size_of::<f32>() });
    }
    Ok(())
}

/// What one thread keeps from row to row to make features.
#[derive(Default)]
pub(super) struct Features {
    /// One for each channel and feature column.
    extractors: HashMap<Hertz, Vec<Vec<Box<dyn Extract>>>>,
    /// One for each channel and feature column.
    cells: Vec<Vec<InWork>>,
    rate: Option<Hertz>,
    channels: usize,
    sound: Sound,
}

impl Features {
    /// Starts a row of so many channels of sound at `rate`, and forgets the one before.
    pub(super) fn begin(&mut self, plan: &Plan, rate: Hertz, channels: usize, who: Draws<'_>) -> Result<(), Failure> {
        if self.extractors.len() > RATES {
            self.extractors.retain(|kept, _| *kept == rate);
        }
        let extractors = self.extractors.entry(rate).or_default();
        for channel in 0..channels {
            if channel >= extractors.len() {
                extractors.push(prepare(plan, rate)?);
            }
            if channel >= self.cells.len() {
                let columns = plan.pipeline.columns().zip(&plan.schema.features);
                let in_work = columns.map(|((_, recipe), column)| match recipe.batched() {
                    Some(_) => InWork::Input(Vec::new(), 0),
                    None => InWork::Cell(CellInWork::new(column)),
                });
                self.cells.push(in_work.collect());
            }
            for (extractor, cell) in extractors[channel].iter_mut().zip(&mut self.cells[channel]) {
                cell.begin(CELL_BYTES / channels);
                extractor.begin(Draws { channel, ..who });
            }
        }
        (self.rate, self.channels) = (Some(rate), channels);
        self.sound.begin(plan, rate, channels)
    }

    /// Takes the next samples of a channel.
    pub(super) fn push(&mut self, plan: &Plan, channel: usize, samples: &[f32]) -> Result<(), Failure> {
        let Some(extractors) = self.rate.and_then(|rate| self.extractors.get_mut(&rate)) else { return Ok(()) };
        let columns = extractors[channel].iter_mut().zip(&mut self.cells[channel]).zip(&plan.schema.features);
        for ((extractor, cell), column) in columns {
            cell.push(extractor.as_mut(), samples).map_err(in_column(column))?;
        }
        self.sound.push(plan, channel, samples)
    }

    /// Ends the row.
    pub(super) fn finish(&mut self, plan: &Plan) -> Result<Columns, Failure> {
        let mut made = Vec::with_capacity(plan.schema.features.len());
        let mut moments = Vec::with_capacity(plan.schema.features.len());
        let mut waiting = Vec::new();
        let Some(extractors) = self.rate.and_then(|rate| self.extractors.get_mut(&rate)) else {
            return Ok(Columns::default());
        };
        for (index, column) in plan.schema.features.iter().enumerate() {
            let mut whole: Option<(Cell, Moments)> = None;
            let mut inputs = Vec::new();
            for (extractors, cells) in extractors.iter_mut().zip(self.cells.iter_mut()).take(self.channels) {
                let extractor = extractors[index].as_mut();
                match &mut cells[index] {
                    InWork::Cell(cell) => add_channel(&mut whole, cell.finish(extractor).map_err(in_column(column))?),
                    InWork::Input(values, room) => {
                        extractor.finish(values).map_err(in_column(column))?;
                        within(values, *room).map_err(in_column(column))?;
                        inputs.push(std::mem::take(values));
                    }
                }
            }
            let empty =
                || (Cell { frames: 0, bytes: Vec::new(), scale: 1.0 }, Moments::empty(column.bins.unwrap_or(1)));
            let (cell, sum) = whole.unwrap_or_else(empty);
            made.push(cell);
            moments.push(sum);
            if !inputs.is_empty() {
                waiting.push(Waiting { column: index, channels: inputs });
            }
        }
        Ok(Columns { cells: made, moments, audio: self.sound.finish(plan)?, waiting })
    }
}

/// Adds the cell of the next channel to those before it.
pub(super) fn add_channel(whole: &mut Option<(Cell, Moments)>, (cell, part): (Cell, Moments)) {
    match whole {
        None => *whole = Some((cell, part)),
        Some((Cell { bytes, .. }, sum)) => {
            bytes.extend_from_slice(&cell.bytes);
            sum.merge(&part);
        }
    }
}

/// The pipeline's extractors for one channel of sound at `rate`. Without `resample`, a setting may first meet a rate that it
/// does not fit in the middle of a corpus.
fn prepare(plan: &Plan, rate: Hertz) -> Result<Vec<Box<dyn Extract>>, Failure> {
    let prepare = |(column, recipe): (&str, &Recipe)| {
        let path = format!("featurize.{column}");
        let made = match recipe.batched() {
            Some(module) => module.prepare_input(rate, &path).map_err(|error| RowError { row: 0, error }),
            None => recipe.prepare(rate, &path),
        };
        made.map_err(|RowError { error, .. }| Failure::Extract {
            column: column.to_owned(),
            error: ExtractError::Setting { setting: error },
        })
    };
    plan.pipeline.columns().map(prepare).collect()
}
