//! One thread's work: an entry of the plan made into rows. Load, resample, segment, augment, featurize.
//!
//! Where nothing is cut or augmented, blocks go straight from the decoder to the features, and memory does not grow with the
//! recording. Else the utterance is in memory whole, once for all of its variants.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::audio::{Waveform, Words};
use crate::augment::{Augmenter, Told};
use crate::corpus::Dataset;
use crate::isolation::isolated;
use crate::load::{Channels, Quality, QualityColumns};
use crate::manifest::{Reject, Warning};
use crate::plan::{Entry, Plan};
use crate::seed::Draws;
use crate::segment::{Part, cut, take};

use super::batch::{Batches, WAITING_BYTES};
use super::carry::carry;
use super::cell::CELL_BYTES;
use super::failure::{CorpusFault, Failure, Panic, SegmentError, UNUSABLE, WorldFault};
use super::features::Features;
use super::keep_if::{Heard, keep};
use super::order::End;
use super::reader::{Found, Reader};
use super::row::{Made, MadeRow};

/// Samples that go to the extractors at once, from memory: few enough to stay near the processor.
const BLOCK: usize = 1 << 14;

/// What one thread keeps from utterance to utterance: decoders' blocks, filters and FFT plans.
pub(super) struct Worker<'p> {
    plan: &'p Plan,
    reader: Reader,
    features: Features,
    augmenter: Option<Augmenter>,
    batches: Batches,
    /// The utterance that was loaded last, for its further variants.
    loaded: Option<Loaded>,
    /// The utterance that could not be loaded last, and why: no variant of it can.
    refused: Option<(usize, Reject)>,
    /// What the thread is at, should it panic.
    stage: &'static str,
}

/// An utterance in memory.
struct Loaded {
    utterance: usize,
    sound: Waveform,
    found: Found,
    /// The parts that become rows, in samples.
    parts: Vec<Part>,
}

impl<'p> Worker<'p> {
    pub(super) fn new(plan: &'p Plan) -> Self {
        let augmenter = plan.pipeline.augment.as_ref().map(|settings| Augmenter::new(settings, &plan.banks));
        let (reader, features) = (Reader::default(), Features::default());
        let batches = Batches::default();
        Self { plan, reader, features, augmenter, batches, loaded: None, refused: None, stage: "load" }
    }

    /// Makes the rows of a job's entries, in order. Where modules take them in batches, there may be fewer outcomes than entries
    /// once `stop` is set.
    pub(super) fn make_all(&mut self, positions: Range<usize>, stop: &AtomicBool) -> Vec<Result<Made, WorldFault>> {
        let plan = self.plan;
        if !plan.pipeline.has_modules() {
            return positions.map(|position| self.make(plan.entry(position))).collect();
        }
        let mut made: Vec<(Entry, Result<Made, WorldFault>)> = Vec::with_capacity(positions.len());
        // Of those from `open` on, something waits for a module.
        let (mut open, mut waiting) = (0, 0);
        for position in positions.clone() {
            let entry = plan.entry(position);
            let outcome = self.make(entry);
            waiting += outcome.as_ref().map_or(0, |made| made.rows.iter().map(MadeRow::waiting_bytes).sum());
            made.push((entry, outcome));
            if waiting >= WAITING_BYTES || position + 1 == positions.end {
                match self.batches.complete(plan, &mut made[open..], stop) {
                    Ok(End::Done) => {}
                    Ok(End::Stopped) => made.truncate(open),
                    Err(fault) => made[open].1 = Err(fault),
                }
                (open, waiting) = (made.len(), 0);
            }
            if stop.load(Ordering::Relaxed) {
                made.truncate(open);
                break;
            }
        }
        made.into_iter().map(|(_, outcome)| outcome).collect()
    }

    /// Makes the rows of `entry`, as far as no module is needed. A decoder or extractor that panics costs this utterance and no other.
    fn make(&mut self, entry: Entry) -> Result<Made, WorldFault> {
        if let Some((utterance, reject)) = &self.refused
            && *utterance == entry.utterance
        {
            let reject = Reject { copy: entry.copy, ..reject.clone() };
            return Ok(Made { rejects: vec![reject], ..Made::default() });
        }
        let failure = match isolated(|| self.try_make(entry)) {
            Ok(Ok(made)) => return Ok(made),
            Ok(Err(failure)) => failure,
            Err(text) => {
                let stage = self.stage;
                *self = Self::new(self.plan); // what the panic left half done is not used again
                Failure::Panic { stage, error: Panic::Panicked { text } }
            }
        };
        let of_all = failure.is_of_all_variants();
        let (reject, heard_s) = failure.of(self.plan, entry, None)?;
        if of_all && self.plan.variants() > 1 {
            self.refused = Some((entry.utterance, reject.clone()));
        }
        Ok(Made { rejects: vec![reject], heard_s, ..Made::default() })
    }

    fn try_make(&mut self, entry: Entry) -> Result<Made, Failure> {
        let pipeline = &self.plan.pipeline;
        if let Some(original) = self.plan.duplicates.get(&entry.utterance) {
            let original = self.plan.table.id(*original).to_owned();
            return Err(Failure::Corpus(CorpusFault::Duplicate { original }));
        }
        if let Some(dataset) = self.plan.carries() {
            return self.carry(dataset, entry);
        }
        if pipeline.segment.is_empty() && pipeline.augment.is_none() {
            return self.stream(entry);
        }
        let loaded = match self.loaded.take() {
            Some(loaded) if loaded.utterance == entry.utterance => loaded,
            _ => match self.load(entry.utterance) {
                // The original needs no memory.
                Err(Failure::Segment(SegmentError::TooLong { .. }))
                    if entry.copy == 0 && pipeline.segment.is_empty() =>
                {
                    return self.stream(entry);
                }
                loaded => loaded?,
            },
        };
        let made = self.make_parts(entry, &loaded);
        self.loaded = Some(loaded);
        made
    }

    /// A row of another dataset, as it is.
    fn carry(&mut self, dataset: &Dataset, entry: Entry) -> Result<Made, Failure> {
        self.stage = "corpus";
        let table = &self.plan.table;
        let world = |source| Failure::World { path: None, source };
        let row = table.dataset_row(entry.utterance).map(|row| carry(dataset, row)).transpose().map_err(world)?;
        let rows: Vec<MadeRow> = row.into_iter().collect();
        Ok(Made { heard_s: rows.iter().map(MadeRow::seconds).sum(), rows, ..Made::default() })
    }

    /// A row straight from the decoder.
    fn stream(&mut self, entry: Entry) -> Result<Made, Failure> {
        let plan = self.plan;
        self.stage = "load";
        let opened = self.reader.open(plan, entry.utterance)?;
        let (rate, channels) = (opened.rate, opened.channels);
        let who = self.draws(entry, None);
        self.features.begin(plan, rate, channels, who)?;
        let (features, stage) = (&mut self.features, &mut self.stage);
        let found = self.reader.read(plan, opened, |channel, samples| {
            *stage = "featurize";
            features.push(plan, channel, samples)?;
            *stage = "load";
            Ok(())
        })?;
        self.stage = "keep_if";
        let heard = Heard { num_samples: found.num_samples, sample_rate: rate, channels, quality: found.quality };
        judge(plan, entry.utterance, &heard)?;
        self.stage = "featurize";
        let columns = self.features.finish(plan)?;
        let row = MadeRow {
            segment: None,
            num_samples: found.num_samples,
            sample_rate: rate,
            augmentation: None,
            words: Words::Kept,
            sound: sound_columns(plan, channels, found.quality.as_ref(), None),
            columns,
            carried: None,
        };
        let warnings = load_warning(plan, entry, &found).into_iter().collect();
        Ok(Made { rows: vec![row], warnings, heard_s: heard.seconds(), ..Made::default() })
    }

    /// Loads an utterance whole and cuts it.
    fn load(&mut self, utterance: usize) -> Result<Loaded, Failure> {
        let plan = self.plan;
        self.stage = "load";
        let opened = self.reader.open(plan, utterance)?;
        let (rate, num_channels) = (opened.rate, opened.channels);
        let mut channels = vec![Vec::new(); num_channels];
        let most = CELL_BYTES / size_of::<f32>() / num_channels;
        let found = self.reader.read(plan, opened, |channel, samples| {
            let channel: &mut Vec<f32> = &mut channels[channel];
            if channel.len() + samples.len() > most {
                return Err(Failure::Segment(SegmentError::TooLong { most: CELL_BYTES }));
            }
            channel.extend_from_slice(samples);
            Ok(())
        })?;
        self.stage = "keep_if";
        let heard =
            Heard { num_samples: found.num_samples, sample_rate: rate, channels: num_channels, quality: found.quality };
        judge(plan, utterance, &heard)?;
        self.stage = "segment";
        let sound = Waveform { sample_rate: rate, channels };
        let most = CELL_BYTES / size_of::<f32>() / num_channels;
        let parts = cut(&plan.pipeline.segment, &sound, most).ok_or(SegmentError::TooMany { most: CELL_BYTES })?;
        if parts.is_empty() {
            return Err(Failure::Segment(SegmentError::Nothing));
        }
        Ok(Loaded { utterance, sound, found, parts })
    }

    /// The rows of one variant of an utterance, one for each of its parts.
    fn make_parts(&mut self, entry: Entry, loaded: &Loaded) -> Result<Made, Failure> {
        let plan = self.plan;
        let whole = plan.pipeline.segment.is_empty();
        let mut made = Made::default();
        for (number, part) in loaded.parts.iter().enumerate() {
            let segment = (!whole).then_some(number);
            match self.make_part(entry, loaded, part, segment) {
                Ok((row, told)) => {
                    made.heard_s += row.seconds();
                    made.rows.push(row);
                    made.warnings.extend(told.unusable.into_iter().map(|(audio, message)| Warning {
                        id: plan.table.id(entry.utterance).to_owned(),
                        copy: entry.copy,
                        audio,
                        code: UNUSABLE.to_owned(),
                        message,
                    }));
                }
                Err(failure) if whole => return Err(failure),
                Err(failure @ Failure::World { .. }) => return Err(failure),
                Err(failure) => match failure.of(plan, entry, segment) {
                    Ok((reject, _)) => made.rejects.push(reject),
                    Err(WorldFault { path, source }) => return Err(Failure::World { path: Some(path), source }),
                },
            }
        }
        if !made.rows.is_empty() {
            made.warnings.extend(load_warning(plan, entry, &loaded.found));
        }
        Ok(made)
    }

    /// The sound of one row: what `wavemill replay` makes heard.
    pub(super) fn clip(&mut self, entry: Entry, segment: Option<usize>) -> Result<Waveform, Failure> {
        let loaded = self.load(entry.utterance)?;
        let part = loaded.parts.get(segment.unwrap_or(0)).ok_or(Failure::Segment(SegmentError::Nothing))?;
        Ok(self.vary(&loaded.sound, part, self.draws(entry, segment))?.0)
    }

    fn draws(&self, entry: Entry, segment: Option<usize>) -> Draws<'p> {
        draws(self.plan, entry, segment)
    }

    /// A part of a sound, augmented if it is a copy.
    fn vary(&mut self, sound: &Waveform, part: &Part, who: Draws<'_>) -> Result<(Waveform, Told), Failure> {
        let mut clip = take(sound, part);
        let mut told = Told::default();
        if who.copy > 0
            && let Some(augmenter) = &mut self.augmenter
        {
            self.stage = "augment";
            told = augmenter.apply(&mut clip, who)?;
        }
        Ok((clip, told))
    }

    fn make_part(
        &mut self,
        entry: Entry,
        loaded: &Loaded,
        part: &Part,
        segment: Option<usize>,
    ) -> Result<(MadeRow, Told), Failure> {
        let plan = self.plan;
        let who = self.draws(entry, segment);
        let (clip, told) = self.vary(&loaded.sound, part, who)?;
        self.stage = "featurize";
        self.features.begin(plan, clip.sample_rate, clip.channels.len(), who)?;
        for (channel, samples) in clip.channels.iter().enumerate() {
            samples.chunks(BLOCK).try_for_each(|block| self.features.push(plan, channel, block))?;
        }
        let columns = self.features.finish(plan)?;
        let start_s = part.samples.start as f64 / f64::from(clip.sample_rate.get());
        let row = MadeRow {
            segment,
            num_samples: clip.num_samples() as u64,
            sample_rate: clip.sample_rate,
            augmentation: (entry.copy > 0).then(|| serde_json::Value::from(told.applied.clone()).to_string()),
            words: if part.words == Words::Kept { told.words } else { Words::Lost },
            sound: sound_columns(
                plan,
                clip.channels.len(),
                loaded.found.quality.as_ref(),
                segment.map(|number| (number, start_s)),
            ),
            columns,
            carried: None,
        };
        Ok((row, told))
    }
}

/// By what a row draws random numbers.
pub(super) fn draws(plan: &Plan, entry: Entry, segment: Option<usize>) -> Draws<'_> {
    let segment = segment.map(|number| number as u32);
    Draws { seed: plan.pipeline.seed, id: plan.table.id(entry.utterance), copy: entry.copy, segment, channel: 0 }
}

/// Asks `keep_if`.
fn judge(plan: &Plan, utterance: usize, heard: &Heard) -> Result<(), Failure> {
    keep(plan, utterance, heard).map_err(|error| Failure::Keep { error, seconds: heard.seconds() })
}

/// The row's values of [`Pipeline::sound_columns`](crate::pipeline::Pipeline::sound_columns), in their order.
fn sound_columns(plan: &Plan, channels: usize, quality: Option<&Quality>, segment: Option<(usize, f64)>) -> Vec<f64> {
    let load = &plan.pipeline.load;
    let mut values = Vec::with_capacity(plan.schema.sound.len());
    if load.channels == Channels::Keep {
        values.push(channels as f64);
    }
    if let Some((number, start_s)) = segment {
        values.extend([number as f64, start_s]);
    }
    if load.quality == QualityColumns::Columns {
        values.extend(quality.into_iter().flat_map(Quality::values));
    }
    values
}

/// What is wrong with a recording that could be read all the same.
fn load_warning(plan: &Plan, entry: Entry, found: &Found) -> Option<Warning> {
    let warning = found.warning.as_ref()?;
    Some(Warning {
        id: plan.table.id(entry.utterance).to_owned(),
        copy: entry.copy,
        audio: plan.table.audio(entry.utterance).to_owned(),
        code: warning.code().to_owned(),
        message: warning.to_string(),
    })
}
