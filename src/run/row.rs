//! One utterance made into one row: load, resample, featurize, block by block.

use std::collections::{HashMap, hash_map};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use thiserror::Error;

use crate::audio::{Hertz, Seconds};
use crate::error::chain;
use crate::featurize::{Extract, ExtractError, Features};
use crate::load::{Cut, Decoder, LoadError, Pick, Take};
use crate::manifest::{Dtype, Moments, Reject};
use crate::plan::{Entry, Plan};
use crate::rejects::rejects;
use crate::resample::{Method, ResampleError, Resampler};
use crate::seed::Draws;
use crate::write::{Cell, encode};

use super::order::Weigh;

/// A row, ready to be written.
#[derive(Debug)]
pub(super) struct MadeRow {
    pub(super) num_samples: u64,
    pub(super) sample_rate: Hertz,
    /// One for each feature column.
    pub(super) cells: Vec<Cell>,
    /// One for each feature column.
    pub(super) moments: Vec<Moments>,
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
    /// The utterance is wrong: it is left out.
    Utterance(Box<Reject>),
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

/// Sample rates for which a thread keeps its filters. Corpora have a few; a folder of thousands must not fill the memory.
const RATES: usize = 16;

/// The most that a cell can hold, in bytes: well below what Parquet and its readers count in 32 bits.
const CELL_BYTES: usize = 1 << 30;

/// Feature values for which a thread keeps room between utterances.
const KEPT_VALUES: usize = 16 << 20;

/// What one thread keeps from utterance to utterance: decoders' blocks, filters and FFT plans.
pub(super) struct Worker<'p> {
    plan: &'p Plan,
    block: Vec<f32>,
    resampled: Vec<f32>,
    resamplers: HashMap<Hertz, Resampler>,
    extractors: HashMap<Hertz, Vec<Box<dyn Extract>>>,
    features: Vec<Vec<f32>>,
    /// What the thread is at, should it panic.
    stage: &'static str,
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let features = vec![Vec::new(); plan.schema.features.len()];
        Self {
            plan,
            block: Vec::new(),
            resampled: Vec::new(),
            resamplers: HashMap::new(),
            extractors: HashMap::new(),
            features,
            stage: "load",
        }
    }

    /// Makes the row of `entry`. A decoder or extractor that panics costs this utterance and no other.
    pub(super) fn make(&mut self, entry: Entry) -> Result<MadeRow, Fault> {
        let made = catch_unwind(AssertUnwindSafe(|| self.try_make(entry)));
        let failure = match made {
            Ok(Ok(row)) => return Ok(row),
            Ok(Err(failure)) => failure,
            Err(panic) => {
                let stage = self.stage;
                *self = Self::new(self.plan); // what the panic left half done is not used again
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word");
                Failure::Panic { stage, error: Panic::Panicked { text: text.to_owned() } }
            }
        };
        let table = &self.plan.table;
        let (stage, code, message) = match failure {
            Failure::World(source) => {
                return Err(Fault::World { path: table.audio_path(entry.utterance), source });
            }
            Failure::Load(error) => ("load".to_owned(), error.code(), chain(&error)),
            Failure::Resample(error) => ("resample".to_owned(), error.code(), chain(&error)),
            Failure::Extract { column, error } => (format!("featurize.{column}"), error.code(), chain(&error)),
            Failure::Panic { stage, error } => (stage.to_owned(), error.code(), error.to_string()),
        };
        Err(Fault::Utterance(Box::new(Reject {
            id: table.id(entry.utterance).to_owned(),
            copy: entry.copy,
            audio: table.audio(entry.utterance).to_owned(),
            stage,
            code: code.to_owned(),
            message,
        })))
    }

    fn try_make(&mut self, entry: Entry) -> Result<MadeRow, Failure> {
        let Plan { pipeline, table, schema, .. } = self.plan;
        let row = entry.utterance;
        self.stage = "load";
        let mut decoder = self.open(row)?;
        let native = decoder.sample_rate();
        if self.resamplers.len() > RATES {
            self.resamplers.clear();
            self.extractors.clear();
        }
        let rate = pipeline.resample.as_ref().map_or(native, |resample| resample.rate_hz);
        let resampler = match self.resamplers.entry(native) {
            hash_map::Entry::Occupied(kept) => kept.into_mut(),
            hash_map::Entry::Vacant(free) => {
                let method = pipeline.resample.as_ref().map_or_else(Method::default, |resample| resample.method);
                free.insert(Resampler::new(native, rate, &method).map_err(Failure::Resample)?)
            }
        };
        resampler.reset();
        let extractors = match self.extractors.entry(rate) {
            hash_map::Entry::Occupied(kept) => kept.into_mut(),
            hash_map::Entry::Vacant(free) => free.insert(prepare(self.plan, rate)?),
        };
        let draws = Draws { seed: pipeline.seed, id: table.id(row), copy: entry.copy };
        for (extractor, features) in extractors.iter_mut().zip(&mut self.features) {
            features.clear();
            extractor.begin(draws);
        }

        let mut num_samples = 0;
        loop {
            self.stage = "load";
            let more = decoder.read(&mut self.block)?;
            self.stage = "featurize";
            self.resampled.clear();
            if more {
                resampler.push(&self.block, &mut self.resampled);
            } else {
                resampler.finish(&mut self.resampled);
            }
            num_samples += self.resampled.len() as u64;
            let columns = extractors.iter_mut().zip(&mut self.features).zip(&schema.features);
            for ((extractor, features), column) in columns {
                extractor.push(&self.resampled, features);
                if features.len() * column.dtype.bytes() > CELL_BYTES {
                    features.shrink_to(0);
                    let error = ExtractError::TooLong { most: CELL_BYTES };
                    return Err(Failure::Extract { column: column.name.clone(), error });
                }
            }
            if !more {
                break;
            }
        }

        let mut cells = Vec::with_capacity(schema.features.len());
        let mut moments = Vec::with_capacity(schema.features.len());
        for ((extractor, features), column) in extractors.iter_mut().zip(&mut self.features).zip(&schema.features) {
            let bins = column.bins.unwrap_or(1);
            let failure = |error| Failure::Extract { column: column.name.clone(), error };
            extractor.finish(features).map_err(failure)?;
            if let Some(index) = too_large(features, column.dtype) {
                let (frame, value) = ((index / bins) as u64, features[index]);
                return Err(failure(ExtractError::OutOfRange { frame, value, dtype: column.dtype }));
            }
            let frames = (features.len() / bins) as u32;
            let mut bytes = Vec::new();
            encode(features, column.dtype, &mut bytes);
            cells.push(Cell { frames, bytes });
            moments.push(Moments::of(features, bins));
            // One endless recording must not hold its memory for the rest of the run.
            features.clear();
            features.shrink_to(KEPT_VALUES);
        }
        Ok(MadeRow { num_samples, sample_rate: rate, cells, moments })
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

/// Where the first value stands that half precision would make infinite.
fn too_large(values: &[f32], dtype: Dtype) -> Option<usize> {
    /// From here on, rounding to nearest gives infinity.
    const HALF: f32 = 65_520.0;
    if dtype == Dtype::F16 { values.iter().position(|value| value.abs() >= HALF) } else { None }
}

/// The pipeline's extractors for sound at `rate`. Without `resample`, a setting may first meet a rate that it does not
/// fit in the middle of a corpus.
fn prepare(plan: &Plan, rate: Hertz) -> Result<Vec<Box<dyn Extract>>, Failure> {
    let prepare = |(column, features): (&str, &Features)| {
        let made = features.member().prepare(rate, &format!("featurize.{column}.0"));
        made.map_err(|setting| Failure::Extract { column: column.to_owned(), error: ExtractError::Setting { setting } })
    };
    plan.pipeline.columns().map(prepare).collect()
}

/// A fault before it knows its utterance.
enum Failure {
    World(io::Error),
    Load(LoadError),
    Resample(ResampleError),
    Extract { column: String, error: ExtractError },
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
pub fn reject_codes() -> [(&'static str, &'static [(&'static str, &'static str)]); 4] {
    [
        ("load", LoadError::CODES),
        ("resample", ResampleError::CODES),
        ("featurize.COLUMN", ExtractError::CODES),
        ("load or featurize", Panic::CODES),
    ]
}
