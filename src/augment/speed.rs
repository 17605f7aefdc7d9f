//! Faster and higher, or slower and lower.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::unless_too_long;
use super::{Apply, Augment, AugmentError, Draw, Probability, Setup};
use crate::audio::{Hertz, Range, Waveform};
use crate::family::Member;
use crate::resample::{Kernel, Method, Quality, Resampler};
use crate::transform::SettingError;

/// Tempo and pitch together, as a tape that runs faster or slower.
///
/// The clip is resampled and keeps its sample rate: `n` samples become `ceil(n / factor)`, and 100 Hz becomes `100 factor` Hz.
/// The factor is an exact fraction: the nearest one with a denominator up to 1000, so that 1.1 is 11/10 and a
/// factor drawn from a range is off by at most 0.0005 (typically 0.000001); the fraction is what is recorded. A factor
/// of 1 leaves the clip as it is. Kaldi's and lhotse's
/// speed perturbation, which triples a corpus with 0.9 and 1.1.
///
/// `kernel: torchaudio` gives the samples of `torchaudio.functional.speed` and lhotse's `Speed`, for models whose training data went
/// through that; see `resample` for what may be set. Source: lhotse 1.33 `Speed` (source rate rounded, length rounded
/// up), torchaudio 2.11 `Speed` (which cuts the source rate to whole hertz: the same where `rate * factor` is whole).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Speed {
    /// How many times as fast, 0.25 to 4; `{one_of: [0.9, 1.0, 1.1]}`.
    pub factor: Range,
    /// How good the filter is, `high` (default) or `fast`, as of `resample`. Not beside `kernel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
    /// The filter of a peer instead, as of `resample`. `lowpass_filter_width / rolloff` is at most 2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// The share of clips that it is applied to, 0 to 1; 1.
    pub probability: Probability,
}

impl Default for Speed {
    fn default() -> Self {
        let factor = Range::Choice { one_of: vec![0.9, 1.0, 1.1] };
        Self { factor, quality: None, kernel: None, probability: Probability::ALWAYS }
    }
}

impl Member for Speed {
    const EXAMPLE: &'static str = "speed: { factor: { one_of: [0.9, 1.0, 1.1] } }";
    const PEERS: &'static [&'static str] = &[
        "torchaudio.Speed",
        "torchaudio.SpeedPerturbation",
        "lhotse.Speed",
        "lhotse.PerturbSpeed",
        "speechbrain.SpeedPerturb",
        "nemo.speed",
    ];
}

/// The widest kernel of torchaudio's kind in zero crossings over the roll-off: at any factor it has less than the 2^24 numbers that
/// `resample` allows.
const WIDEST: f64 = 2_000.0;

/// The largest denominator of a factor.
const DENOMINATOR: u32 = 1_000;

impl Augment for Speed {
    fn probability(&self) -> f64 {
        self.probability.get()
    }

    fn check(&self, _: Option<Hertz>) -> Result<(), SettingError> {
        SettingError::unless_all_within("factor", &self.factor, 0.25, 4.0)?;
        let refuse = |reason| Err(SettingError::DoesNotFit { key: "kernel", reason });
        match self.kernel {
            Some(_) if self.quality.is_some() => {
                refuse("`quality` and `kernel` each decide the filter: remove one of them")
            }
            Some(Kernel::Torchaudio(kernel)) if f64::from(kernel.lowpass_filter_width) / kernel.rolloff > WIDEST => {
                refuse("`lowpass_filter_width / rolloff` is at most 2000")
            }
            _ => Ok(()),
        }
    }

    fn prepare(&self, _: &Setup<'_>) -> Box<dyn Apply> {
        let method = match self.kernel {
            Some(kernel) => Method::Kernel(kernel),
            None => Method::Quality(self.quality.unwrap_or_default()),
        };
        Box::new(SpeedAtWork { factor: self.factor.clone(), method, resamplers: Vec::new(), faster: Vec::new() })
    }
}

struct SpeedAtWork {
    factor: Range,
    method: Method,
    /// Those of the last factors, the latest first.
    resamplers: Vec<([u32; 2], Resampler)>,
    faster: Vec<f32>,
}

/// Resamplers that are kept: more than a list of factors has.
const KEPT: usize = 8;

impl Apply for SpeedAtWork {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let factor = draw.number("factor", &self.factor);
        let [from, to] = fraction(factor, DENOMINATOR);
        draw.note("factor", f64::from(from) / f64::from(to));
        if from == to {
            return Ok(());
        }
        let len = (sound.num_samples() as u64 * u64::from(to)).div_ceil(u64::from(from));
        unless_too_long(sound, usize::try_from(len).unwrap_or(usize::MAX))?;
        let resampler = self.resampler([from, to])?;
        let mut faster = std::mem::take(&mut self.faster);
        let resampler = &mut self.resamplers[resampler].1;
        for channel in &mut sound.channels {
            faster.clear();
            resampler.push(channel, &mut faster);
            resampler.finish(&mut faster);
            channel.clear();
            channel.extend_from_slice(&faster);
        }
        self.faster = faster;
        Ok(())
    }
}

impl SpeedAtWork {
    /// The place of the resampler for these rates.
    fn resampler(&mut self, [from, to]: [u32; 2]) -> Result<usize, AugmentError> {
        if let Some(place) = self.resamplers.iter().position(|(rates, _)| *rates == [from, to]) {
            self.resamplers[..=place].rotate_right(1);
            return Ok(0);
        }
        let refused =
            || SettingError::DoesNotFit { key: "factor", reason: "there is no filter for this factor and kernel" };
        let [from_rate, to_rate] = [from, to].map(|rate| Hertz::new(rate).ok_or_else(refused));
        let resampler = Resampler::new(from_rate?, to_rate?, &self.method).map_err(|_| refused())?;
        self.resamplers.truncate(KEPT - 1);
        self.resamplers.insert(0, ([from, to], resampler));
        Ok(0)
    }
}

/// The fraction nearest to a positive number, its denominator at most `most`: by continued fractions (Knuth, *The Art of Computer
/// Programming*, 4.5.3).
fn fraction(number: f64, most: u32) -> [u32; 2] {
    let ([mut above, mut below], [mut last_above, mut last_below]) = ([1_u64, 0], [0_u64, 1]);
    let mut rest = number;
    loop {
        let whole = rest.floor().min(f64::from(u32::MAX));
        let next_below = whole as u64 * below + last_below;
        if next_below > u64::from(most) {
            // Between the last two convergents there may be a nearer one.
            let times = (u64::from(most) - last_below) / below.max(1);
            let between = [times * above + last_above, times * below + last_below];
            let distance = |[above, below]: [u64; 2]| (above as f64 / below as f64 - number).abs();
            let best = if distance(between) < distance([above, below]) { between } else { [above, below] };
            return best.map(|part| u32::try_from(part).unwrap_or(u32::MAX));
        }
        (last_above, above) = (above, whole as u64 * above + last_above);
        (last_below, below) = (below, next_below);
        rest -= whole;
        // What is left is the rounding of the number itself.
        if rest < 1e-9 {
            return [above, below].map(|part| u32::try_from(part).unwrap_or(u32::MAX));
        }
        rest = 1.0 / rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::golden::golden;
    use crate::augment::testing::{augmenter, drawn, mono, sine, varied};
    use crate::seed::Draws;

    fn fixed(factor: f64) -> Speed {
        Speed { factor: Range::fixed(factor), ..Speed::default() }
    }

    #[test]
    fn factors_are_exact_fractions_and_lengths_rounded_up() {
        for (factor, exact) in
            [(1.1, [11, 10]), (0.9, [9, 10]), (1.0, [1, 1]), (0.97, [97, 100]), (1.0 / 3.0, [1, 3]), (4.0, [4, 1])]
        {
            assert_eq!(fraction(factor, DENOMINATOR), exact);
        }
        for step in 0..200 {
            let factor = 0.25 + 3.75 * f64::from(step) / 199.0;
            let distance = |[above, below]: [u32; 2]| (f64::from(above) / f64::from(below) - factor).abs();
            let nearest = |below: u32| distance([(factor * f64::from(below)).round() as u32, below]);
            let least = (1..=DENOMINATOR).map(nearest).fold(f64::MAX, f64::min);
            let ours = fraction(factor, DENOMINATOR);
            assert!((1..=DENOMINATOR).contains(&ours[1]) && distance(ours) <= least + 1e-12, "{factor}: {ours:?}");
        }
        for (len, factor, after) in [(80_001, 1.1, 72_729), (1, 1.1, 1), (1, 0.25, 4), (10, 0.9, 12), (11, 1.1, 10)] {
            assert_eq!(varied(fixed(factor), &mono(16_000, vec![0.1; len])).num_samples(), after, "{len} / {factor}");
        }
    }

    #[test]
    fn a_sine_becomes_higher_by_the_factor() {
        for factor in [0.9, 1.1, 1.234_567] {
            let [above, below] = fraction(factor, DENOMINATOR).map(f64::from);
            let faster = varied(fixed(factor), &sine(1_000.0, 0.5, 16_000));
            let expected = sine(1_000.0 * above / below, 0.5, 16_000);
            let inner = faster.channels[0].iter().zip(&expected.channels[0]).skip(400).take(12_000);
            let worst = inner.map(|(ours, sine)| (ours - sine).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5, "{factor}: {worst}");
        }
    }

    #[test]
    fn with_torchaudios_kernel_the_samples_are_torchaudios() {
        let speed: Speed = serde_json::from_str(r#"{"factor": 1.1, "kernel": "torchaudio"}"#).unwrap();
        for (factor, name) in [(1.1, "11-10"), (0.9, "9-10")] {
            let (_, sound) = golden("signal-voiced-16000");
            let (_, reference) = golden(&format!("augment/speed-{name}-voiced-16000-torchaudio-2.11.0"));
            let speed = Speed { factor: Range::fixed(factor), ..speed.clone() };
            let ours = varied(speed, &mono(16_000, sound[..4_800].to_vec()));
            assert_eq!(ours.num_samples(), reference.len());
            let difference = ours.channels[0].iter().zip(&reference).map(|(one, other)| (one - other).abs());
            let worst = difference.fold(0.0, f32::max);
            assert!(worst <= 2e-6, "{factor}: {worst:e}");
        }
    }

    #[test]
    fn a_factor_of_one_changes_nothing_and_channels_stay_together() {
        let mut sound = sine(440.0, 0.5, 8_000);
        assert_eq!(varied(fixed(1.0), &sound), sound);
        sound.channels.push(sound.channels[0].iter().map(|sample| -sample).collect());
        let faster = varied(fixed(1.1), &sound);
        assert!(faster.channels[0].iter().zip(&faster.channels[1]).all(|(one, other)| one == &-other));
    }

    #[test]
    fn factors_are_drawn_as_written_and_few_resamplers_are_kept() {
        let factors = drawn(Speed::default(), "factor", 3_000);
        for factor in [0.9, 1.0, 1.1] {
            let count = factors.iter().filter(|drawn| **drawn == factor).count();
            assert!((900..1_100).contains(&count), "{factor}: {count}");
        }
        let method = Method::default();
        let mut speed = SpeedAtWork { factor: Range::fixed(1.0), method, resamplers: Vec::new(), faster: Vec::new() };
        for from in 20..60 {
            assert_eq!(speed.resampler([from, 19]).unwrap(), 0);
            assert!(speed.resamplers.len() <= KEPT);
        }
        speed.resampler([53, 19]).unwrap();
        assert_eq!((speed.resamplers[0].0, speed.resamplers.len()), ([53, 19], KEPT));
    }

    #[test]
    fn an_earlier_clip_leaves_no_trace() {
        let mut augmenter = augmenter(Speed { factor: Range::Uniform([0.9, 1.1]), ..Speed::default() });
        let clip = sine(440.0, 0.5, 16_000);
        let mut once = |id| {
            let mut sound = clip.clone();
            augmenter.apply(&mut sound, Draws { seed: 1, id, copy: 1, channel: 0, segment: None }).unwrap();
            sound
        };
        let first = once("a");
        assert_ne!(first, once("b"));
        assert_eq!(first, once("a"));
    }

    #[test]
    fn filters_that_contradict_or_would_fill_memory_are_refused() {
        for json in [
            r#"{"quality": "fast", "kernel": "torchaudio"}"#,
            r#"{"kernel": {"torchaudio": {"lowpass_filter_width": 1024, "rolloff": 0.5}}}"#,
            r#"{"factor": 0.2}"#,
            r#"{"factor": [0.9, 4.1]}"#,
        ] {
            assert!(serde_json::from_str::<Speed>(json).unwrap().check(None).is_err(), "{json}");
        }
        let json = r#"{"factor": 0.999, "kernel": {"torchaudio": {"lowpass_filter_width": 1000, "rolloff": 0.5}}}"#;
        let widest: Speed = serde_json::from_str(json).unwrap();
        assert_eq!(varied(widest, &mono(16_000, vec![0.1; 999])).num_samples(), 1_000);
    }
}
