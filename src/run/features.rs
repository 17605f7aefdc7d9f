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
}

/// What one thread keeps from row to row to make features.
#[derive(Default)]
pub(super) struct Features {
    /// One for each channel and feature column.
    extractors: HashMap<Hertz, Vec<Vec<Box<dyn Extract>>>>,
    /// One for each channel and feature column.
    cells: Vec<Vec<CellInWork>>,
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
                self.cells.push(plan.schema.features.iter().map(CellInWork::new).collect());
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
        let Some(extractors) = self.rate.and_then(|rate| self.extractors.get_mut(&rate)) else {
            return Ok(Columns::default());
        };
        for (index, column) in plan.schema.features.iter().enumerate() {
            let channels = extractors.iter_mut().zip(self.cells.iter_mut()).take(self.channels);
            let mut channels = channels.map(|(extractors, cells)| cells[index].finish(extractors[index].as_mut()));
            let first = channels.next().unwrap_or_else(|| unreachable!("a sound has a channel"));
            let (Cell { frames, mut bytes, scale }, mut sum) = first.map_err(in_column(column))?;
            for channel in channels {
                let (Cell { bytes: more, .. }, part) = channel.map_err(in_column(column))?;
                bytes.extend_from_slice(&more);
                sum.merge(&part);
            }
            made.push(Cell { frames, bytes, scale });
            moments.push(sum);
        }
        Ok(Columns { cells: made, moments, audio: self.sound.finish(plan)? })
    }
}

/// The pipeline's extractors for one channel of sound at `rate`. Without `resample`, a setting may first meet a rate that it
/// does not fit in the middle of a corpus.
fn prepare(plan: &Plan, rate: Hertz) -> Result<Vec<Box<dyn Extract>>, Failure> {
    let prepare = |(column, recipe): (&str, &Recipe)| {
        let made = recipe.prepare(rate, &format!("featurize.{column}"));
        made.map_err(|RowError { error, .. }| Failure::Extract {
            column: column.to_owned(),
            error: ExtractError::Setting { setting: error },
        })
    };
    plan.pipeline.columns().map(prepare).collect()
}
