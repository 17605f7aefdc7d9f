//! Silence cut off at both ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Apply, Augment, AugmentError, Draw, Probability, Setup, seam};
use crate::audio::silence::{Frames, trimmed};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// Silence cut off at both ends of the clip.
///
/// The level of a frame is its RMS; frames are centred, with zeros around the clip, and of several channels the loudest counts.
/// A frame is silent where it is `top_db` or more below the loudest one, both not below -100 dB. The clip is cut to the start
/// of the first frame's hop that is not silent and the end of the last one's, and `pad_s` around them stay. The transcript stays. A
/// clip whose level is the same throughout is not cut, digital silence neither, nor one whose only frame that is not silent
/// begins its hop at the clip's end.
///
/// `segment: trim_silence` does the same for the original too. Source: librosa 0.11 `effects.trim`, whose results it has to the
/// sample; audiomentations 0.43 `Trim`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrimSilence {
    /// How far below the loudest frame silence begins in dB, 0.1 to 200; 30.
    pub top_db: f64,
    /// The length of a frame in samples, 1 to 1048576; 2048.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub frame_length: u32,
    /// The samples from one frame to the next, a 64th of a frame to a whole one; 512.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub hop_length: u32,
    /// What stays of the silence at each end in seconds, 0 to 60; 0.
    pub pad_s: f64,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for TrimSilence {
    fn default() -> Self {
        Self { top_db: 30.0, frame_length: 2_048, hop_length: 512, pad_s: 0.0, probability: Probability::ALWAYS }
    }
}

impl Member for TrimSilence {
    const EXAMPLE: &'static str = "trim_silence: { top_db: 40, pad_s: 0.1 }";
    const PEERS: &'static [&'static str] = &["audiomentations.Trim", "librosa.effects.trim"];
}

impl Augment for TrimSilence {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_within("top_db", self.top_db, 0.1, 200.0)?;
        SettingError::unless_within("frame_length", f64::from(self.frame_length), 1.0, 1_048_576.0)?;
        // A frame is summed anew at each hop; what lies between frames would be cut unheard.
        let least = f64::from(self.frame_length.div_ceil(64));
        SettingError::unless_within("hop_length", f64::from(self.hop_length), least, f64::from(self.frame_length))?;
        SettingError::unless_within("pad_s", self.pad_s, 0.0, 60.0).map(|_| ())
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(self.clone())
    }
}

impl Apply for TrimSilence {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let frames = Frames { frame_length: self.frame_length as usize, hop_length: self.hop_length as usize };
        let pad = seam::samples(1_000.0 * self.pad_s, sound.sample_rate);
        let part = trimmed(sound, frames, self.top_db, pad).unwrap_or(0..sound.num_samples());
        let seconds = |samples: usize| samples as f64 / f64::from(sound.sample_rate.get());
        draw.note("start_s", seconds(part.start));
        draw.note("end_s", seconds(part.end));
        for channel in &mut sound.channels {
            channel.truncate(part.end);
            channel.drain(..part.start);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;
    use crate::augment::testing::{mono, sine, told, varied};

    /// Half a second of silence, a second of a sine, half a second of silence; at 16 kHz.
    fn sine_in_silence() -> Waveform {
        let mut samples = vec![0.0; 8_000];
        samples.extend(&sine(440.0, 0.5, 16_000).channels[0]);
        samples.resize(32_000, 0.0);
        mono(16_000, samples)
    }

    #[test]
    fn what_is_left_is_the_sound_within_half_a_frame() {
        let (trimmed, told) = told(TrimSilence::default(), &sine_in_silence());
        // Frames whose 2048 samples reach into the sine by 1/1000 of it and more: 14 to 48.
        assert_eq!(trimmed.channels[0], sine_in_silence().channels[0][14 * 512..49 * 512]);
        assert_eq!(told.words, Words::Kept);
        let margin = varied(TrimSilence { pad_s: 0.1, ..TrimSilence::default() }, &sine_in_silence());
        assert_eq!(margin.num_samples(), 35 * 512 + 3_200);
    }

    #[test]
    fn silence_alone_and_one_sample_stay() {
        for clip in [mono(16_000, vec![0.0; 5_000]), mono(8_000, vec![0.5]), mono(48_000, vec![0.0])] {
            assert_eq!(varied(TrimSilence::default(), &clip), clip);
        }
    }

    #[test]
    fn sound_at_the_very_end_is_not_cut_off() {
        let mut samples = vec![0.0; 1_024];
        samples[1_000..].fill(0.5);
        let clip = mono(16_000, samples);
        let (same, told) = told(TrimSilence { frame_length: 512, ..TrimSilence::default() }, &clip);
        assert_eq!(same, clip);
        assert_eq!(told.applied[0]["trim_silence"], serde_json::json!({ "start_s": 0.0, "end_s": 0.064 }));
    }

    #[test]
    fn frames_that_would_take_forever_are_refused() {
        assert!(TrimSilence { frame_length: 6_400, hop_length: 99, ..TrimSilence::default() }.check(None).is_err());
        assert!(TrimSilence { frame_length: 512, hop_length: 513, ..TrimSilence::default() }.check(None).is_err());
        assert!(TrimSilence { hop_length: 0, frame_length: 1, ..TrimSilence::default() }.check(None).is_err());
    }
}
