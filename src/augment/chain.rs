//! Augmentations one after the other, and the public way to apply them to a clip.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Augments, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// All of its augmentations, one after the other.
///
/// For a group that shares a probability or is shuffled, and as what a program builds and applies to clips: audiomentations'
/// and torch-audiomentations' `Compose`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// The augmentations.
    pub transforms: Vec<Augments>,
    /// Whether they are applied in the order written or in one that is drawn for each clip.
    #[serde(default)]
    pub order: Order,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

/// In which order augmentations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As written.
    #[default]
    Listed,
    /// Drawn anew for each clip.
    Shuffled,
}

impl Member for Chain {
    const EXAMPLE: &'static str = "chain: { transforms: [polarity_inversion: {}, gain: { gain_db: [-6, 6] }], order: shuffled, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Compose", "torch_audiomentations.Compose"];
}

impl Augment for Chain {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn inner(&self) -> &[Augments] {
        &self.transforms
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        if self.transforms.is_empty() {
            return Err(SettingError::DoesNotFit {
                key: "transforms",
                reason: "a chain needs an augmentation at least",
            });
        }
        Ok(())
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(ChainAtWork { links: Link::all(&self.transforms, setup), order: self.order })
    }
}

struct ChainAtWork {
    links: Vec<Link>,
    order: Order,
}

impl Apply for ChainAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let mut order: Vec<usize> = (0..self.links.len()).collect();
        if self.order == Order::Shuffled {
            shuffle(&mut order, draw);
        }
        order.into_iter().try_for_each(|index| self.links[index].apply(sound, draw))
    }
}

/// Puts `order` into an order that is drawn (Fisher and Yates, 1938).
pub(super) fn shuffle(order: &mut [usize], draw: &mut Draw<'_>) {
    for last in (1..order.len()).rev() {
        order.swap(last, draw.index(last + 1));
    }
}

/// The most bytes that a clip may take: as the largest feature cell.
const MOST_BYTES: usize = 1 << 30;

/// Whether as many channels as `sound` has may be in memory with `len` samples each.
pub(super) fn fits(len: usize, sound: &Waveform) -> Result<(), AugmentError> {
    let fits = len.saturating_mul(sound.channels.len()) <= MOST_BYTES / size_of::<f32>();
    if fits { Ok(()) } else { Err(AugmentError::TooLong { most: MOST_BYTES }) }
}

/// One augmentation of a chain at work, with its place and its probability.
pub(super) struct Link {
    name: &'static str,
    path: String,
    probability: f64,
    combines: bool,
    work: Box<dyn Apply>,
}

impl Link {
    /// The augmentations in the one of `setup`.
    pub(super) fn all(rows: &[Augments], setup: &Setup<'_>) -> Vec<Self> {
        rows.iter().enumerate().map(|(index, row)| Self::new(row, &setup.inner(index))).collect()
    }

    /// One augmentation.
    pub(super) fn new(row: &Augments, setup: &Setup<'_>) -> Self {
        let member = row.member();
        Self {
            name: row.name(),
            path: setup.path().to_owned(),
            probability: member.probability(),
            combines: !member.inner().is_empty(),
            work: member.prepare(setup),
        }
    }

    /// Applies it to a clip, if so drawn. Whether it is applied is drawn first and always, so that another probability
    /// changes no parameter.
    pub(super) fn apply(&mut self, sound: &mut Waveform, around: &mut Draw<'_>) -> Result<(), AugmentError> {
        let mut draw = around.at(&self.path);
        if draw.unit() >= self.probability {
            return Ok(());
        }
        self.work.apply(sound, &mut draw)?;
        let record = draw.finish();
        if !self.combines {
            around.applied(self.name, record);
            checked(sound)?;
        }
        Ok(())
    }
}

/// What every augmentation and the next one rely on.
pub(super) fn checked(sound: &Waveform) -> Result<(), AugmentError> {
    let len = sound.num_samples();
    debug_assert!(sound.channels.iter().all(|channel| channel.len() == len), "all channels have one length");
    if len == 0 {
        return Err(AugmentError::NothingLeft);
    }
    fits(len, sound)?;
    // The highest bits of a magnitude tell: integers have a maximum that becomes vectors.
    let highest =
        |channel: &Vec<f32>| channel.iter().fold(0, |highest: u32, sample| highest.max(sample.abs().to_bits()));
    let finite = sound.channels.iter().all(|channel| highest(channel) < f32::INFINITY.to_bits());
    if finite { Ok(()) } else { Err(AugmentError::NotFinite) }
}
