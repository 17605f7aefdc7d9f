//! A TorchScript module of the user's over the sound or its features: self-supervised features, speaker embeddings, neural
//! voice activity.
//!
//! ```text
//! sound ─► rows of `input` ─► [batch, samples] or [batch, frames, bins] ─► module ─► [batch, frames, bins] ─► transforms
//!          one utterance at a time                utterances of like length                one utterance at a time
//! ```
//!
//! Matrix products differ in their last bits with the size of a batch, so which utterances share one must not depend on time:
//! `run/batch.rs` decides it by the plan alone. The settings are here, and what a batch of any utterances comes to.
//! Only wavemill with the feature `tch` has libtorch and can open a module; without it the row is read, listed and refused
//! with a reason.

#[cfg(not(feature = "tch"))]
#[path = "torchscript/absent.rs"]
mod module;
#[cfg(feature = "tch")]
mod module;

mod at_work;
mod call;
mod device;
mod error;
mod probe;

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::device::ModuleDevice;
pub use self::error::{ModuleError, ModuleFault};
pub use self::probe::Probe;

use self::at_work::AtWork;
use self::call::Call;
use self::module::Module;
use super::{Extractor, Extractors, Recipe, RowError, Waveform};
use crate::audio::{Hertz, Seconds};
use crate::family::Member;
use crate::spectrum::{Edges, Framing};
use crate::transform::{Column, Extract, ExtractError, SettingError};
use crate::variables::{Template, Variables};

/// What a TorchScript module makes of the sound or of features: self-supervised features, speaker embeddings, neural VAD.
///
/// Shape `[frames, bins]`, or with `output: embedding` `[1, bins]`, as `check` finds by running the module on noise. It takes
/// `[batch, samples]`, or `[batch, frames, bins]` where the rows of `input` make frames, in single precision, and is what
/// `torch.jit.save` writes; it is set to evaluation and run without gradients, on a CPU in one thread a batch.
///
/// Utterances near each other in the corpus are sorted by length and go through the module in batches. Without `lengths` all
/// of a batch are of exactly one length, so that nothing is padded; with `lengths`, and for frames `output_lengths`, shorter ones end
/// in zeros, and `check` makes sure that the module does not mind. Which utterances share a batch depends on the corpus and these settings
/// alone: the bytes are always the same, but another `batch`, or an utterance less, may change the last bits of others. What is in
/// the file decides the dataset's bytes as well, and so do libtorch's version and the processor's vectors, which a run does not
/// mix. Its matrix products may round otherwise on another model of processor or GPU all the same: workers of one run are best
/// on machines of one kind. An utterance for which the module raises an exception is a reject, `module_failed`.
///
/// This needs wavemill built with libtorch: `make libtorch`, then `cargo build --release --features tch`. A module is a program: run
/// none that you do not trust.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Torchscript {
    /// The module's file.
    pub module: Template,
    /// The sample rate of the sound that it was trained on.
    pub rate_hz: Hertz,
    /// What it takes: rows of an extractor and transforms; `[waveform: {}]`. Rows of one number a frame give `[batch, samples]`.
    #[serde(default = "waveform")]
    pub input: Box<Recipe>,
    /// What it takes as second argument: `none` (default), `absolute` for the samples or frames of each utterance as `int64`, or
    /// `relative` for their share of the longest, 0 to 1, as `SpeechBrain` has it.
    #[serde(default)]
    pub lengths: Lengths,
    /// The method that is called: `forward`.
    #[serde(default = "forward")]
    pub method: String,
    /// What it gives: `frames` (default), `[batch, frames, bins]`; `embedding`, `[batch, bins]`; `values`, `[batch, frames]`.
    #[serde(default)]
    pub output: ModuleOutput,
    /// Where that stands in what the method returns, if not alone: `[0]` is the first of a tuple or a list or the first value of a
    /// dictionary, `[0, 6]` the seventh of that.
    #[serde(default)]
    pub select: Vec<u32>,
    /// Where the number of frames of each utterance stands in it, `int64` `[batch]`, found as `select` is; empty if nowhere.
    #[serde(default)]
    pub output_lengths: Vec<u32>,
    /// What the numbers measure, for the dataset's schema.
    #[serde(default)]
    pub unit: String,
    /// The most utterances in a batch, 1 to 1024; 8.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 1024))]
    pub batch: NonZeroU32,
    /// The most seconds of sound in a batch with what is padded, 0.1 to 100,000; 120. A longer utterance is alone in its batch.
    #[serde(default = "two_minutes")]
    #[schemars(range(min = 0.1, max = 100_000.0))]
    pub max_duration: f64,
    /// Where it runs: `cpu` (default), `cuda` or `cuda:1`.
    #[serde(default)]
    pub device: ModuleDevice,
    /// What the module is, as found by running it: nothing to write, but `check --resolved` and manifests have it. Where it is
    /// given, the module must be that one still.
    #[serde(default)]
    pub probe: Option<Probe>,
    /// The module, once it is open.
    #[serde(skip)]
    #[schemars(skip)]
    opened: Opened,
}

/// What a module takes beside its input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lengths {
    /// Nothing.
    #[default]
    None,
    /// The samples or frames of each utterance, `int64`.
    Absolute,
    /// Their share of the longest of the batch, 0 to 1.
    Relative,
}

/// What a module gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModuleOutput {
    /// `[batch, frames, bins]`.
    #[default]
    Frames,
    /// `[batch, bins]`: one frame an utterance.
    Embedding,
    /// `[batch, frames]`: one number a frame.
    Values,
}

/// A module that may be open. Whether it is makes no difference to what the settings say.
#[derive(Debug, Clone, Default)]
struct Opened(Option<Arc<Module>>);

impl PartialEq for Opened {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What a module made of one utterance.
#[derive(Debug, Clone, PartialEq)]
pub struct ModuleFrames {
    /// `[frames, bins]`, row-major.
    pub values: Vec<f32>,
    /// Frames: one of an embedding.
    pub frames: usize,
}

fn waveform() -> Box<Recipe> {
    Box::new(Recipe { extractor: Waveform::default().into(), transforms: Vec::new() })
}

fn forward() -> String {
    "forward".to_owned()
}

fn eight() -> NonZeroU32 {
    const { NonZeroU32::new(8).unwrap() }
}

const fn two_minutes() -> f64 {
    120.0
}

impl Member for Torchscript {
    const EXAMPLE: &'static str = "torchscript: { module: \"${MODULE}\", rate_hz: 16000, lengths: absolute, select: [0], output_lengths: [1], batch: 16 }";
}

impl Torchscript {
    /// A module over the sound itself, all settings at their defaults; it is still to be opened.
    #[must_use]
    pub fn new(module: Template, rate_hz: Hertz) -> Self {
        Self {
            module,
            rate_hz,
            input: waveform(),
            lengths: Lengths::None,
            method: forward(),
            output: ModuleOutput::Frames,
            select: Vec::new(),
            output_lengths: Vec::new(),
            unit: String::new(),
            batch: eight(),
            max_duration: two_minutes(),
            device: ModuleDevice::Cpu,
            probe: None,
            opened: Opened::default(),
        }
    }

    /// Opens the module and learns its shapes by running it; once it is open, this does nothing.
    ///
    /// # Errors
    ///
    /// This wavemill has no libtorch, the file is no module, or it does not do what the settings say.
    pub fn open(&mut self, variables: &Variables) -> Result<(), ModuleError> {
        if self.opened.0.is_some() {
            return Ok(());
        }
        // What is wrong with the settings is told as of every other row.
        if self.check(Some(self.rate_hz)).is_err() {
            return Ok(());
        }
        let path = self.module.fill(variables)?;
        let module = Module::open(Path::new(path.as_ref()), self.device)?;
        let found = self.look_at(&module)?;
        match &self.probe {
            Some(given) if *given != found => return Err(ModuleError::Other { path: path.as_ref().into() }),
            _ => self.probe = Some(found),
        }
        self.opened = Opened(Some(module));
        Ok(())
    }

    /// Whether utterances of different lengths may share a batch.
    #[must_use]
    pub fn pads(&self) -> bool {
        let told = self.output == ModuleOutput::Embedding || !self.output_lengths.is_empty();
        self.lengths != Lengths::None && told
    }

    /// The rows of `input` made ready for sound at `rate`. `path` is the column's place in the pipeline file, `featurize.name`.
    ///
    /// # Errors
    ///
    /// A setting that does not fit the rate.
    pub fn prepare_input(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        self.column(Some(rate))?;
        self.input.prepare(rate, &format!("{path}.0.input")).map_err(|RowError { error, .. }| error)
    }

    /// Numbers a frame of what the module takes; one where its input is one-dimensional.
    #[must_use]
    pub fn input_width(&self) -> usize {
        self.input_bins().ok().flatten().unwrap_or(1)
    }

    /// What the module makes of a batch of inputs, each `[frames, bins]` of `input` and none of them empty: of different lengths
    /// only if [`pads`](Self::pads) says so. The numbers may be infinite or none.
    ///
    /// # Errors
    ///
    /// The module fails for the batch, or gives what it did not give before; or the machine has no memory left.
    pub fn run(&self, inputs: &[&[f32]]) -> Result<Vec<ModuleFrames>, ModuleFault> {
        let (Some(module), Some(probe)) = (&self.opened.0, &self.probe) else {
            return Err(ModuleFault::Failed { message: "the module was not opened".to_owned() });
        };
        let made = module.run(&self.call()?, inputs)?;
        let bins = probe.bins.unwrap_or(1) as usize;
        if let Some(wrong) = made.iter().find(|made| made.bins != bins) {
            let message = format!("it gave {} numbers a frame, and {bins} for noise", wrong.bins);
            return Err(ModuleFault::Failed { message });
        }
        Ok(made.into_iter().map(|made| ModuleFrames { values: made.values, frames: made.frames }).collect())
    }

    /// The frames of one utterance, if they can be stored.
    ///
    /// # Errors
    ///
    /// There is none, or a number is infinite or none.
    pub fn checked(&self, made: ModuleFrames) -> Result<Vec<f32>, ExtractError> {
        if made.frames == 0 {
            return Err(ExtractError::TooFewFrames { frames: 0, needed: 1 });
        }
        match made.values.iter().position(|value| !value.is_finite()) {
            Some(bad) => Err(ExtractError::NotFinite { frame: (bad / (made.values.len() / made.frames)) as u64 }),
            None => Ok(made.values),
        }
    }

    /// Numbers a frame of the input; none where it is one-dimensional.
    fn input_bins(&self) -> Result<Option<usize>, SettingError> {
        let column = self.input.column(Some(self.rate_hz)).map_err(|RowError { error, .. }| error)?;
        Ok(column.bins)
    }

    fn call(&self) -> Result<Call<'_>, ModuleFault> {
        let bins = self.input_bins().map_err(|error| ModuleFault::Failed { message: error.to_string() })?;
        Ok(Call {
            method: &self.method,
            bins,
            lengths: self.lengths,
            output: self.output,
            select: &self.select,
            output_lengths: &self.output_lengths,
        })
    }

    /// Checks all that can be known without the module.
    fn check(&self, rate: Option<Hertz>) -> Result<(), SettingError> {
        let refuse = |key, reason| Err(SettingError::DoesNotFit { key, reason });
        if let Some(rate) = rate.filter(|rate| *rate != self.rate_hz) {
            return Err(SettingError::WrongRate { key: "", needed: self.rate_hz, rate });
        }
        SettingError::unless_within("batch", f64::from(self.batch.get()), 1.0, 1024.0)?;
        SettingError::unless_within("max_duration", self.max_duration, 0.1, 1e5)?;
        if matches!(self.input.extractor, Extractors::Torchscript(_)) {
            return refuse("input", "the input of a module is not made by another module");
        }
        self.input_bins()?;
        if self.input.transforms.iter().any(|row| row.member().at_load().is_some()) {
            return refuse("input", "the input of a module cannot wait for what is done when the dataset is loaded");
        }
        if self.output == ModuleOutput::Embedding && !self.output_lengths.is_empty() {
            return refuse("output_lengths", "an embedding has no frames to count");
        }
        if !self.output_lengths.is_empty() && self.lengths == Lengths::None {
            return refuse("output_lengths", "a module that counts its frames is told the `lengths` of its input");
        }
        if !self.output_lengths.is_empty() && self.output_lengths == self.select {
            return refuse("output_lengths", "the numbers of frames do not stand where the frames are");
        }
        Ok(())
    }
}

impl Extractor for Torchscript {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        self.check(rate)?;
        let Some(probe) = &self.probe else {
            return Err(SettingError::DoesNotFit { key: "module", reason: "the module was not opened" });
        };
        Ok(Column {
            bins: probe.bins.map(|bins| bins as usize),
            unit: self.unit.clone(),
            dtype: None,
            frame_shift: self.frame_shift(rate),
        })
    }

    fn framing(&self, rate: Hertz) -> Result<Framing, SettingError> {
        self.column(Some(rate))?;
        let hop = self.probe.as_ref().and_then(Probe::hop).map_or(1, |hop| hop.round() as usize);
        let hop = NonZeroUsize::new(hop).unwrap_or(NonZeroUsize::MIN);
        Ok(Framing { length: NonZeroUsize::MIN, hop, edges: Edges::Snip })
    }

    fn num_frames(&self, num_samples: u64, rate: Hertz) -> u64 {
        if rate != self.rate_hz || self.input.num_frames(num_samples, rate) == 0 {
            return 0;
        }
        self.probe.as_ref().map_or(0, |probe| probe.num_frames(num_samples))
    }

    fn prepare(&self, rate: Hertz, path: &str) -> Result<Box<dyn Extract>, SettingError> {
        let input = self.prepare_input(rate, path.strip_suffix(".0").unwrap_or(path))?;
        Ok(Box::new(AtWork::new(self.clone(), input)))
    }

    fn frame_shift(&self, _: Option<Hertz>) -> Option<Seconds> {
        Seconds::new(self.probe.as_ref()?.hop()? / f64::from(self.rate_hz.get()))
    }
}
