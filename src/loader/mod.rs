//! The loader: datasets of wavemill as batches of a training loop.
//!
//! ```text
//! manifest, records ──► Prepared ──► EpochPlan ──► Assembler (on threads) ──► Batch ──► TensorBatch
//!  rows, lengths        buckets       steps of      cells read to where                  (feature tch)
//!                                     G batches     they belong, padded
//! ```
//!
//! The order of an epoch is a function of the manifest, the seed, the epoch and the settings that cut it; nothing in it depends on
//! threads or on the number of processes. So a [`State`] of a few words resumes exactly, also on another number of GPUs.
//!
//! ```
//! use wavemill::loader::{Loader, LastStep};
//! # use wavemill::{manifest::DatasetFolder, plan::Plan, run::{self, Existing, Options, Silent}, variables::Variables};
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path();
//! # let pipeline = wavemill::pipeline::read("pipelines/sample.yaml".as_ref(), &Variables::default())?;
//! # let plan = Plan::make(pipeline, &Variables::default())?;
//! # let options = Options { threads: 2, share: None, existing: Existing::Keep };
//! # run::run(&plan, &DatasetFolder::new(out), options, &Silent, &false.into())?;
//!
//! let loader = Loader::open(out)?.shuffle(17).buckets(4).max_frames(2_000).rank(0, 1).epochs(2);
//! let mut batches = loader.batches()?;
//! while let Some(batch) = batches.next() {
//!     let batch = batch?;
//!     let features = batch.features().expect("the pipeline makes features");
//!     assert_eq!(features.shape, [batch.len(), features.frames(), 80]);
//!     let checkpoint = batches.state(); // `loader.resume(&checkpoint)` goes on from here
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod batch;
mod batches;
mod buckets;
mod columns;
mod epoch;
mod error;
mod file_at;
mod memory;
mod order;
mod prepared;
mod rows;
mod scan;
mod settings;
mod shard;
mod source;
mod state;
#[cfg(feature = "tch")]
mod tensors;
mod vocabulary;

use std::path::Path;
use std::sync::Arc;

use self::assemble::Shared;
use self::batches::Place;
use self::columns::Columns;
use self::memory::{Memory, Pool};
use self::prepared::Prepared;
use self::rows::Rows;
use self::settings::Settings;
use self::source::Source;
use crate::manifest::Dtype;
use crate::transform::Transforms;
use crate::variables::Variables;

pub use batch::{Batch, Column, Padded};
pub use batches::Batches;
pub use epoch::LastStep;
pub use error::{Damage, DamageKind, DamagedRow, LoaderError};
pub use settings::{OnDamage, RowOrder, Verify};
pub use state::State;
#[cfg(feature = "tch")]
pub use tensors::{PaddedTensor, TensorBatch, TensorBatches};
pub use vocabulary::{Ids, Vocabulary, VocabularyError};

/// More threads or batches ahead than this are not made.
const MOST: usize = 1024;

/// A dataset, or a mix of some, and what its batches are to be like.
///
/// Without further words it gives all rows once, in the order in which they are stored, 32 at a time.
#[derive(Debug, Clone)]
pub struct Loader {
    sources: Vec<(Source, f64)>,
    settings: Settings,
    start: Option<State>,
}

impl Loader {
    /// The dataset in `folder`, the one with `manifest.json`.
    ///
    /// # Errors
    ///
    /// There is no manifest of this version.
    pub fn open(folder: &Path) -> Result<Self, LoaderError> {
        Self::mix([(folder, 1.0)])
    }

    /// Several datasets, each with its weight: its share of the rows of an epoch, which has as many rows as all of them together.
    ///
    /// A dataset whose share is smaller than it is large gives other rows in the next epoch, and one whose share is larger begins
    /// anew, in another order: over time each row of a dataset is seen equally often. The rows of the datasets are spread evenly over
    /// the epoch.
    ///
    /// # Errors
    ///
    /// A dataset has no manifest of this version, or a weight is no positive number.
    pub fn mix<'p>(datasets: impl IntoIterator<Item = (&'p Path, f64)>) -> Result<Self, LoaderError> {
        let open = datasets.into_iter().map(|(folder, weight)| {
            if !(weight.is_finite() && weight > 0.0) {
                return Err(LoaderError::setting("mix", format!("{weight} is no weight: it must be above 0")));
            }
            Ok((Source::open(folder)?, weight))
        });
        let sources: Vec<_> = open.collect::<Result<_, _>>()?;
        if sources.is_empty() {
            return Err(LoaderError::setting("mix", "there is no dataset"));
        }
        Ok(Self { sources, settings: Settings::default(), start: None })
    }

    /// Only this part of a dataset with `write.split`; called again, this one too.
    #[must_use]
    pub fn split(mut self, split: &str) -> Self {
        self.settings.splits.push(split.to_owned());
        self
    }

    /// Only rows of which this condition is true: polars SQL over all columns but features and sound, such as
    /// `duration_s < 20 AND speaker <> 'theo'`. Called again, both must be true.
    #[must_use]
    pub fn filter(mut self, sql: &str) -> Self {
        self.settings.filter = Some(match self.settings.filter {
            // A comment may end either.
            Some(before) => format!("({before}\n) AND ({sql}\n)"),
            None => sql.to_owned(),
        });
        self
    }

    /// Only these columns; no cells of others are read. Keys and texts are always there.
    #[must_use]
    pub fn columns<'c>(mut self, columns: impl IntoIterator<Item = &'c str>) -> Self {
        self.settings.columns = Some(columns.into_iter().map(str::to_owned).collect());
        self
    }

    /// Another order of shards and rows in each epoch, and other draws, as this seed decides.
    #[must_use]
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// How many shards are mixed with each other at a time when rows are shuffled; 16. More of them mix better, and have more files
    /// open; 256 at most.
    #[must_use]
    pub fn block(mut self, shards: usize) -> Self {
        self.settings.block = shards.max(1);
        self
    }

    /// How many buckets of like length rows go into, so that little of a batch is padding; 1. Their edges are chosen such that
    /// each has the same number of frames.
    #[must_use]
    pub fn buckets(mut self, count: usize) -> Self {
        self.settings.buckets = count.max(1);
        self
    }

    /// The column whose frames, or whose whole numbers, are the length of a row: the features, or `num_samples` where there are none.
    #[must_use]
    pub fn length_of(mut self, column: &str) -> Self {
        self.settings.length_of = Some(column.to_owned());
        self
    }

    /// A batch has no more frames than this, padding counted, as they are once they are loaded. A longer row is a batch by itself.
    #[must_use]
    pub fn max_frames(mut self, frames: u64) -> Self {
        self.settings.max_frames = Some(frames);
        self
    }

    /// A batch has no more rows than this: 32, unless [`max_frames`](Self::max_frames) is given.
    #[must_use]
    pub fn batch_size(mut self, rows: u32) -> Self {
        self.settings.batch_size = Some(rows.max(1));
        self
    }

    /// Batches in a step, all of one bucket: one for each process, or as many as the state had that is resumed from. The number of
    /// processes must divide it. With fewer processes than slots each takes several batches of a step, as with accumulated
    /// gradients, so that the step is the same for any number of them. Who may ever train on more processes than at first
    /// chooses it for the most.
    #[must_use]
    pub fn slots(mut self, batches: u32) -> Self {
        self.settings.slots = Some(batches.max(1));
        self
    }

    /// What becomes of the last batches of an epoch, which are too few for a step.
    #[must_use]
    pub fn last_step(mut self, last: LastStep) -> Self {
        self.settings.last = last;
        self
    }

    /// This process, counted from 0, and how many there are.
    #[must_use]
    pub fn rank(mut self, rank: u32, world: u32) -> Self {
        (self.settings.rank, self.settings.world) = (rank, world);
        self
    }

    /// How often all rows are gone through: 1.
    #[must_use]
    pub fn epochs(mut self, epochs: u32) -> Self {
        self.settings.epochs = Some(epochs);
        self
    }

    /// Epoch after epoch, until nobody asks any more.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.settings.epochs = None;
        self
    }

    /// The order of rows in a batch.
    #[must_use]
    pub fn row_order(mut self, order: RowOrder) -> Self {
        self.settings.row_order = order;
        self
    }

    /// How many threads make batches: one a core, up to 4. With none the thread that asks makes them.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.settings.threads = Some(threads.min(MOST));
        self
    }

    /// How many batches are made ahead: 8, or a few more, as many for each thread.
    #[must_use]
    pub fn prefetch(mut self, batches: usize) -> Self {
        self.settings.prefetch = batches.min(MOST);
        self
    }

    /// When what is read is held against its checksums.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.settings.verify = verify;
        self
    }

    /// What becomes of rows that are damaged.
    #[must_use]
    pub fn on_damage(mut self, policy: OnDamage) -> Self {
        self.settings.on_damage = policy;
        self
    }

    /// The type of the numbers of features: f32, f16, bf16, or the one that they are stored in. Without it, floats are as they are
    /// stored, and integers become f32.
    #[must_use]
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.settings.dtype = Some(dtype);
        self
    }

    /// What stands in the frames behind a row; 0. Integers that are given as they are stored have it rounded, or of sound as a part of
    /// full scale.
    #[must_use]
    pub fn pad_value(mut self, value: f32) -> Self {
        self.settings.pad_value = value;
        self
    }

    /// Makes the frames of a batch a multiple of this, up to a million: 1.
    #[must_use]
    pub fn pad_to_multiple_of(mut self, frames: usize) -> Self {
        self.settings.pad_to_multiple = frames.clamp(1, 1 << 20);
        self
    }

    /// What is done to the frames of a column when they are loaded, behind what the pipeline left to the loader: rows of the family
    /// `transform`, as YAML or JSON has them under `featurize`. What they draw depends on the seed, the epoch and the row's key.
    ///
    /// ```
    /// # use wavemill::loader::Loader;
    /// # fn augmented(loader: Loader) -> Result<Loader, wavemill::loader::LoaderError> {
    /// loader.transform("features", "[{crop: {frames: 300}}, {spec_augment: {}}]")
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The text is no list of transforms.
    pub fn transform(mut self, column: &str, rows: &str) -> Result<Self, LoaderError> {
        let rows: Vec<Transforms> =
            serde_saphyr::from_str(rows).map_err(|error| LoaderError::setting("transform", error.to_string()))?;
        self.settings.transforms.push((column.to_owned(), rows));
        Ok(self)
    }

    /// What `${…}` stands for in the rows of [`transform`](Self::transform).
    #[must_use]
    pub fn variables(mut self, variables: Variables) -> Self {
        self.settings.variables = variables;
        self
    }

    /// Goes on with the batch after the one at which `state` was taken, by any process of any number of them.
    #[must_use]
    pub fn resume(mut self, state: &State) -> Self {
        self.start = Some(state.clone());
        self
    }

    /// The batches of this process.
    ///
    /// # Errors
    ///
    /// The settings do not go with the datasets, a record or a column that the plan needs cannot be read, or a state that is resumed
    /// from is of other datasets or settings, or was taken in the middle of what the processes take at once.
    pub fn batches(&self) -> Result<Batches, LoaderError> {
        self.batches_in(Memory::Pool(Arc::new(Pool::default())))
    }

    /// The batches of this process as tensors on `device`.
    ///
    /// # Errors
    ///
    /// Those of [`batches`](Self::batches).
    #[cfg(feature = "tch")]
    pub fn tensors(&self, device: tch::Device) -> Result<TensorBatches, LoaderError> {
        Ok(TensorBatches::new(self.batches_in(Memory::Tensors)?, device))
    }

    fn batches_in(&self, memory: Memory) -> Result<Batches, LoaderError> {
        let (shared, start) = self.shared(memory)?;
        Batches::start(Arc::new(shared), start)
    }

    fn shared(&self, memory: Memory) -> Result<(Shared, Place), LoaderError> {
        let Settings { rank, world, slots, .. } = self.settings;
        let slots = slots.or(self.start.as_ref().map(|state| state.slots)).unwrap_or(world);
        if rank >= world {
            return Err(LoaderError::setting(
                "rank",
                format!("{rank} is none of {world} processes, which are counted from 0"),
            ));
        }
        if world == 0 || slots == 0 || slots % world != 0 {
            let reason = format!(
                "a step has {slots} batches, which {world} processes cannot share equally: choose `slots` as a multiple of {world}"
            );
            return Err(LoaderError::setting("slots", reason));
        }
        let sources: Vec<&Source> = self.sources.iter().map(|(source, _)| source).collect();
        let columns = Columns::new(&sources, &self.settings)?;
        let prepared = Prepared::new(&self.sources, &self.settings, &columns, slots)?;
        let rows = Rows::new(&prepared, self.settings.block, self.settings.verify)?;
        let start = match &self.start {
            None => Place { epoch: 0, batch: 0 },
            Some(state) => start(state, &prepared, &self.settings)?,
        };
        Ok((Shared { prepared, columns, rows, settings: self.settings.clone(), memory }, start))
    }
}

/// Where a state goes on.
fn start(state: &State, prepared: &Prepared, settings: &Settings) -> Result<Place, LoaderError> {
    let wrong = |reason: String| LoaderError::State { reason };
    if state.seed != settings.seed {
        return Err(wrong(format!("its seed is {:?}, and this loader's {:?}", state.seed, settings.seed)));
    }
    if state.plan != prepared.hash {
        let reason = "it was taken of another dataset, or of a loader whose split, filter, buckets, limits of a batch or slots are others";
        return Err(wrong(reason.to_owned()));
    }
    let batch = usize::try_from(state.batches).map_err(|_| wrong("its place is in no epoch".to_owned()))?;
    if batch % settings.world as usize != 0 {
        let reason = format!(
            "{batch} batches were taken, which {} processes do not take in whole rounds: take states between steps of {} batches",
            settings.world, prepared.slots
        );
        return Err(wrong(reason));
    }
    if batch > prepared.epoch(state.epoch).num_batches() {
        return Err(wrong(format!("epoch {} has less than {batch} batches", state.epoch)));
    }
    Ok(Place { epoch: state.epoch, batch })
}
