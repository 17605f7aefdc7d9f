//! One of several augmentations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Link;
use super::{Apply, Augment, AugmentError, Augments, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// One of its augmentations, drawn anew for each clip, each equally likely or by weight.
///
/// The one that is drawn still has its own `probability`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// The augmentations.
    pub transforms: Vec<Augments>,
    /// How likely each is, in the same order; only their ratios count. Without it all are equally likely.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

impl Member for OneOf {
    const EXAMPLE: &'static str =
        "one_of: { transforms: [gain: { gain_db: -6 }, polarity_inversion: {}], weights: [3, 1], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.OneOf", "torch_audiomentations.OneOf"];
}

impl Augment for OneOf {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn inner(&self) -> &[Augments] {
        &self.transforms
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        let refuse = |key, reason| Err(SettingError::DoesNotFit { key, reason });
        if self.transforms.is_empty() {
            return refuse("transforms", "there is nothing to choose from");
        }
        if self.weights.is_empty() {
            return Ok(());
        }
        if self.weights.len() != self.transforms.len() {
            return refuse("weights", "there are not as many weights as augmentations");
        }
        let sum: f64 = self.weights.iter().sum();
        if self.weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) || sum <= 0.0 || !sum.is_finite() {
            return refuse("weights", "weights are numbers of 0 or more, one of them above 0");
        }
        Ok(())
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        let links = Link::all(&self.transforms, setup);
        let weights = if self.weights.is_empty() { vec![1.0; links.len()] } else { self.weights.clone() };
        Box::new(OneOfAtWork { links, weights })
    }
}

struct OneOfAtWork {
    links: Vec<Link>,
    weights: Vec<f64>,
}

impl Apply for OneOfAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let mut point = draw.unit() * self.weights.iter().sum::<f64>();
        let drawn = self.weights.iter().position(|weight| {
            point -= weight;
            point < 0.0
        });
        // Rounding may leave a point behind the last weight.
        let last = self.weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0);
        self.links[drawn.unwrap_or(last)].apply(sound, draw)
    }
}
