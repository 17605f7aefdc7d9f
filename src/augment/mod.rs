//! Augmentation: what is done to the sound of variants, with randomness that is a function.
//!
//! ```text
//! Augmentation   `augment:` of the pipeline file
//! Augmenter      one thread's chain at work: a clip in, a variant and what was drawn for it out
//! Draw           the parameters of one augmentation for one clip, and their record
//! Bank           recordings to draw from: noises, impulse responses, other utterances
//! ```

mod augmentation;
mod bank;
mod contract;
mod draw;
mod level;
mod probability;
mod stretch;
#[cfg(test)]
pub(crate) mod testing;

mod add_gaussian_snr;
mod chain;
mod gain;
mod one_of;
mod polarity_inversion;
mod some_of;

mod pitch_shift;
mod speed;
mod time_stretch;

pub use augmentation::{Around, Augmentation, Augmenter, OpenError, Original};
pub use bank::{Bank, Banks, Source};
pub use chain::Order;
pub use contract::{Apply, Augment, AugmentError, Setup};
pub use draw::{Draw, Told};
pub use probability::{NoProbability, Probability};
pub use time_stretch::StretchLength;

use crate::family::family;

family! {
    /// What is done to the sound of an utterance's variants, in the order written.
    pub enum Augments: Augment = "augment" {
        chain: Chain,
        one_of: OneOf,
        some_of: SomeOf,
        add_gaussian_snr: AddGaussianSnr,
        gain: Gain,
        polarity_inversion: PolarityInversion,
        speed: Speed,
        time_stretch: TimeStretch,
        pitch_shift: PitchShift,
    }
}
