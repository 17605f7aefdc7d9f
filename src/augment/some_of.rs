//! Some of several augmentations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::{Link, Order, shuffle};
use super::{Apply, Augment, AugmentError, Augments, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Some of its augmentations, drawn anew for each clip without repetition.
///
/// How many is drawn first, then which, each set equally likely. They are applied in the order written, as in
/// audiomentations, or in the order drawn. Each still has its own `probability`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SomeOf {
    /// The augmentations.
    pub transforms: Vec<Augments>,
    /// The fewest and the most that are drawn, `[1, 3]`; a most beyond all of them is all of them.
    pub number: [usize; 2],
    /// Whether those drawn are applied in the order written or in the order drawn.
    #[serde(default)]
    pub order: Order,
    /// The share of clips that it is applied to, 0 to 1; 1.
    #[serde(default)]
    pub probability: Probability,
}

impl Member for SomeOf {
    const EXAMPLE: &'static str =
        "some_of: { number: [1, 2], transforms: [gain: { gain_db: -6 }, polarity_inversion: {}, reverse: {}] }";
    const PEERS: &'static [&'static str] = &["audiomentations.SomeOf", "torch_audiomentations.SomeOf"];
}

impl Augment for SomeOf {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn inner(&self) -> &[Augments] {
        &self.transforms
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        let [fewest, most] = self.number;
        let refuse = |key, reason| Err(SettingError::DoesNotFit { key, reason });
        if self.transforms.is_empty() {
            return refuse("transforms", "there is nothing to choose from");
        }
        if fewest > most {
            return refuse("number", "the fewest are more than the most");
        }
        if fewest > self.transforms.len() {
            return refuse("number", "there are fewer augmentations than are to be drawn");
        }
        Ok(())
    }

    fn prepare(&self, setup: &Setup<'_>) -> Box<dyn Apply> {
        let links = Link::all(&self.transforms, setup);
        let most = self.number[1].min(links.len());
        Box::new(SomeOfAtWork { fewest: self.number[0].min(most), most, links, order: self.order })
    }
}

struct SomeOfAtWork {
    links: Vec<Link>,
    fewest: usize,
    most: usize,
    order: Order,
}

impl Apply for SomeOfAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let count = self.fewest + draw.index(self.most - self.fewest + 1);
        let mut drawn: Vec<usize> = (0..self.links.len()).collect();
        shuffle(&mut drawn, draw);
        drawn.truncate(count);
        if self.order == Order::Listed {
            drawn.sort_unstable();
        }
        drawn.into_iter().try_for_each(|index| self.links[index].apply(sound, draw))
    }
}
