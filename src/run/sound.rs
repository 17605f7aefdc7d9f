//! The audio columns of one row: the sound of all channels, encoded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::audio::Hertz;
use crate::encode::{Encode, EncodeSound};
use crate::plan::Plan;
use crate::transform::ExtractError;

use super::cell::CELL_BYTES;
use super::failure::Failure;

/// The most samples of a row: encoders hold them as integers until its end.
const MOST_SAMPLES: usize = CELL_BYTES / 2;

/// Samples whose memory a thread keeps from row to row.
const KEPT_SAMPLES: usize = 1 << 24;

/// Rates and numbers of channels whose encoders a thread keeps.
const KINDS: usize = 16;

/// What one thread keeps from row to row to encode sound.
#[derive(Default)]
pub(super) struct Sound {
    /// One for each audio column, by the kind of sound.
    encoders: HashMap<(Hertz, usize), Vec<Box<dyn EncodeSound + Send>>>,
    kind: Option<(Hertz, usize)>,
    /// Samples of the row so far, all channels together.
    samples: usize,
    /// Of several channels, what one has and another has not yet.
    waiting: Vec<Vec<f32>>,
}

impl Sound {
    /// Starts a row of so many channels of sound at `rate`, and forgets the one before.
    pub(super) fn begin(&mut self, plan: &Plan, rate: Hertz, channels: usize) -> Result<(), Failure> {
        if plan.schema.audio.is_empty() {
            return Ok(());
        }
        if self.samples > KEPT_SAMPLES {
            // One endless recording must not hold its memory for the rest of the run.
            *self = Self::default();
        }
        self.samples = 0;
        let kind = (rate, channels);
        if self.encoders.len() > KINDS {
            self.encoders.retain(|kept, _| *kept == kind);
        }
        let encoders = match self.encoders.entry(kind) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => {
                let made = plan.pipeline.audio().map(|(column, encode): (&str, &Encode)| {
                    encode.encoder(rate, channels).map_err(|error| Failure::Encode { column: column.to_owned(), error })
                });
                free.insert(made.collect::<Result<_, _>>()?)
            }
        };
        for encoder in encoders {
            encoder.begin();
        }
        self.waiting.resize_with(channels, Vec::new);
        self.waiting.iter_mut().for_each(Vec::clear);
        self.kind = Some(kind);
        Ok(())
    }

    /// Takes the next samples of a channel.
    pub(super) fn push(&mut self, plan: &Plan, channel: usize, samples: &[f32]) -> Result<(), Failure> {
        let Some(encoders) = self.kind.and_then(|kind| self.encoders.get_mut(&kind)) else { return Ok(()) };
        self.samples += samples.len();
        if self.samples > MOST_SAMPLES
            && let Some(column) = plan.schema.audio.first()
        {
            let error = ExtractError::TooLong { most: CELL_BYTES };
            return Err(Failure::Extract { column: column.name.clone(), error });
        }
        if self.waiting.len() == 1 {
            return encode(plan, encoders, &[samples]);
        }
        self.waiting[channel].extend_from_slice(samples);
        let whole = self.waiting.iter().map(Vec::len).min().unwrap_or(0);
        if whole == 0 {
            return Ok(());
        }
        let block: Vec<&[f32]> = self.waiting.iter().map(|channel| &channel[..whole]).collect();
        encode(plan, encoders, &block)?;
        for channel in &mut self.waiting {
            channel.drain(..whole);
        }
        Ok(())
    }

    /// Ends the row: the bytes of each audio column.
    pub(super) fn finish(&mut self, plan: &Plan) -> Result<Vec<Vec<u8>>, Failure> {
        let Some(encoders) = self.kind.and_then(|kind| self.encoders.get_mut(&kind)) else { return Ok(Vec::new()) };
        let columns = plan.schema.audio.iter().zip(encoders);
        let finish = columns.map(|(column, encoder)| {
            let column = column.name.clone();
            let mut bytes = Vec::new();
            match encoder.finish(&mut bytes) {
                Err(error) => Err(Failure::Encode { column, error }),
                Ok(()) if bytes.len() > CELL_BYTES => {
                    Err(Failure::Extract { column, error: ExtractError::TooLong { most: CELL_BYTES } })
                }
                Ok(()) => Ok(bytes),
            }
        });
        finish.collect()
    }
}

fn encode(plan: &Plan, encoders: &mut [Box<dyn EncodeSound + Send>], block: &[&[f32]]) -> Result<(), Failure> {
    encoders.iter_mut().zip(&plan.schema.audio).try_for_each(|(encoder, column)| {
        encoder.push(block).map_err(|error| Failure::Encode { column: column.name.clone(), error })
    })
}
