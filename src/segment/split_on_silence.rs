//! Parts between silences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::spans::{Levels, Spans};
use super::trim_silence::frames;
use super::{Part, Segment};
use crate::audio::silence::{Frames, loud};
use crate::audio::{Hertz, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// The parts of a recording that lie between silences.
///
/// A frame's level is its RMS; frames are centred, with zeros around the sound, and of several channels the loudest counts. A
/// frame is silent where it is `top_db` or more below the loudest one, both not below -100 dB (so nothing is silent in a recording
/// whose loudest frame is below `top_db - 100` dB). Runs of frames that are not silent are the spans of librosa 0.11
/// `effects.split`, to the sample. Of them parts are made, in this order: gaps shorter than `min_silence_s` are closed; spans shorter
/// than `min_length_s` are left out; `pad_s` is added on both sides, up to the middle of a gap; spans longer than `max_length_s`
/// are cut at the quietest frame of the second half of that length. With the defaults the parts are librosa's.
///
/// The transcript stays where all the sound is in one part, and is lost otherwise. The level is relative: in noise that is
/// nearly as loud as speech it finds one long part. See `vad` too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitOnSilence {
    /// How far below the loudest frame silence begins in dB, 0.1 to 200; 60.
    pub top_db: f64,
    /// The length of a frame in samples, 1 to 1048576; 2048.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub frame_length: u32,
    /// The samples from one frame to the next, a 64th of a frame to 1048576; 512.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub hop_length: u32,
    /// Silences that are shorter do not split, in seconds, 0 to 3600; 0.
    pub min_silence_s: f64,
    /// Spans that are shorter are left out, in seconds, 0 to 3600; 0.
    pub min_length_s: f64,
    /// The longest part in seconds, 0.1 to 86400 and twice `min_length_s` at least; none.
    pub max_length_s: Option<f64>,
    /// What stays of the silence on each side in seconds, 0 to 60; 0.
    pub pad_s: f64,
}

impl Default for SplitOnSilence {
    fn default() -> Self {
        Self {
            top_db: 60.0,
            frame_length: 2_048,
            hop_length: 512,
            min_silence_s: 0.0,
            min_length_s: 0.0,
            max_length_s: None,
            pad_s: 0.0,
        }
    }
}

impl SplitOnSilence {
    fn spans(&self) -> Spans {
        let Self { min_silence_s, min_length_s, max_length_s, pad_s, .. } = *self;
        Spans { min_silence_s, min_length_s, pad_s, max_length_s }
    }
}

impl Member for SplitOnSilence {
    const EXAMPLE: &'static str =
        "split_on_silence: { top_db: 40, min_silence_s: 0.3, min_length_s: 0.2, max_length_s: 20, pad_s: 0.1 }";
    const PEERS: &'static [&'static str] = &["librosa.effects.split", "pydub.split_on_silence", "auditok.split"];
}

impl Segment for SplitOnSilence {
    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        frames(self.top_db, self.frame_length, self.hop_length)?;
        self.spans().check()
    }

    fn parts(&self, sound: &Waveform) -> Vec<Part> {
        let frames = Frames { frame_length: self.frame_length as usize, hop_length: self.hop_length as usize };
        let powers = frames.powers(sound);
        let spans = frames.runs(&loud(&powers, self.top_db), sound.num_samples());
        let levels = Levels { of_places: &powers, offset: 0, hop: frames.hop_length };
        self.spans().parts(&spans, levels, sound.num_samples(), sound.sample_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Words;

    /// Two words of a second each with 0.2 s of near silence in the first, and a second of silence around them.
    fn two_words() -> Waveform {
        let level = |place: usize| match place {
            16_000..24_000 | 27_200..32_000 | 48_000..64_000 => 0.5,
            _ => 0.000_1,
        };
        let samples = (0..80_000).map(|place| if place % 2 == 0 { level(place) } else { -level(place) }).collect();
        Waveform { sample_rate: Hertz::new(16_000).unwrap(), channels: vec![samples] }
    }

    fn parts(settings: &SplitOnSilence) -> Vec<std::ops::Range<usize>> {
        settings.check(None).unwrap();
        let parts = settings.parts(&two_words());
        assert!(parts.iter().all(|part| (part.words == Words::Kept) == (parts.len() == 1)));
        parts.into_iter().map(|part| part.samples).collect()
    }

    #[test]
    fn words_are_parts_and_pauses_within_them_are_not_where_it_is_said() {
        // Frame f spans 512 f - 1024 to 512 f + 1024 and stands for 512 f to 512 f + 512.
        let bare = parts(&SplitOnSilence::default());
        assert_eq!(bare, [30 * 512..49 * 512, 52 * 512..65 * 512, 92 * 512..127 * 512]);
        let settings = SplitOnSilence { min_silence_s: 0.3, ..SplitOnSilence::default() };
        assert_eq!(parts(&settings), [30 * 512..65 * 512, 92 * 512..127 * 512]);
        let settings = SplitOnSilence { min_length_s: 0.7, ..settings };
        assert_eq!(parts(&settings).len(), 2);
        let settings = SplitOnSilence { min_silence_s: 2.0, pad_s: 0.1, ..settings };
        assert_eq!(parts(&settings), std::slice::from_ref(&(30 * 512 - 1_600..127 * 512 + 1_600)));
        let settings = SplitOnSilence { max_length_s: Some(2.0), ..settings };
        // The quietest frame between the words, the latest of several: its centre is a whole hop.
        let cut = parts(&settings);
        assert!(cut.len() == 2 && cut[0].end == cut[1].start && (66 * 512..92 * 512).contains(&cut[0].end), "{cut:?}");
    }
}
