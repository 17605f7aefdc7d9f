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
mod convolution;
mod draw;
mod level;
mod mix;
mod peers;
mod place;
mod probability;
mod reverberation;
mod seam;
mod percentile;
mod tanh;
#[cfg(test)]
pub(crate) mod testing;
mod text;

mod add_color_noise;
mod add_gaussian_noise;
mod add_gaussian_snr;
mod add_noise;
mod add_short_noises;
mod chain;
mod codec;
mod gain;
mod mix_utterance;
mod one_of;
mod polarity_inversion;
mod some_of;

mod adjust_duration;
mod crop;
mod filter;
mod pad;
mod repeat_part;
mod reverse;
mod round_trip;
mod shift;
mod shuffle_channels;
mod splice_out;
mod time_mask;
mod trim_silence;

mod air_absorption;
mod aliasing;
mod band_pass;
mod band_stop;
mod drop_freq;
mod high_pass;
mod high_shelf;
mod low_pass;
mod low_shelf;
mod narrowband;
mod peaking;
mod resample_lowpass;
mod reverb;
mod seven_band_eq;
mod simulate_room;

pub use add_noise::{Level, Repeat};
pub use add_short_noises::{NoiseLevels, SnrOver};
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
pub use codec::{ALaw, Application, Coder, Mp3, MuLaw, Opus, Vorbis};
pub use contract::{Apply, Augment, AugmentError, Setup};
pub use draw::{Draw, Told};
pub use filter::Phase;
pub use mix_utterance::{MixOffset, MixPad, MixSpeaker};
pub use narrowband::{Companding, Telephone};
pub use peers::LEFT_OUT;
pub use place::{Filling, Length, Location, Side};
pub use probability::{NoProbability, Probability};
pub use reverb::{Part, RirChannel};
pub use reverberation::{Normalize, Tail};
pub use text::Text;

use crate::family::family;

family! {
    /// What is done to the sound of an utterance's variants, in the order written.
    pub enum Augments: Augment = "augment" {
        chain: Chain,
        one_of: OneOf,
        some_of: SomeOf,
        add_gaussian_noise: AddGaussianNoise,
        add_gaussian_snr: AddGaussianSnr,
        add_color_noise: AddColorNoise,
        add_noise: AddNoise,
        add_short_noises: AddShortNoises,
        mix_utterance: MixUtterance,
        gain: Gain,
        polarity_inversion: PolarityInversion,
        time_mask: TimeMask,
        splice_out: SpliceOut,
        shift: Shift,
        reverse: Reverse,
        repeat_part: RepeatPart,
        crop: Crop,
        pad: Pad,
        adjust_duration: AdjustDuration,
        trim_silence: TrimSilence,
        shuffle_channels: ShuffleChannels,
        low_pass: LowPass,
        high_pass: HighPass,
        band_pass: BandPass,
        band_stop: BandStop,
        low_shelf: LowShelf,
        high_shelf: HighShelf,
        peaking: Peaking,
        seven_band_eq: SevenBandEq,
        drop_freq: DropFreq,
        narrowband: Narrowband,
        resample_lowpass: ResampleLowpass,
        aliasing: Aliasing,
        air_absorption: AirAbsorption,
        reverb: Reverb,
        simulate_room: SimulateRoom,
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
        codec: Codec,
    }
}
