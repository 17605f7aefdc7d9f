//! The colour of another microphone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::mel_at;
use super::filter::{Filter, Shape};
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// The colour of another microphone or another place: a random equalizer of seven bands.
///
/// A low shelf, five peaks and a high shelf of the Audio EQ Cookbook, one after the other. Each has a frequency of its
/// own, uniform in mels within its octave or so (42-95, 91-204, 196-441, 421-948, 909-2045, 1957-4404 and 4216-9486
/// Hz), a gain of `gain_db`, and a q: 0.1 to 0.999 of the shelves, 0.5 to 5 of the peaks. Frequencies that the clip's
/// rate cannot carry are taken down to 0.9999 of its Nyquist frequency, where the band does nothing. Computed in double
/// precision, from the state that the first sample for ever would have left.
///
/// Source: audiomentations 0.43 `SevenBandParametricEQ`, which goes back to single precision after each band, and whose
/// peaks above the Nyquist frequency are unstable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SevenBandEq {
    /// How much louder each band is, in dB, -96 to 96; [-12, 12].
    pub gain_db: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for SevenBandEq {
    fn default() -> Self {
        Self { gain_db: Range::Uniform([-12.0, 12.0]), probability: Probability::ALWAYS }
    }
}

/// The bands: their shape and where they lie, in hertz.
const BANDS: [(Shape, [f64; 2]); 7] = [
    (Shape::LowShelf, [42.0, 95.0]),
    (Shape::Peak, [91.0, 204.0]),
    (Shape::Peak, [196.0, 441.0]),
    (Shape::Peak, [421.0, 948.0]),
    (Shape::Peak, [909.0, 2_045.0]),
    (Shape::Peak, [1_957.0, 4_404.0]),
    (Shape::HighShelf, [4_216.0, 9_486.0]),
];
const SHELF_Q: Range = Range::Uniform([0.1, 0.999]);
const PEAK_Q: Range = Range::Uniform([0.5, 5.0]);

impl Member for SevenBandEq {
    const EXAMPLE: &'static str = "seven_band_eq: { gain_db: [-12, 12], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.SevenBandParametricEQ"];
}

impl Augment for SevenBandEq {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("gain_db", &self.gain_db, -96.0, 96.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(SevenBandEqAtWork { gain_db: self.gain_db.clone(), filter: Filter::default() })
    }
}

struct SevenBandEqAtWork {
    gain_db: Range,
    filter: Filter,
}

impl Apply for SevenBandEqAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let bands = BANDS.map(|(shape, octave)| {
            let centre_hz = mel_at(&Range::Uniform(octave), draw.unit());
            let gain_db = self.gain_db.at(draw.unit());
            let q = if shape == Shape::Peak { PEAK_Q } else { SHELF_Q }.at(draw.unit());
            (shape, [centre_hz, gain_db, q])
        });
        for (place, key) in ["centre_hz", "gain_db", "q"].into_iter().enumerate() {
            draw.note(key, bands.map(|(_, numbers)| numbers[place]).to_vec());
        }
        let rate = sound.sample_rate;
        self.filter.sections.clear();
        self.filter
            .sections
            .extend(bands.map(|(shape, [centre_hz, gain_db, q])| shape.section(centre_hz, gain_db, q, rate)));
        self.filter.run(sound);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::filter::tests::{off, voiced};
    use crate::augment::testing::{sine, told};

    #[test]
    fn the_bands_of_one_pass_are_the_seven_filters_of_audiomentations() {
        let bands = [
            (Shape::LowShelf, 60.0, 6.0, 0.5),
            (Shape::Peak, 150.0, -12.0, 1.0),
            (Shape::Peak, 300.0, 3.5, 5.0),
            (Shape::Peak, 600.0, 12.0, 0.5),
            (Shape::Peak, 1_500.0, -7.0, 2.0),
            (Shape::Peak, 3_000.0, 9.0, 3.0),
            (Shape::HighShelf, 6_000.0, -10.0, 0.9),
        ];
        let mut sound = voiced(16_000);
        let mut filter = Filter::default();
        let section = |(shape, hz, gain, q): (Shape, f64, f64, f64)| shape.section(hz, gain, q, sound.sample_rate);
        filter.sections.extend(bands.map(section));
        filter.run(&mut sound);
        let off = off(&sound, "seven-band");
        assert!(off < 2e-6, "{off:e}");
    }

    #[test]
    fn every_band_lies_in_its_octave_and_is_recorded() {
        for rate in [8_000, 16_000, 48_000] {
            let (sound, told) = told(SevenBandEq::default(), &sine(440.0, 0.1, rate));
            assert!(sound.channels[0].iter().all(|sample| sample.abs() < 10.0));
            let record = &told.applied[0]["seven_band_eq"];
            for (band, (shape, [low, high])) in BANDS.into_iter().enumerate() {
                let number = |key: &str| record[key][band].as_f64().unwrap();
                assert!((low..=high).contains(&number("centre_hz")));
                assert!((-12.0..=12.0).contains(&number("gain_db")));
                let [least, most] = if shape == Shape::Peak { [0.5, 5.0] } else { [0.1, 0.999] };
                assert!((least..=most).contains(&number("q")));
            }
        }
    }

    #[test]
    fn no_gain_changes_nothing() {
        let sound = voiced(16_000);
        let same = crate::augment::testing::varied(
            SevenBandEq { gain_db: Range::fixed(0.0), ..SevenBandEq::default() },
            &sound,
        );
        assert!(same.channels[0].iter().zip(&sound.channels[0]).all(|(y, x)| (y - x).abs() < 1e-7));
    }
}
