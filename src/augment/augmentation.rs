//! `augment:` of the pipeline file: how many variants of each utterance, and what is done to them.

use std::num::NonZeroU32;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::bank::{Bank, Banks, Cache, Holds, Source};
use super::chain::{Chain, Link, Order, checked, shuffle};
use super::{Augment, AugmentError, Augments, Draw, Probability, Setup, Told};
use crate::audio::Waveform;
use crate::corpus::{CorpusError, CorpusTable};
use crate::family::Member;
use crate::load::Load;
use crate::resample::Method;
use crate::seed::Draws;
use crate::transform::SettingError;
use crate::variables::Variables;

/// How many variants of each utterance there are, and what is done to them.
///
/// Variant 1 of `utt` is the row `utt~1`. What was drawn for it stands in its column `augmentation`, and
/// `wavemill replay` makes it again. A draw depends on `seed`, the place in this file, the utterance's id and the number of the
/// variant, and on nothing else: adding utterances, threads or machines changes no row (but those that `mix_utterance` mixes).
///
/// A parameter is a number, a range `[5, 20]` (uniform) or a choice `{one_of: [0.9, 1.0, 1.1]}`. With `each` every utterance has
/// `copies` variants for each of its rows, as Kaldi's recipes triple a corpus by speed:
///
/// ```yaml
/// augment:
///   each: [speed: { factor: 0.9 }, speed: { factor: 1.1 }]
///   chain: [add_gaussian_snr: { snr_db: [10, 40], probability: 0.5 }]
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Variants of each utterance (and, with `each`, for each of its rows), 1 to 1000; 1.
    #[schemars(range(min = 1, max = 1_000))]
    pub copies: NonZeroU32,
    /// Whether the utterance as it was is a row too.
    pub original: Original,
    /// Every utterance with each of these, before `chain`.
    pub each: Vec<Augments>,
    /// What is done to every variant.
    pub chain: Vec<Augments>,
    /// Whether `chain` is applied in the order written or in one that is drawn for each variant.
    pub order: Order,
    /// Memory for decoded noises and impulse responses, in MiB, 0 to 1048576; 512. It changes no result, and a dataset does not
    /// record it.
    #[serde(skip_serializing)]
    #[schemars(range(min = 0, max = 1_048_576))]
    pub cache_mib: usize,
}

/// What becomes of the utterance as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Original {
    /// It is a row beside its variants.
    #[default]
    Keep,
    /// Only its variants are rows.
    Drop,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            copies: NonZeroU32::MIN,
            original: Original::Keep,
            each: Vec::new(),
            chain: Vec::new(),
            order: Order::Listed,
            cache_mib: 512,
        }
    }
}

impl Member for Augmentation {
    const EXAMPLE: &'static str = "augment:\n  copies: 2\n  original: keep\n  chain:\n    - add_gaussian_snr: { snr_db: [10, 40], probability: 0.5 }\n    - gain: { gain_db: [-6, 6] }";
}

/// Why recordings to draw from are not there.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Their corpus cannot be read.
    #[error("the recordings of `{place}` cannot be read")]
    Corpus {
        /// The augmentation's place in the pipeline file.
        place: String,
        /// What is wrong.
        #[source]
        source: Box<CorpusError>,
    },
    /// Their corpus is empty.
    #[error("there are no recordings for `{place}`")]
    Empty {
        /// The augmentation's place in the pipeline file.
        place: String,
    },
    /// Other utterances are to be mixed in where there are none.
    #[error(
        "`{place}` mixes with other utterances, and a chain without a pipeline has none: name recordings with `from`"
    )]
    NoUtterances {
        /// The augmentation's place in the pipeline file.
        place: String,
    },
    /// A setting does not fit another.
    #[error("`{place}` does not fit")]
    Setting {
        /// The augmentation's place.
        place: String,
        /// What does not fit.
        #[source]
        source: SettingError,
    },
}

/// What a chain needs to know of the pipeline around it.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The values of `${…}` in paths.
    pub variables: &'a Variables,
    /// The filter with which recordings are brought to the clip's rate.
    pub method: Method,
    /// The utterances of the pipeline, with how they are loaded, for who mixes them.
    pub utterances: Option<(&'a CorpusTable, &'a Load)>,
}

impl Augmentation {
    /// Rows of each utterance: the numbers of its variants, 0 for the utterance as it was.
    #[must_use]
    pub fn numbers(&self) -> std::ops::RangeInclusive<u32> {
        let first = u32::from(self.original == Original::Drop);
        first..=self.copies.get().saturating_mul(u32::try_from(self.each.len()).unwrap_or(u32::MAX).max(1))
    }

    /// Every augmentation, those in combinators too, with its place in the pipeline file.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, &Augments)> {
        let mut rows = Vec::new();
        walk(&self.each, EACH, &mut rows);
        walk(&self.chain, CHAIN, &mut rows);
        rows
    }

    /// Reads which recordings there are to draw from; no sound yet.
    ///
    /// # Errors
    ///
    /// A corpus of them cannot be read.
    pub fn open(&self, around: Around<'_>) -> Result<Banks, OpenError> {
        let cache = Cache::new(self.cache_mib.saturating_mul(1 << 20));
        let mut banks = Banks::default();
        // Who draws from the same recordings shares them.
        let mut opened: Vec<(Source<'_>, Arc<Bank>)> = Vec::new();
        for (place, row) in self.rows() {
            let Some(source) = row.member().source() else { continue };
            if let Some((_, bank)) = opened.iter().find(|(other, _)| *other == source) {
                banks.put(place, Arc::clone(bank));
                continue;
            }
            let bank = match source {
                Source::Corpus(corpus) => Bank::open(corpus, around.variables, around.method, &cache)
                    .map_err(|source| OpenError::Corpus { place: place.clone(), source: Box::new(source) })?,
                Source::Utterances => match around.utterances {
                    Some((table, load)) => Bank::of(table, Holds::Utterances, load, around.method, &cache),
                    None => return Err(OpenError::NoUtterances { place }),
                },
            };
            if bank.is_empty() {
                return Err(OpenError::Empty { place });
            }
            let bank = Arc::new(bank);
            opened.push((source, Arc::clone(&bank)));
            banks.put(place, bank);
        }
        Ok(banks)
    }
}

/// The place of the chain in the pipeline file, from which its draws come.
const CHAIN: &str = "augment.chain";
/// The place of what each utterance goes through.
const EACH: &str = "augment.each";

fn walk<'a>(rows: &'a [Augments], path: &str, found: &mut Vec<(String, &'a Augments)>) {
    for (index, row) in rows.iter().enumerate() {
        let place = format!("{path}.{index}");
        walk(row.member().inner(), &place, found);
        found.push((place, row));
    }
}

/// Augmentations made ready for one thread: what makes variants of clips.
pub struct Augmenter {
    copies: NonZeroU32,
    each: Vec<Link>,
    chain: Vec<Link>,
    order: Order,
}

impl Augmenter {
    /// The augmentations of `settings`, drawing from `banks`, which were opened for them.
    #[must_use]
    pub fn new(settings: &Augmentation, banks: &Banks) -> Self {
        Self {
            copies: settings.copies,
            each: Link::all(&settings.each, &Setup::new(EACH, banks)),
            chain: Link::all(&settings.chain, &Setup::new(CHAIN, banks)),
            order: settings.order,
        }
    }

    /// Makes the variant `who.copy` (from 1) of the clip `sound` in its place, and tells what was done. The same settings, clip and
    /// `who` give the same bits, whatever was augmented before.
    ///
    /// # Errors
    ///
    /// The clip is empty or not finite, or an augmentation cannot be applied to it: `sound` is then of no use.
    pub fn apply(&mut self, sound: &mut Waveform, who: Draws<'_>) -> Result<Told, AugmentError> {
        checked(sound)?;
        let mut told = Told::default();
        let mut draw = Draw::new(who, CHAIN, &mut told);
        if !self.each.is_empty() {
            let group = who.copy.saturating_sub(1) / self.copies;
            let group = usize::try_from(group).unwrap_or(usize::MAX) % self.each.len();
            self.each[group].apply(sound, &mut draw)?;
        }
        let mut order: Vec<usize> = (0..self.chain.len()).collect();
        if self.order == Order::Shuffled {
            shuffle(&mut order, &mut draw);
        }
        for index in order {
            self.chain[index].apply(sound, &mut draw)?;
        }
        Ok(told)
    }
}

impl Chain {
    /// The chain made ready for one thread, as a pipeline would that has it under `augment`: the same seed, id and copy give the same
    /// bits.
    ///
    /// ```
    /// use wavemill::audio::{Hertz, Waveform};
    /// use wavemill::augment::{AddGaussianSnr, Chain, Gain};
    /// use wavemill::seed::Draws;
    /// use wavemill::variables::Variables;
    ///
    /// let chain = Chain::of([AddGaussianSnr::default().into(), Gain::default().into()]);
    /// let mut augmenter = chain.open(&Variables::default())?;
    ///
    /// let mut sound = Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![vec![0.1; 16_000]] };
    /// let told = augmenter.apply(&mut sound, Draws { seed: 17, id: "utt-1", copy: 1, channel: 0, segment: None })?;
    /// assert_eq!(told.applied.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Settings do not fit each other, or recordings to draw from cannot be read.
    pub fn open(&self, variables: &Variables) -> Result<Augmenter, OpenError> {
        let settings = if self.probability == Probability::ALWAYS {
            Augmentation { chain: self.transforms.clone(), order: self.order, ..Augmentation::default() }
        } else {
            Augmentation { chain: vec![self.clone().into()], ..Augmentation::default() }
        };
        self.check(None).map_err(|source| OpenError::Setting { place: CHAIN.to_owned(), source })?;
        for (place, row) in settings.rows() {
            row.member().check(None).map_err(|source| OpenError::Setting { place, source })?;
        }
        let banks = settings.open(Around { variables, method: Method::default(), utterances: None })?;
        Ok(Augmenter::new(&settings, &banks))
    }

    /// A chain of these augmentations, in this order.
    #[must_use]
    pub fn of(transforms: impl IntoIterator<Item = Augments>) -> Self {
        Self { transforms: transforms.into_iter().collect(), ..Self::default() }
    }
}
