//! As over a telephone line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::filter::band::{Inside, design};
use super::round_trip::RoundTrip;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::g711;
use crate::audio::{Hertz, Waveform};
use crate::family::Member;

/// As over a telephone line: 8 kHz, the eight bits of G.711, and back to the clip's rate.
///
/// The clip is resampled to 8 kHz with the `high` filter of `resample` (flat to 3.76 kHz, nothing from 4 kHz),
/// band-limited if `band` says so, encoded and decoded by ITU-T G.711, and resampled back, in its place and length.
/// Levels are as in the clip: full scale of the line is ±1, louder is clipped. A clip of 8 kHz or less keeps its rate.
/// Of A-law no level is 0: silence becomes 1/4096.
///
/// Source: lhotse 1.33 `Narrowband` (`codec: mulaw`), which resamples with torchaudio's softer filter. Its `lpc10` is
/// not here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Narrowband {
    /// How samples are coded on the line: `mu_law`, `a_law` or `none`; `mu_law`.
    pub codec: Companding,
    /// What the line passes: `full` or `voice`; `full`.
    pub band: Telephone,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

/// How a telephone line codes samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Companding {
    /// G.711 µ-law, of North America and Japan.
    #[default]
    MuLaw,
    /// G.711 A-law, of the rest of the world.
    ALaw,
    /// Not at all.
    None,
}

/// The band that a telephone line passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Telephone {
    /// All that 8 kHz carry.
    #[default]
    Full,
    /// 300 to 3400 Hz (a Butterworth band pass of 24 dB an octave), as telephone sets and old exchanges do.
    Voice,
}

/// The rate of the line.
const LINE_HZ: u32 = 8_000;
/// The edges of `band: voice` (ITU-T G.712 and before), in hertz, and the order of each flank.
const VOICE_HZ: [f64; 2] = [300.0, 3_400.0];
const VOICE_ORDER: usize = 4;

impl Member for Narrowband {
    const EXAMPLE: &'static str = "narrowband: { codec: mu_law, band: voice, probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["lhotse.Narrowband", "lhotse.MuLawCodec"];
}

impl Augment for Narrowband {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        let line = Line { codec: self.codec, band: self.band, filter: Filter::default() };
        Box::new(NarrowbandAtWork { line, round_trip: RoundTrip::default() })
    }
}

struct NarrowbandAtWork {
    line: Line,
    round_trip: RoundTrip,
}

impl Apply for NarrowbandAtWork {
    fn apply(&mut self, sound: &mut Waveform, _: &mut Draw<'_>) -> Result<(), AugmentError> {
        match Hertz::new(LINE_HZ) {
            Some(rate) if rate < sound.sample_rate => {
                self.round_trip.apply(sound, rate, |at_low| self.line.carry(at_low))
            }
            _ => {
                self.line.carry(sound);
                Ok(())
            }
        }
    }
}

/// What happens to sound on the line.
struct Line {
    codec: Companding,
    band: Telephone,
    filter: Filter,
}

impl Line {
    fn carry(&mut self, sound: &mut Waveform) {
        if self.band == Telephone::Voice
            && design(Inside::Passes, VOICE_HZ, VOICE_ORDER, sound.sample_rate, &mut self.filter)
        {
            self.filter.run(sound);
        }
        match self.codec {
            Companding::MuLaw => g711::mu_law(sound),
            Companding::ALaw => g711::a_law(sound),
            Companding::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine, varied};

    fn line(codec: Companding, band: Telephone) -> Narrowband {
        Narrowband { codec, band, ..Narrowband::default() }
    }

    /// The level of a tone after the line, in dB of what it was, from the second half of a second.
    fn level_db(row: Narrowband, hertz: f64, rate: u32) -> f64 {
        let before = sine(hertz, 0.3, rate);
        let after = varied(row, &before);
        let half = rate as usize / 2;
        let power = |sound: &Waveform| crate::augment::level::power(&sound.channels[0][half / 2..half + half / 2]);
        10.0 * (power(&after) / power(&before)).max(1e-20).log10()
    }

    #[test]
    fn the_line_carries_what_is_below_four_kilohertz() {
        for rate in [11_025, 16_000, 44_100, 48_000] {
            let bare = line(Companding::None, Telephone::Full);
            for hertz in [100.0, 1_000.0, 3_700.0] {
                assert!(level_db(bare.clone(), hertz, rate).abs() < 0.01, "{hertz} Hz at {rate}");
            }
            assert!(level_db(bare, 4_300.0, rate) < -100.0);
        }
        let voice = line(Companding::None, Telephone::Voice);
        assert!(level_db(voice.clone(), 1_000.0, 16_000).abs() < 0.01);
        assert!((level_db(voice.clone(), 300.0, 16_000) + 3.0103).abs() < 0.05);
        assert!((level_db(voice.clone(), 3_400.0, 16_000) + 3.0103).abs() < 0.05);
        assert!(level_db(voice, 75.0, 16_000) < -45.0);
    }

    #[test]
    fn companding_leaves_noise_some_38_decibels_below_the_sound() {
        for codec in [Companding::MuLaw, Companding::ALaw] {
            for amplitude in [0.9, 0.1, 0.03] {
                let before = sine(1_000.3, amplitude, 8_000);
                let after = varied(line(codec, Telephone::Full), &before);
                let noise: Vec<f32> = after.channels[0].iter().zip(&before.channels[0]).map(|(y, x)| y - x).collect();
                let power = crate::augment::level::power;
                let snr_db = 10.0 * (power(&before.channels[0]) / power(&noise)).log10();
                // ITU-T G.712 asks for 33 dB and more from 0 to -30 dBm0.
                assert!((34.0..42.0).contains(&snr_db), "{codec:?} at {amplitude}: {snr_db}");
            }
        }
    }

    #[test]
    fn the_clip_keeps_its_length_and_place() {
        for (rate, len) in
            [(16_000, 1), (16_000, 2), (16_000, 4_001), (44_100, 10_007), (48_000, 3), (8_000, 5), (4_000, 9)]
        {
            let clip = mono(rate, vec![0.0; len]);
            for codec in [Companding::MuLaw, Companding::None] {
                assert_eq!(varied(line(codec, Telephone::Voice), &clip), clip);
            }
        }
        let mut click = mono(16_000, vec![0.0; 8_000]);
        click.channels[0][3_000] = 0.9;
        click.channels.push(click.channels[0].clone());
        let after = varied(line(Companding::MuLaw, Telephone::Full), &click);
        assert_eq!(after.channels[0], after.channels[1]);
        let loudest = (0..8_000).max_by(|one, other| after.channels[0][*one].total_cmp(&after.channels[0][*other]));
        assert_eq!(loudest, Some(3_000));
    }
}
