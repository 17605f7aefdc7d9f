//! Silence cut off at both ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::samples;
use super::{Part, Segment};
use crate::audio::silence::{Frames, trimmed};
use crate::audio::{Hertz, Waveform, Words};
use crate::family::Member;
use crate::transform::SettingError;

/// Silence cut off at both ends: one part, and no row where nothing is left.
///
/// The level of a frame is its RMS; frames are centred, with zeros around the sound, and of several channels the loudest
/// counts. A frame is silent where it is `top_db` or more below the loudest one, both not below -100 dB. The part goes from
/// the first hop that is not silent to the end of the last one, with `pad_s` more on either side. The transcript stays. A
/// recording whose level is the same throughout is not cut, digital silence neither. Source: librosa 0.11 `effects.trim` (whose
/// default is `top_db: 60`), to the sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrimSilence {
    /// How far below the loudest frame silence begins in dB, 0.1 to 200; 30.
    pub top_db: f64,
    /// The length of a frame in samples, 1 to 1048576; 2048.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub frame_length: u32,
    /// The samples from one frame to the next, a 64th of a frame to 1048576; 512.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub hop_length: u32,
    /// What stays of the silence at each end in seconds, 0 to 60; 0.
    pub pad_s: f64,
}

impl Default for TrimSilence {
    fn default() -> Self {
        Self { top_db: 30.0, frame_length: 2_048, hop_length: 512, pad_s: 0.0 }
    }
}

impl Member for TrimSilence {
    const EXAMPLE: &'static str = "trim_silence: { top_db: 40, pad_s: 0.1 }";
    const PEERS: &'static [&'static str] = &["librosa.effects.trim", "audiomentations.Trim"];
}

/// Checks the settings of frames.
pub(super) fn frames(top_db: f64, frame_length: u32, hop_length: u32) -> Result<(), SettingError> {
    SettingError::unless_within("top_db", top_db, 0.1, 200.0)?;
    SettingError::unless_within("frame_length", f64::from(frame_length), 1.0, 1_048_576.0)?;
    // A frame is summed anew at each hop.
    let least = f64::from(frame_length.div_ceil(64));
    SettingError::unless_within("hop_length", f64::from(hop_length), least, 1_048_576.0).map(|_| ())
}

impl Segment for TrimSilence {
    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        frames(self.top_db, self.frame_length, self.hop_length)?;
        SettingError::unless_within("pad_s", self.pad_s, 0.0, 60.0).map(|_| ())
    }

    fn parts(&self, sound: &Waveform) -> Vec<Part> {
        let frames = Frames { frame_length: self.frame_length as usize, hop_length: self.hop_length as usize };
        let part = trimmed(sound, frames, self.top_db, samples(self.pad_s, sound.sample_rate));
        part.map(|samples| Part { samples, silence: 0, words: Words::Kept }).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_is_left_with_its_words() {
        let mut samples = vec![0.0; 16_000];
        samples[8_000..12_000].fill(0.5);
        let sound = Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![samples] };
        let parts = TrimSilence::default().parts(&sound);
        // Frames of 2048 samples that reach into the sound by 1/1000 of its power and more: 14 to 25.
        assert_eq!(parts, [Part { samples: 14 * 512..26 * 512, silence: 0, words: Words::Kept }]);
    }
}
