//! What a recording loses on its way through a telephone, a call or a file.

mod a_law;
mod carrier;
mod mp3;
mod mu_law;
mod opus;
mod vorbis;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

pub use a_law::ALaw;
pub use mp3::Mp3;
pub use mu_law::MuLaw;
pub use opus::{Application, Opus};
pub use vorbis::Vorbis;

/// The clip encoded and decoded again by a codec: one of several, drawn anew for each clip, each equally likely.
///
/// Length and place in time are kept exactly: what encoder and decoder delay is taken off. (Opus lies
/// up to 0.1 ms early or late at low bitrates, in every player.) A codec hears what its encoder would get: samples beyond
/// full scale are clipped at ±1. NeMo lowers the level to 0.8 before; here a `gain` before this does that. A clip whose
/// rate the codec does not have is resampled to the next one that it has (above 48 kHz, to 48 kHz) and back. Two
/// channels are coded as stereo, more of them one by one. The record names the codec and what was drawn for it.
///
/// - `mu_law: {}` and `a_law: {}`: ITU-T G.711, 8 bits a sample, at the clip's own rate. Of a telephone they are only
///   the coding, not the band of 300 to 3400 Hz.
/// - `mp3: { bitrate_kbps: [8, 64] }`: MPEG-1, 2 and 2.5 Layer III at a constant bitrate. Of the bitrates that the
///   format has at the clip's rate, those within the range are equally likely, as in audiomentations; where there is
///   none, the nearest is taken. The encoder is not LAME but `rusty_mp3`, which keeps a wider band.
/// - `opus: { bitrate_kbps: [8, 32], application: audio }`: libopus in frames of 20 ms, at a variable bitrate,
///   complexity 9. `application: voip` is that of calls, which favours speech and takes off the lowest frequencies;
///   `audio` is lhotse's.
/// - `vorbis: { quality: [-0.1, 0.3] }`: libvorbis as tuned by aoTuV, at a variable bitrate. lhotse's
///   `compression_level` is 1 minus this: its 0.9 is 0.1 here.
///
/// For other shares than equal ones use `one_of` with `weights`. GSM 06.10, the fourth codec of lhotse, is not there:
/// no maintained library with a free licence was found. Source: lhotse `Compress`, audiomentations 0.43
/// `Mp3Compression`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Codec {
    /// The codecs to draw from; mp3, opus and vorbis, each with its defaults.
    pub codecs: Vec<Coder>,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// A codec with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coder {
    /// The 8-bit law of telephones in North America and Japan.
    MuLaw(MuLaw),
    /// The 8-bit law of telephones elsewhere.
    ALaw(ALaw),
    /// MPEG Layer III.
    Mp3(Mp3),
    /// The codec of calls over the internet.
    Opus(Opus),
    /// The codec of Ogg files.
    Vorbis(Vorbis),
}

impl Coder {
    /// Its word in the pipeline file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::MuLaw(_) => "mu_law",
            Self::ALaw(_) => "a_law",
            Self::Mp3(_) => "mp3",
            Self::Opus(_) => "opus",
            Self::Vorbis(_) => "vorbis",
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        match self {
            Self::MuLaw(_) | Self::ALaw(_) => Ok(()),
            Self::Mp3(mp3) => mp3.check(),
            Self::Opus(opus) => opus.check(),
            Self::Vorbis(vorbis) => vorbis.check(),
        }
    }

    fn prepare(&self) -> Box<dyn Apply> {
        match self {
            Self::MuLaw(law) => Box::new(law.clone()),
            Self::ALaw(law) => Box::new(law.clone()),
            Self::Mp3(mp3) => mp3.prepare(),
            Self::Opus(opus) => opus.prepare(),
            Self::Vorbis(vorbis) => vorbis.prepare(),
        }
    }
}

impl Default for Codec {
    fn default() -> Self {
        let codecs = vec![Coder::Mp3(Mp3::default()), Coder::Opus(Opus::default()), Coder::Vorbis(Vorbis::default())];
        Self { codecs, probability: Probability::ALWAYS }
    }
}

impl Member for Codec {
    const EXAMPLE: &'static str = "codec: { codecs: [mp3: { bitrate_kbps: [8, 64] }, opus: { bitrate_kbps: [8, 32] }, mu_law: {}], probability: 0.5 }";
    const PEERS: &'static [&'static str] =
        &["lhotse.Compress", "audiomentations.Mp3Compression", "nemo.transcode_aug", "speechbrain.CodecAugment"];
}

impl Augment for Codec {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        if self.codecs.is_empty() {
            return Err(SettingError::DoesNotFit { key: "codecs", reason: "there is nothing to choose from" });
        }
        self.codecs.iter().try_for_each(Coder::check)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(CodecAtWork { codecs: self.codecs.iter().map(|codec| (codec.name(), codec.prepare())).collect() })
    }
}

struct CodecAtWork {
    codecs: Vec<(&'static str, Box<dyn Apply>)>,
}

impl Apply for CodecAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let drawn = draw.index(self.codecs.len());
        let (name, codec) = &mut self.codecs[drawn];
        draw.note("codec", *name);
        codec.apply(sound, draw)
    }
}

#[cfg(test)]
mod tests;
