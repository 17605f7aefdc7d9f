//! One utterance made into one row: load, resample, featurize, block by block.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::audio::{Hertz, Seconds};
use crate::error::chain;
use crate::featurize::{Recipe, RowError};
use crate::isolation::isolated;
use crate::load::{Channels, Cut, Decoder, Listener, LoadError, LoadWarning, Pick, Quality, QualityColumns, Take};
use crate::manifest::{Moments, Reject, Warning};
use crate::plan::{Entry, Plan};
use crate::rejects::rejects;
use crate::resample::{Method, ResampleError, Resampler};
use crate::seed::Draws;
use crate::transform::{Extract, ExtractError};
use crate::write::{Cell, FeatureColumn};

use super::cell::{CELL_BYTES, CellInWork};
use super::keep_if::{Heard, KeepError, keep, measured};
use super::order::Weigh;

/// A row, ready to be written.
#[derive(Debug)]
pub(super) struct MadeRow {
    pub(super) num_samples: u64,
    pub(super) sample_rate: Hertz,
    /// One for each column of what was found in the sound.
    pub(super) sound: Vec<f64>,
    /// One for each feature column.
    pub(super) cells: Vec<Cell>,
    /// One for each feature column.
    pub(super) moments: Vec<Moments>,
    /// What is wrong with the recording all the same.
    pub(super) warning: Option<Warning>,
}

impl MadeRow {
    /// Seconds of sound behind the row.
    pub(super) fn seconds(&self) -> f64 {
        Seconds::of_samples(self.num_samples, self.sample_rate).get()
    }
}

/// Why there is no row.
#[derive(Debug)]
pub(super) enum Fault {
    /// The utterance is left out: it is wrong, or `keep_if` does not want it.
    Utterance {
        reject: Box<Reject>,
        /// Seconds of sound that were decoded and heard to the end all the same.
        seconds: f64,
    },
    /// The world is wrong: the run stops.
    World { path: PathBuf, source: io::Error },
}

impl Weigh for Result<MadeRow, Fault> {
    fn weight(&self) -> usize {
        /// What a result takes beside its features, roughly.
        const RESULT_BYTES: usize = 1024;
        RESULT_BYTES + self.as_ref().map_or(0, |row| row.cells.iter().map(|cell| cell.bytes.len()).sum())
    }
}

/// Resamplers that a thread keeps, one for each rate and channel. Corpora have a few; a folder of thousands must not fill the
/// memory.
const RATES: usize = 16;

/// Bytes that they may take while another rate is at hand: a few of odd rates take as much as hundreds of usual ones.
const RESAMPLER_BYTES: usize = 128 << 20;

/// What one thread keeps from utterance to utterance: decoders' blocks, filters and FFT plans.
pub(super) struct Worker<'p> {
    plan: &'p Plan,
    /// One for each channel, like the listeners.
    blocks: Vec<Vec<f32>>,
    listeners: Vec<Listener>,
    resampled: Vec<f32>,
    /// One for each channel.
    resamplers: HashMap<Hertz, Vec<Resampler>>,
    /// One for each channel and feature column.
    extractors: HashMap<Hertz, Vec<Vec<Box<dyn Extract>>>>,
    /// One for each channel and feature column.
    cells: Vec<Vec<CellInWork>>,
    /// What the thread is at, should it panic.
    stage: &'static str,
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            blocks: Vec::new(),
            listeners: Vec::new(),
            resampled: Vec::new(),
            resamplers: HashMap::new(),
            extractors: HashMap::new(),
            cells: Vec::new(),
            stage: "load",
        }
    }

    /// Makes the row of `entry`. A decoder or extractor that panics costs this utterance and no other.
    pub(super) fn make(&mut self, entry: Entry) -> Result<MadeRow, Fault> {
        let made = isolated(|| self.try_make(entry));
        let failure = match made {
            Ok(Ok(row)) => return Ok(row),
            Ok(Err(failure)) => failure,
            Err(text) => {
                let stage = self.stage;
                *self = Self::new(self.plan); // what the panic left half done is not used again
                Failure::Panic { stage, error: Panic::Panicked { text } }
            }
        };
        let table = &self.plan.table;
        let seconds = if let Failure::Keep { seconds, .. } = &failure { *seconds } else { 0.0 };
        let (stage, code, message) = match failure {
            Failure::World(source) => {
                return Err(Fault::World { path: table.audio_path(entry.utterance), source });
            }
            Failure::Load(error) => ("load".to_owned(), error.code(), chain(&error)),
            Failure::Resample(error) => ("resample".to_owned(), error.code(), chain(&error)),
            Failure::Extract { column, error } => (format!("featurize.{column}"), error.code(), chain(&error)),
            Failure::Keep { error, .. } => ("keep_if".to_owned(), error.code(), chain(&error)),
            Failure::Panic { stage, error } => (stage.to_owned(), error.code(), error.to_string()),
        };
        let reject = Box::new(Reject {
            id: table.id(entry.utterance).to_owned(),
            copy: entry.copy,
            audio: table.audio(entry.utterance).to_owned(),
            stage,
            code: code.to_owned(),
            message,
        });
        Err(Fault::Utterance { reject, seconds })
    }

    fn try_make(&mut self, entry: Entry) -> Result<MadeRow, Failure> {
        let Plan { pipeline, table, schema, .. } = self.plan;
        let row = entry.utterance;
        self.stage = "load";
        let mut decoder = self.open(row)?;
        let native = decoder.sample_rate();
        let rate = pipeline.resample.as_ref().map_or(native, |resample| resample.rate_hz);
        let all = pipeline.load.channels == Channels::Keep && table.channel(row).is_none();
        let channels = if all { usize::from(decoder.num_channels()) } else { 1 };
        self.make_ready(native, rate, channels)?;

        let blocks = &mut self.blocks[..channels];
        let listeners = &mut self.listeners[..channels];
        let cells = &mut self.cells[..channels];
        let (Some(resamplers), Some(extractors)) = (self.resamplers.get_mut(&native), self.extractors.get_mut(&rate))
        else {
            unreachable!("they were made ready")
        };
        for (listener, resampler) in listeners.iter_mut().zip(resamplers.iter_mut()) {
            listener.begin(native);
            resampler.reset();
        }
        for (channel, (extractors, cells)) in extractors.iter_mut().zip(cells.iter_mut()).enumerate() {
            let draws = Draws { seed: pipeline.seed, id: table.id(row), copy: entry.copy, channel };
            for (extractor, cell) in extractors.iter_mut().zip(cells) {
                cell.begin(CELL_BYTES / channels);
                extractor.begin(draws);
            }
        }

        let mut num_samples = 0;
        loop {
            self.stage = "load";
            let more = if all { decoder.read_channels(blocks)? } else { decoder.read(&mut blocks[0])? };
            for (listener, block) in listeners.iter_mut().zip(blocks.iter_mut()) {
                listener.look(block)?;
            }
            self.stage = "featurize";
            for (channel, block) in blocks.iter().enumerate() {
                self.resampled.clear();
                if more {
                    resamplers[channel].push(block, &mut self.resampled);
                } else {
                    resamplers[channel].finish(&mut self.resampled);
                }
                num_samples += if channel == 0 { self.resampled.len() as u64 } else { 0 };
                let columns = extractors[channel].iter_mut().zip(&mut cells[channel]).zip(&schema.features);
                for ((extractor, cell), column) in columns {
                    cell.push(extractor.as_mut(), &self.resampled).map_err(in_column(column))?;
                }
            }
            if !more {
                break;
            }
        }

        self.stage = "load";
        let quality = Listener::finish(listeners, pipeline.load.silence)?;
        self.stage = "keep_if";
        let heard = Heard { num_samples, sample_rate: rate, channels, quality };
        keep(self.plan, row, &heard).map_err(|error| Failure::Keep { error, seconds: heard.seconds() })?;
        self.stage = "featurize";
        let mut made = Vec::with_capacity(schema.features.len());
        let mut moments = Vec::with_capacity(schema.features.len());
        for (index, column) in schema.features.iter().enumerate() {
            let channels = extractors.iter_mut().zip(cells.iter_mut());
            let mut channels = channels.map(|(extractors, cells)| cells[index].finish(extractors[index].as_mut()));
            let first = channels.next().unwrap_or_else(|| unreachable!("a sound has a channel"));
            let (frames, mut bytes, mut sum) = first.map_err(in_column(column))?;
            for channel in channels {
                let (_, more, part) = channel.map_err(in_column(column))?;
                bytes.extend_from_slice(&more);
                sum.merge(&part);
            }
            made.push(Cell { frames, bytes });
            moments.push(sum);
        }
        let mut sound = Vec::with_capacity(schema.sound.len());
        if pipeline.load.channels == Channels::Keep {
            sound.push(channels as f64);
        }
        if pipeline.load.quality == QualityColumns::Columns {
            sound.extend(quality.iter().flat_map(Quality::values));
        }
        let warning = decoder.warning().map(|warning| self.warning(entry, warning));
        Ok(MadeRow { num_samples, sample_rate: rate, sound, cells: made, moments, warning })
    }

    /// Sees to it that there are filters and extractors for so many channels.
    fn make_ready(&mut self, native: Hertz, rate: Hertz, channels: usize) -> Result<(), Failure> {
        let Plan { pipeline, schema, .. } = self.plan;
        let kept = || self.resamplers.values().flatten();
        if kept().count() > RATES.max(channels) || kept().map(Resampler::bytes).sum::<usize>() > RESAMPLER_BYTES {
            self.resamplers.retain(|kept, _| *kept == native);
            self.resamplers.entry(native).or_default().truncate(channels);
            self.extractors.retain(|kept, _| *kept == rate);
        }
        let quality = measured(self.plan);
        let resamplers = self.resamplers.entry(native).or_default();
        let extractors = self.extractors.entry(rate).or_default();
        for channel in 0..channels {
            if channel >= resamplers.len() {
                let method = pipeline.resample.as_ref().map_or_else(Method::default, |resample| resample.method);
                let made = match resamplers.first() {
                    Some(first) => first.another(),
                    None => Resampler::new(native, rate, &method),
                };
                resamplers.push(made.map_err(Failure::Resample)?);
            }
            if channel >= extractors.len() {
                extractors.push(prepare(self.plan, rate)?);
            }
            if channel >= self.blocks.len() {
                self.blocks.push(Vec::new());
                self.listeners.push(Listener::new(pipeline.load.nan, quality));
                self.cells.push(schema.features.iter().map(CellInWork::new).collect());
            }
        }
        Ok(())
    }

    fn warning(&self, entry: Entry, warning: LoadWarning) -> Warning {
        let table = &self.plan.table;
        Warning {
            id: table.id(entry.utterance).to_owned(),
            copy: entry.copy,
            audio: table.audio(entry.utterance).to_owned(),
            code: warning.code().to_owned(),
            message: warning.to_string(),
        }
    }

    fn open(&self, row: usize) -> Result<Decoder, Failure> {
        let Plan { pipeline, table, .. } = self.plan;
        let pick = match table.channel(row) {
            Some(channel) => Pick::Channel(channel.try_into().unwrap_or(u16::MAX)),
            None => pipeline.load.channels.pick(),
        };
        let cut = Cut {
            start: table.start_s(row).and_then(Seconds::new).unwrap_or(Seconds::ZERO),
            duration: table.cut_duration_s(row).and_then(Seconds::new),
        };
        let rate = pipeline.resample.as_ref().map(|resample| resample.rate_hz);
        Ok(Decoder::open(&table.audio_path(row), Take { cut, pick, rate }, &pipeline.load)?)
    }
}

/// The failure of a column's extractor.
fn in_column(column: &FeatureColumn) -> impl Fn(ExtractError) -> Failure {
    |error| Failure::Extract { column: column.name.clone(), error }
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

/// A fault before it knows its utterance.
enum Failure {
    World(io::Error),
    Load(LoadError),
    Resample(ResampleError),
    Extract { column: String, error: ExtractError },
    Keep { error: KeepError, seconds: f64 },
    Panic { stage: &'static str, error: Panic },
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let world = error.is_world();
        match error {
            LoadError::Unreadable { source } if world => Self::World(source),
            error => Self::Load(error),
        }
    }
}

rejects! {
    /// A bug that one utterance brought to light.
    #[derive(Debug, Error)]
    enum Panic {
        /// A decoder or wavemill itself has a bug that this utterance brought to light.
        #[error("a bug, please report it: {text}")]
        panicked: Panicked {
            /// What the panic said.
            text: String,
        },
    }
}

/// Every reason for which an utterance can be left out: the stage, and its codes with what they mean.
#[must_use]
pub fn reject_codes() -> [(&'static str, &'static [(&'static str, &'static str)]); 5] {
    [
        ("load", LoadError::CODES),
        ("resample", ResampleError::CODES),
        ("featurize.COLUMN", ExtractError::CODES),
        ("keep_if", KeepError::CODES),
        ("load, keep_if or featurize", Panic::CODES),
    ]
}

/// Everything that can be wrong with an utterance that becomes a row: its code with what it means.
#[must_use]
pub const fn warning_codes() -> &'static [(&'static str, &'static str)] {
    LoadWarning::CODES
}
