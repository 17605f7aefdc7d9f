//! Sound from afar, through air.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::convolution::Convolution;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::transform::SettingError;

/// What air takes from sound on its way: high frequencies, the more the farther.
///
/// `|H(f)| = 10^(-a(f) d / 20)`, where `d` is the distance and `a(f)` the attenuation of pure tones in dB/m of ISO 9613-1:1993
/// (equations 3 to 5) at 101.325 kPa; the phase is zero, so that nothing is delayed. The level does not fall with the distance
/// itself: that is a `gain`. Temperature, humidity and distance are each drawn uniformly, for all channels together.
///
/// Source: audiomentations 0.43 `AirAbsorption`, which has a table of octave bands for 10 and 20 degrees and ranges of
/// humidity instead of the formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AirAbsorption {
    /// The temperature in degrees Celsius, -20 to 50; [10, 20].
    pub temperature_c: Range,
    /// The relative humidity in percent, 10 to 100; [30, 90].
    pub humidity_percent: Range,
    /// The way from the source to the microphone in metres, 0 to 2500; [10, 100].
    pub distance_m: Range,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for AirAbsorption {
    fn default() -> Self {
        Self {
            temperature_c: Range::Uniform([10.0, 20.0]),
            humidity_percent: Range::Uniform([30.0, 90.0]),
            distance_m: Range::Uniform([10.0, 100.0]),
            probability: Probability::ALWAYS,
        }
    }
}

impl Member for AirAbsorption {
    const EXAMPLE: &'static str = "air_absorption: { temperature_c: [10, 20], humidity_percent: [30, 90], distance_m: [10, 100], probability: 0.5 }";
    const PEERS: &'static [&'static str] = &["audiomentations.AirAbsorption"];
}

impl Augment for AirAbsorption {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("temperature_c", &self.temperature_c, -20.0, 50.0)?;
        SettingError::unless_all_within("humidity_percent", &self.humidity_percent, 10.0, 100.0)?;
        SettingError::unless_all_within("distance_m", &self.distance_m, 0.0, 2_500.0)
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        Box::new(AirAtWork {
            settings: self.clone(),
            planner: FftPlanner::new(),
            bins: Vec::new(),
            taps: Vec::new(),
            convolution: Convolution::default(),
            outputs: Vec::new(),
        })
    }
}

struct AirAtWork {
    settings: AirAbsorption,
    planner: FftPlanner<f64>,
    bins: Vec<Complex<f64>>,
    taps: Vec<f32>,
    convolution: Convolution,
    outputs: Vec<f32>,
}

impl Apply for AirAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let air = Air::new(
            draw.number("temperature_c", &self.settings.temperature_c),
            draw.number("humidity_percent", &self.settings.humidity_percent),
        );
        let distance_m = draw.number("distance_m", &self.settings.distance_m);
        self.design(&air, distance_m, f64::from(sound.sample_rate.get()));
        let len = sound.num_samples();
        let block_len = Convolution::block_len(self.taps.len(), len);
        let spectrum = self.convolution.spectrum(&self.taps, block_len);
        let centre = (self.taps.len() / 2) as isize;
        for channel in &mut sound.channels {
            self.outputs.resize(len, 0.0);
            self.convolution.apply(&spectrum, channel, centre, &mut self.outputs);
            std::mem::swap(channel, &mut self.outputs);
        }
        Ok(())
    }
}

impl AirAtWork {
    /// The filter whose gains are those of the air at equally spaced frequencies: the curve is so smooth that its impulse response
    /// has died away long before the filter's ends.
    fn design(&mut self, air: &Air, distance_m: f64, rate: f64) {
        /// The frequencies are at most so many hertz apart.
        const SPACING: f64 = 16.0;
        let len = ((rate / SPACING) as usize).next_power_of_two().max(64);
        let gain = |k: usize| 10_f64.powf(-air.db_per_m(k as f64 * rate / len as f64) * distance_m / 20.0);
        self.bins.clear();
        self.bins.resize(len, Complex::default());
        for k in 0..=len / 2 {
            let gain = Complex::new(gain(k) / len as f64, 0.0);
            self.bins[k] = gain;
            self.bins[(len - k) % len] = gain;
        }
        self.planner.plan_fft_inverse(len).process(&mut self.bins);
        // From -len/2 to len/2, both ends with half of what they share.
        self.taps.clear();
        self.taps.extend((0..=len).map(|n| self.bins[(n + len / 2) % len].re as f32));
        self.taps[0] /= 2.0;
        self.taps[len] /= 2.0;
    }
}

/// Air at a temperature and humidity, at 101.325 kPa.
struct Air {
    /// The relaxation frequencies of oxygen and nitrogen, in Hz.
    oxygen: f64,
    nitrogen: f64,
    /// What the classical absorption and both relaxations weigh at this temperature.
    classical: f64,
    of_oxygen: f64,
    of_nitrogen: f64,
}

impl Air {
    /// ISO 9613-1, equations 3 to 5 and B.3.
    fn new(temperature_c: f64, humidity_percent: f64) -> Self {
        const REFERENCE_K: f64 = 293.15;
        const TRIPLE_POINT_K: f64 = 273.16;
        let kelvin = temperature_c + 273.15;
        let ratio = kelvin / REFERENCE_K;
        let saturation = 10_f64.powf(4.6151 - 6.8346 * (TRIPLE_POINT_K / kelvin).powf(1.261));
        // The molar concentration of water vapour, in percent.
        let vapour = humidity_percent * saturation;
        Self {
            oxygen: 24.0 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour),
            nitrogen: ratio.powf(-0.5) * (9.0 + 280.0 * vapour * (-4.170 * (ratio.powf(-1.0 / 3.0) - 1.0)).exp()),
            classical: 1.84e-11 * ratio.sqrt(),
            of_oxygen: ratio.powf(-2.5) * 0.01275 * (-2_239.1 / kelvin).exp(),
            of_nitrogen: ratio.powf(-2.5) * 0.1068 * (-3_352.0 / kelvin).exp(),
        }
    }

    fn db_per_m(&self, hertz: f64) -> f64 {
        let square = hertz * hertz;
        let relaxation = self.of_oxygen / (self.oxygen + square / self.oxygen)
            + self.of_nitrogen / (self.nitrogen + square / self.nitrogen);
        8.686 * square * (self.classical + relaxation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::rms;
    use crate::augment::testing::{drawn, is_uniform, mono, sine, varied};

    fn still(temperature_c: f64, humidity_percent: f64, distance_m: f64) -> AirAbsorption {
        AirAbsorption {
            temperature_c: Range::fixed(temperature_c),
            humidity_percent: Range::fixed(humidity_percent),
            distance_m: Range::fixed(distance_m),
            ..AirAbsorption::default()
        }
    }

    #[test]
    fn the_formula_has_the_values_of_its_standard() {
        // ISO 9613-2, table 2, which is made with ISO 9613-1: dB/km from 63 Hz to 8 kHz, at the octaves' exact
        // middles.
        let tables = [
            (10.0, 70.0, [0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117.0]),
            (20.0, 70.0, [0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6]),
            (30.0, 70.0, [0.1, 0.3, 1.0, 3.1, 7.4, 12.7, 23.1, 59.3]),
            (15.0, 20.0, [0.3, 0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202.0]),
        ];
        for (temperature_c, humidity_percent, table) in tables {
            let air = Air::new(temperature_c, humidity_percent);
            for (octave, known) in (-4..4).zip(table) {
                let db_per_km = 1e3 * air.db_per_m(1_000.0 * 10_f64.powf(0.3 * f64::from(octave)));
                assert!((db_per_km - known).abs() < 0.051 + 0.006 * known, "{temperature_c} {octave}: {db_per_km}");
            }
        }
    }

    #[test]
    fn sines_lose_what_the_formula_says() {
        for (rate, distance_m) in [(8_000, 100.0), (16_000, 10.0), (16_000, 100.0), (44_100, 100.0), (48_000, 20.0)] {
            let air = Air::new(10.0, 30.0);
            for share in [0.011, 0.123, 0.26, 0.51, 0.77, 0.953] {
                let hertz = share * f64::from(rate) / 2.0;
                let sound = sine(hertz, 0.5, rate);
                let far = varied(still(10.0, 30.0, distance_m), &sound);
                let middle = rate as usize / 4..rate as usize * 3 / 4;
                let ratio = rms(&far.channels[0][middle.clone()]) / rms(&sound.channels[0][middle]);
                let (lost, due) = (-20.0 * ratio.log10(), air.db_per_m(hertz) * distance_m);
                assert!((lost - due).abs() < 0.1, "{hertz} Hz at {rate}: {lost} dB, not {due}");
            }
        }
    }

    #[test]
    fn nothing_is_delayed_and_no_distance_changes_nothing() {
        let mut click = vec![0.0; 999];
        click[500] = 1.0;
        let far = varied(still(20.0, 50.0, 100.0), &mono(16_000, click.clone()));
        let samples = &far.channels[0];
        assert!(
            (1..400).all(|n| (samples[500 - n] - samples[500 + n]).abs() < 1e-6 && samples[500 + n] < samples[500])
        );
        let near = varied(still(20.0, 50.0, 0.0), &mono(16_000, click.clone()));
        assert!(near.channels[0].iter().zip(&click).all(|(y, x)| (y - x).abs() < 1e-6));
        let one = varied(still(20.0, 50.0, 0.0), &mono(1_000, vec![0.25]));
        assert!((one.channels[0][0] - 0.25).abs() < 1e-6 && one.num_samples() == 1);
    }

    #[test]
    fn every_parameter_is_drawn_evenly() {
        for (key, low, high) in
            [("temperature_c", 10.0, 20.0), ("humidity_percent", 30.0, 90.0), ("distance_m", 10.0, 100.0)]
        {
            assert!(is_uniform(&drawn(AirAbsorption::default(), key, 10_000), low, high), "{key}");
        }
    }
}
