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
mod percentile;
mod probability;
mod tanh;
#[cfg(test)]
pub(crate) mod testing;

mod add_gaussian_snr;
mod chain;
mod gain;
mod one_of;
mod polarity_inversion;
mod some_of;

mod bit_crush;
mod clip;
mod clipping_distortion;
mod compressor;
mod dc_removal;
mod deemphasis;
mod fade;
mod gain_transition;
mod limiter;
mod normalize_loudness;
mod normalize_peak;
mod preemphasis;
mod saturate;
mod tanh_distortion;

pub use augmentation::{Around, Augmentation, Augmenter, OpenError, Original};
pub use bank::{Bank, Banks, Source};
pub use chain::Order;
pub use contract::{Apply, Augment, AugmentError, Setup};
pub use draw::{Draw, Told};
pub use probability::{NoProbability, Probability};

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
        gain_transition: GainTransition,
        fade: Fade,
        normalize_peak: NormalizePeak,
        normalize_loudness: NormalizeLoudness,
        dc_removal: DcRemoval,
        preemphasis: Preemphasis,
        deemphasis: Deemphasis,
        clip: Clip,
        clipping_distortion: ClippingDistortion,
        saturate: Saturate,
        tanh_distortion: TanhDistortion,
        bit_crush: BitCrush,
        limiter: Limiter,
        compressor: Compressor,
    }
}
