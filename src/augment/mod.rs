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
mod filter;
mod level;
mod mix;
mod peers;
mod percentile;
mod place;
mod probability;
mod reverberation;
mod round_trip;
mod seam;
mod stretch;
mod tanh;
#[cfg(test)]
pub(crate) mod testing;
mod text;

mod add_color_noise;
mod add_gaussian_noise;
mod add_gaussian_snr;
mod add_noise;
mod add_short_noises;
mod adjust_duration;
mod air_absorption;
mod aliasing;
mod band_pass;
mod band_stop;
mod bit_crush;
mod chain;
mod clip;
mod clipping_distortion;
mod codec;
mod compressor;
mod crop;
mod dc_removal;
mod deemphasis;
mod drop_freq;
mod fade;
mod gain;
mod gain_transition;
mod high_pass;
mod high_shelf;
mod limiter;
mod low_pass;
mod low_shelf;
mod mix_utterance;
mod narrowband;
mod normalize_loudness;
mod normalize_peak;
mod one_of;
mod pad;
mod peaking;
mod pitch_shift;
mod polarity_inversion;
mod preemphasis;
mod repeat_part;
mod resample_lowpass;
mod reverb;
mod reverse;
mod saturate;
mod seven_band_eq;
mod shift;
mod shuffle_channels;
mod simulate_room;
mod some_of;
mod speed;
mod splice_out;
mod tanh_distortion;
mod time_mask;
mod time_stretch;
mod trim_silence;

pub use add_noise::{Level, Repeat};
pub use add_short_noises::{NoiseLevels, SnrOver};
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
pub use time_stretch::StretchLength;

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
        reverb: Reverb,
        simulate_room: SimulateRoom,
        air_absorption: AirAbsorption,
        speed: Speed,
        time_stretch: TimeStretch,
        pitch_shift: PitchShift,
        time_mask: TimeMask,
        splice_out: SpliceOut,
        shift: Shift,
        reverse: Reverse,
        repeat_part: RepeatPart,
        crop: Crop,
        pad: Pad,
        adjust_duration: AdjustDuration,
        trim_silence: TrimSilence,
        gain: Gain,
        gain_transition: GainTransition,
        fade: Fade,
        normalize_peak: NormalizePeak,
        normalize_loudness: NormalizeLoudness,
        clip: Clip,
        clipping_distortion: ClippingDistortion,
        saturate: Saturate,
        tanh_distortion: TanhDistortion,
        bit_crush: BitCrush,
        limiter: Limiter,
        compressor: Compressor,
        polarity_inversion: PolarityInversion,
        dc_removal: DcRemoval,
        preemphasis: Preemphasis,
        deemphasis: Deemphasis,
        low_pass: LowPass,
        high_pass: HighPass,
        band_pass: BandPass,
        band_stop: BandStop,
        low_shelf: LowShelf,
        high_shelf: HighShelf,
        peaking: Peaking,
        seven_band_eq: SevenBandEq,
        drop_freq: DropFreq,
        codec: Codec,
        narrowband: Narrowband,
        resample_lowpass: ResampleLowpass,
        aliasing: Aliasing,
        shuffle_channels: ShuffleChannels,
    }
}
