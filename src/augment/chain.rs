//! Augmentations one after the other, and the public way to apply them to a clip.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::level::peak;
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
    unless_too_long(sound, len)?;
    let finite = sound.channels.iter().all(|channel| peak(channel).is_finite());
    if finite { Ok(()) } else { Err(AugmentError::NotFinite) }
}

/// Refuses to let a clip grow to so many samples a channel, before memory is taken for them.
pub(super) fn unless_too_long(sound: &Waveform, num_samples: usize) -> Result<(), AugmentError> {
    let fits = num_samples.saturating_mul(sound.channels.len()) <= MOST_BYTES / size_of::<f32>();
    if fits { Ok(()) } else { Err(AugmentError::TooLong { most: MOST_BYTES }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Range;
    use crate::augment::testing::{WHO, augmenter, sine};
    use crate::augment::{Augmentation, Augmenter, Banks, Gain, OneOf, PolarityInversion, SomeOf, Told};
    use crate::seed::Draws;

    fn gain(gain_db: f64, probability: f64) -> Augments {
        Gain { gain_db: Range::fixed(gain_db), probability: Probability::try_from(probability).unwrap() }.into()
    }

    /// What is applied to so many utterances, each by the gains in their order.
    fn applied(row: impl Into<Augments>, utterances: usize) -> Vec<Vec<f64>> {
        let mut augmenter = augmenter(row);
        let mut sound = sine(440.0, 0.1, 1_000);
        sound.channels[0].truncate(4);
        let gains = |told: Told| told.applied.iter().map(|entry| entry["gain"]["gain_db"].as_f64().unwrap()).collect();
        let draws = |number: usize| format!("utt-{number}");
        (0..utterances)
            .map(|number| gains(augmenter.apply(&mut sound.clone(), Draws { id: &draws(number), ..WHO }).unwrap()))
            .collect()
    }

    fn share(outcomes: &[Vec<f64>], of: impl Fn(&[f64]) -> bool) -> f64 {
        outcomes.iter().filter(|gains| of(gains)).count() as f64 / outcomes.len() as f64
    }

    /// Within four standard deviations of a share of so many draws.
    fn near(share: f64, expected: f64, draws: usize) -> bool {
        (share - expected).abs() < 4.0 * (expected * (1.0 - expected) / draws as f64).sqrt()
    }

    const MANY: usize = 10_000;

    #[test]
    fn a_probability_is_honoured() {
        for probability in [0.05, 0.3, 0.5, 0.9] {
            let outcomes = applied(gain(1.0, probability), MANY);
            assert!(near(share(&outcomes, |gains| !gains.is_empty()), probability, MANY), "{probability}");
        }
        assert_eq!(share(&applied(gain(1.0, 0.0), MANY), <[f64]>::is_empty), 1.0);
        assert_eq!(share(&applied(gain(1.0, 1.0), MANY), <[f64]>::is_empty), 0.0);
    }

    #[test]
    fn a_group_shares_one_probability() {
        let group = Chain {
            transforms: vec![gain(1.0, 1.0), gain(2.0, 1.0)],
            probability: Probability::try_from(0.3).unwrap(),
            ..Chain::default()
        };
        let outcomes = applied(group, MANY);
        assert!(outcomes.iter().all(|gains| gains.is_empty() || *gains == [1.0, 2.0]));
        assert!(near(share(&outcomes, |gains| !gains.is_empty()), 0.3, MANY));
    }

    #[test]
    fn every_order_is_as_likely() {
        let transforms = vec![gain(1.0, 1.0), gain(2.0, 1.0), gain(3.0, 1.0)];
        let outcomes = applied(Chain { transforms, order: Order::Shuffled, ..Chain::default() }, MANY);
        for order in [[1., 2., 3.], [1., 3., 2.], [2., 1., 3.], [2., 3., 1.], [3., 1., 2.], [3., 2., 1.]] {
            assert!(near(share(&outcomes, |gains| *gains == order), 1.0 / 6.0, MANY), "{order:?}");
        }
    }

    #[test]
    fn one_is_chosen_by_weight() {
        let transforms = vec![gain(1.0, 1.0), gain(2.0, 1.0), gain(3.0, 1.0)];
        let weighted = OneOf { transforms: transforms.clone(), weights: vec![3.0, 0.0, 1.0], ..OneOf::default() };
        let outcomes = applied(weighted, MANY);
        assert!(near(share(&outcomes, |gains| *gains == [1.0]), 0.75, MANY));
        assert_eq!(share(&outcomes, |gains| *gains == [2.0]), 0.0);
        let even = applied(OneOf { transforms, ..OneOf::default() }, MANY);
        assert!(near(share(&even, |gains| *gains == [2.0]), 1.0 / 3.0, MANY));
    }

    #[test]
    fn some_are_chosen_in_the_order_written() {
        let transforms = vec![gain(1.0, 1.0), gain(2.0, 1.0), gain(3.0, 1.0)];
        let some = SomeOf { transforms, number: [1, 2], order: Order::Listed, probability: Probability::ALWAYS };
        let outcomes = applied(some, MANY);
        assert!(outcomes.iter().all(|gains| gains.is_sorted() && (1..=2).contains(&gains.len())));
        assert!(near(share(&outcomes, |gains| gains.len() == 1), 0.5, MANY));
        for pair in [[1.0, 2.0], [1.0, 3.0], [2.0, 3.0]] {
            assert!(near(share(&outcomes, |gains| *gains == pair), 1.0 / 6.0, MANY), "{pair:?}");
        }
    }

    #[test]
    fn another_probability_changes_no_parameter() {
        let drawn = |probability: f64| {
            let row = Gain { probability: Probability::try_from(probability).unwrap(), ..Gain::default() };
            applied(row, 1_000)
        };
        let (always, sometimes) = (drawn(1.0), drawn(0.5));
        assert!(always.iter().zip(&sometimes).all(|(one, other)| other.is_empty() || one == other));
    }

    #[test]
    fn what_is_not_finite_or_nothing_is_refused() {
        let mut augmenter = augmenter(PolarityInversion::default());
        let mut sound = sine(440.0, 0.1, 8_000);
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            sound.channels[0][77] = wrong;
            assert!(matches!(augmenter.apply(&mut sound.clone(), WHO), Err(AugmentError::NotFinite)));
        }
        sound.channels[0].clear();
        assert!(matches!(augmenter.apply(&mut sound, WHO), Err(AugmentError::NothingLeft)));
        // Finite before, and not after.
        let mut loud = sine(440.0, 3e38, 8_000);
        let mut louder = super::super::testing::augmenter(gain(20.0, 1.0));
        assert!(matches!(louder.apply(&mut loud, WHO), Err(AugmentError::NotFinite)));
    }

    #[test]
    fn each_of_a_grid_comes_before_the_chain() {
        let settings = Augmentation {
            copies: 2.try_into().unwrap(),
            each: vec![gain(1.0, 1.0), gain(2.0, 1.0)],
            chain: vec![gain(3.0, 1.0)],
            ..Augmentation::default()
        };
        assert_eq!(settings.numbers(), 0..=4);
        let mut augmenter = Augmenter::new(&settings, &Banks::default());
        let first = |copy: u32| {
            let told = augmenter.apply(&mut sine(440.0, 0.1, 1_000), Draws { copy, ..WHO }).unwrap();
            assert_eq!(told.applied.len(), 2);
            told.applied[0]["gain"]["gain_db"].as_f64().unwrap()
        };
        assert_eq!([1, 2, 3, 4].map(first), [1.0, 1.0, 2.0, 2.0]);
    }
}
