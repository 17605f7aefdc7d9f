//! The pitch of each frame, whether there is one, and how likely: YIN with many thresholds, and the likeliest path through
//! what they find.
//!
//! Mauch and Dixon's pYIN (ICASSP 2014) as librosa 0.11.0's `pyin` computes it, which follows the authors' program rather
//! than their paper. For each frame, each threshold of a beta distribution finds troughs of the difference function; those of
//! shorter periods count more. Viterbi's algorithm then goes through pitches on a grid, voiced and not. The whole utterance
//! is needed for that, but not its sound: a few candidates a frame are kept.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::path::{Heard, Path};
use super::frames::{a_quarter_or, framing};
use super::yin_difference::{Periods, YinDifference, is_trough, vertex};
use super::{Extractor, PadMode};
use crate::audio::Hertz;
use crate::family::Member;
use crate::seed::Draws;
use crate::spectrum::{FrameFeatures, Framing, Rows};
use crate::transform::{Column, Extract, ExtractError, SettingError};

mod path;

/// The pitch of each frame, whether it is voiced and how probably, found by pYIN.
///
/// Shape `[frames, 3]`, as librosa's `pyin`: the pitch in hertz on a grid of `resolution`, 1 where the frame is voiced and 0
/// where it is not, and the probability that it is voiced, from 0 to 1. A long recording takes up to about
/// 0.5 kB of memory a frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pyin {
    /// The lowest pitch in hertz; 65 (default) is below most speakers. A frame must hold more than one period of it, and
    /// should hold two.
    #[schemars(range(min = 1.0, max = 100_000.0))]
    pub fmin_hz: f64,
    /// The highest pitch in hertz, up to half of the sample rate; 400 (default) is above most speakers, 2093 the highest
    /// note of singers.
    #[schemars(range(min = 1.0, max = 100_000.0))]
    pub fmax_hz: f64,
    /// The samples in a frame; 2048.
    #[schemars(range(min = 4, max = 1_048_576))]
    pub frame_length: NonZeroU32,
    /// The samples from one frame to the next; null is a quarter of `frame_length`.
    #[schemars(range(max = 1_048_576))]
    pub hop_length: Option<NonZeroU32>,
    /// How many thresholds troughs are held against; 100.
    #[schemars(range(max = 1000))]
    pub n_thresholds: NonZeroU32,
    /// The two parameters of the thresholds' beta distribution, whole numbers; 2 and 18, whose mean is 0.1.
    #[schemars(inner(range(min = 1, max = 100)))]
    pub beta_parameters: [u32; 2],
    /// How much more troughs of shorter periods count: each e to this power times the next; 2.
    #[schemars(range(min = 0.001, max = 100.0))]
    pub boltzmann_parameter: f64,
    /// The grid of pitches, in semitones; 0.1. There may be at most 4096 pitches.
    #[schemars(range(min = 0.001, max = 1.0))]
    pub resolution: f64,
    /// How fast a pitch may move, in octaves a second; 35.92.
    #[schemars(range(min = 0.0, max = 10_000.0))]
    pub max_transition_rate: f64,
    /// The probability that the voice starts or stops from one frame to the next; 0.01.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub switch_prob: f64,
    /// How probable the lowest trough is for thresholds that no trough is below; 0.01.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub no_trough_prob: f64,
    /// The pitch of a frame that is not voiced; 0 (librosa's is NaN, which no cell may hold). Null gives the best guess.
    pub fill_na: Option<f64>,
    /// Whether frame `t` is centred on sample t·hop, the sound padded at its ends, rather than starting there.
    pub center: bool,
    /// What `center` pads with: `constant` (silence, default), `reflect` or `replicate`.
    pub pad_mode: PadMode,
}

impl Default for Pyin {
    fn default() -> Self {
        Self {
            fmin_hz: 65.0,
            fmax_hz: 400.0,
            frame_length: const { NonZeroU32::new(2_048).unwrap() },
            hop_length: None,
            n_thresholds: const { NonZeroU32::new(100).unwrap() },
            beta_parameters: [2, 18],
            boltzmann_parameter: 2.0,
            resolution: 0.1,
            max_transition_rate: 35.92,
            switch_prob: 0.01,
            no_trough_prob: 0.01,
            fill_na: Some(0.0),
            center: true,
            pad_mode: PadMode::Constant,
        }
    }
}

impl Member for Pyin {
    const EXAMPLE: &'static str = "pyin: { fmin_hz: 60, fmax_hz: 500, frame_length: 1024, hop_length: 160 }";
}

impl Extractor for Pyin {
    fn column(&self, rate: Option<Hertz>) -> Result<Column, SettingError> {
        Ok(Column::of(3, "Hz, voiced, probability", self.frame_shift(rate)))
    }

    fn framing(&self, _: Hertz) -> Result<Framing, SettingError> {
        framing(self.frame_length, a_quarter_or(self.frame_length, self.hop_length), self.pad_mode.edges(self.center))
    }

    fn prepare(&self, rate: Hertz, _: &str) -> Result<Box<dyn Extract>, SettingError> {
        let framing = self.framing(rate)?;
        let periods = Periods::between(self.fmin_hz, self.fmax_hz, rate, framing.length.get())?;
        let switch = SettingError::unless_within("switch_prob", self.switch_prob, 0.0, 1.0)?;
        let octaves = SettingError::unless_within("max_transition_rate", self.max_transition_rate, 0.0, 10_000.0)?;
        let resolution = SettingError::unless_within("resolution", self.resolution, 0.001, 1.0)?;
        let fill = self.fill_na.map(|fill| SettingError::unless_within("fill_na", fill, -1e30, 1e30)).transpose()?;
        let in_semitone = (1.0 / resolution).ceil();
        let num_pitches = (12.0 * in_semitone * (self.fmax_hz / self.fmin_hz).log2()).floor() + 1.0;
        if num_pitches > MOST_PITCHES {
            return Err(SettingError::DoesNotFit {
                key: "resolution",
                reason: "more than 4096 pitches lie between `fmin_hz` and `fmax_hz`",
            });
        }
        let num_pitches = num_pitches as usize;
        let hop = framing.hop.get() as f64;
        let semitones = (octaves * 12.0 * hop / f64::from(rate.get())).round_ties_even();
        let at = |pitch: f64| self.fmin_hz * (pitch / (12.0 * in_semitone)).exp2();
        let edges = (0..num_pitches).map(|pitch| f64::from(rate.get()) / at(pitch as f64 + 0.5)).collect();
        let frame = Frame {
            difference: YinDifference::new(periods, framing.length.get()),
            shortest: periods.min,
            edges,
            candidates: Candidates::new(self)?,
            found: Vec::new(),
            heard: Heard::default(),
        };
        Ok(Box::new(Pitches {
            rows: Rows::new(framing, frame),
            path: Path::new(num_pitches, (semitones * in_semitone) as usize + 1, switch),
            grid: (0..num_pitches).map(|pitch| at(pitch as f64) as f32).collect(),
            fill: fill.map(|fill| fill as f32),
        }))
    }
}

/// Three octaves to the cent: a state more is a column of memory more.
const MOST_PITCHES: f64 = 4_096.0;

/// The probability that each trough of a difference is the period.
struct Candidates {
    /// The thresholds but for 0, and the probability of each.
    thresholds: Vec<f64>,
    probabilities: Vec<f64>,
    no_trough: f64,
    boltzmann: f64,
    /// e^(−boltzmann·rank).
    ranks: Vec<f64>,
    /// The troughs of the difference: their numbers, the first threshold that each is below, and their probabilities.
    troughs: Vec<Trough>,
    /// How many troughs are below each threshold that were not below the one before.
    new: Vec<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Trough {
    number: usize,
    first: usize,
    probability: f64,
}

impl Candidates {
    fn new(settings: &Pyin) -> Result<Self, SettingError> {
        let count = SettingError::unless_within("n_thresholds", f64::from(settings.n_thresholds.get()), 1.0, 1_000.0)?;
        let [alpha, beta] = settings.beta_parameters;
        for parameter in [alpha, beta] {
            SettingError::unless_within("beta_parameters", f64::from(parameter), 1.0, 100.0)?;
        }
        let step = 1.0 / count;
        let thresholds: Vec<f64> = (1..count as usize).map(|number| number as f64 * step).chain([1.0]).collect();
        let mut below = 0.0;
        let probabilities = thresholds.iter().map(|&threshold| {
            let before = std::mem::replace(&mut below, beta_distribution(threshold, alpha, beta));
            (below - before).max(0.0)
        });
        Ok(Self {
            probabilities: probabilities.collect(),
            no_trough: SettingError::unless_within("no_trough_prob", settings.no_trough_prob, 0.0, 1.0)?,
            boltzmann: SettingError::unless_within("boltzmann_parameter", settings.boltzmann_parameter, 0.001, 100.0)?,
            ranks: Vec::new(),
            troughs: Vec::new(),
            new: vec![0; thresholds.len()],
            thresholds,
        })
    }

    /// The troughs of a difference with their probabilities, in the order of their periods.
    fn of(&mut self, values: &[f64]) -> &[Trough] {
        self.troughs.clear();
        self.new.fill(0);
        for number in (0..values.len()).filter(|&number| is_trough(values, number)) {
            let first = self.thresholds.partition_point(|&threshold| threshold <= values[number]);
            self.troughs.push(Trough { number, first, probability: 0.0 });
            if let Some(new) = self.new.get_mut(first) {
                *new += 1;
            }
        }
        while self.ranks.len() < self.troughs.len() {
            self.ranks.push((-self.boltzmann * self.ranks.len() as f64).exp());
        }
        self.weigh();
        let lowest = self
            .troughs
            .iter_mut()
            .reduce(|lowest, trough| if values[trough.number] < values[lowest.number] { trough } else { lowest });
        if let Some(lowest) = lowest {
            lowest.probability += self.no_trough * self.probabilities[..lowest.first].iter().sum::<f64>();
        }
        &self.troughs
    }

    /// Shares each threshold's probability among the troughs below it: the shorter the period, the more.
    fn weigh(&mut self) {
        let (mut start, mut below) = (0, 0);
        while start < self.new.len() {
            // Thresholds that the same troughs are below are taken together.
            below += self.new[start] as usize;
            let end =
                self.new[start + 1..].iter().position(|&new| new > 0).map_or(self.new.len(), |more| start + 1 + more);
            let probability: f64 = self.probabilities[start..end].iter().sum();
            let norm = -(-self.boltzmann).exp_m1() / -(-self.boltzmann * below as f64).exp_m1();
            let troughs = self.troughs.iter_mut().filter(|trough| trough.first <= start);
            for (trough, rank) in troughs.zip(&self.ranks) {
                trough.probability += norm * rank * probability;
            }
            start = end;
        }
    }
}

/// The probability that a beta distribution of whole parameters gives to what is below `x`: a sum of binomial ones.
fn beta_distribution(x: f64, alpha: u32, beta: u32) -> f64 {
    let n = alpha + beta - 1;
    let mut ways = 1.0;
    let mut sum = 0.0;
    for k in 0..=n {
        if k >= alpha {
            sum += ways * x.powi(k as i32) * (1.0 - x).powi((n - k) as i32);
        }
        ways *= f64::from(n - k) / f64::from(k + 1);
    }
    // Rounding alone takes it above 1.
    sum.min(1.0)
}

/// One frame's way to the pitches that are heard in it.
struct Frame {
    difference: YinDifference,
    /// The period of the difference's first value.
    shortest: usize,
    /// The period between each pitch and the next higher.
    edges: Vec<f64>,
    candidates: Candidates,
    /// Room for the frame's pitches and their probabilities.
    found: Vec<(u16, f64)>,
    heard: Heard,
}

impl FrameFeatures for Frame {
    fn num_bins(&self) -> usize {
        3
    }

    fn features(&mut self, samples: &[f32], row: &mut [f32]) -> bool {
        let Some(values) = self.difference.of(samples) else {
            return false;
        };
        self.found.clear();
        let candidates = self.candidates.of(values).iter().filter(|candidate| candidate.probability > 0.0);
        for &Trough { number, probability, .. } in candidates {
            let period = (self.shortest + number) as f64 + vertex(values, number);
            let pitch = self.edges.partition_point(|&edge| edge > period);
            // Periods grow, so pitches fall: of two at one pitch the longer period counts, those above all pitches do not.
            match self.found.last_mut() {
                _ if pitch >= self.edges.len() => {}
                Some(last) if usize::from(last.0) == pitch => last.1 = probability,
                _ => self.found.push((pitch as u16, probability)),
            }
        }
        let voiced = self.found.iter().rev().map(|&(_, probability)| probability).sum::<f64>().clamp(0.0, 1.0);
        self.heard.push(&self.found, (1.0 - voiced) / self.edges.len() as f64);
        row[2] = voiced as f32;
        true
    }
}

/// The extractor at work.
struct Pitches {
    rows: Rows<Frame>,
    path: Path,
    /// The grid of pitches in hertz.
    grid: Vec<f32>,
    fill: Option<f32>,
}

impl Extract for Pitches {
    fn begin(&mut self, _: Draws<'_>) {
        self.rows.begin();
        self.rows.features.heard.clear();
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.rows.push(samples, out);
    }

    fn needs_all(&self) -> bool {
        true
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        let made = self.rows.finish(out)?.len();
        let start = out.len() - made;
        let rows = &mut out[start..];
        let Self { rows: at_work, path, grid, fill } = self;
        path.find(&at_work.features.heard, |frame, pitch, is_voiced| {
            let row = &mut rows[3 * frame..][..2];
            row[0] = fill.filter(|_| !is_voiced).unwrap_or(grid[pitch]);
            row[1] = f32::from(u8::from(is_voiced));
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::featurize::golden::{extract, rate, settings};

    /// A second of silence, a second of a buzz at 150 Hz, a second of noise.
    fn silence_buzz_noise() -> Vec<f32> {
        let mut number = 1_u32;
        let mut noise = move || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(number >> 8) / f64::from(1 << 24) - 0.5
        };
        (0..48_000)
            .map(|n| {
                let phase = std::f64::consts::TAU * 150.0 * f64::from(n) / 16_000.0;
                let sample = match n / 16_000 {
                    0 => 0.0,
                    1 => (1..6).map(|harmonic| (phase * f64::from(harmonic)).sin() / 8.0).sum::<f64>() + 1e-3 * noise(),
                    _ => noise(),
                };
                sample as f32
            })
            .collect()
    }

    #[test]
    fn a_buzz_is_voiced_and_silence_and_noise_are_not() {
        let rows = extract(&Pyin::default(), &silence_buzz_noise(), rate(16_000)).unwrap();
        for (frame, row) in rows.chunks_exact(3).enumerate() {
            match frame * 512 {
                ..15_000 | 34_000.. => assert_eq!(row[..2], [0.0, 0.0], "{frame}: {row:?}"),
                18_000..30_000 => {
                    assert!((row[0] / 150.0 - 1.0).abs() < 3e-3 && row[1] == 1.0 && row[2] > 0.9, "{frame}: {row:?}");
                }
                _ => {}
            }
        }
        assert_eq!(rows[2], 0.0, "silence has no trough");
        let guessed = Pyin { fill_na: None, ..Pyin::default() };
        let guessed = extract(&guessed, &silence_buzz_noise(), rate(16_000)).unwrap();
        assert!(guessed.chunks_exact(3).all(|row| (64.9..400.1).contains(&row[0])), "a guess is between the bounds");
    }

    #[test]
    fn broken_sound_has_its_frame() {
        let mut sound = [0.1; 4_000];
        sound[1_800] = f32::INFINITY;
        assert_eq!(extract(&Pyin::default(), &sound, rate(16_000)), Err(ExtractError::NotFinite { frame: 2 }));
        assert_eq!(
            extract(&Pyin::default(), &[], rate(16_000)),
            Err(ExtractError::TooShort { num_samples: 0, needed: 1 })
        );
    }

    #[test]
    fn the_beta_distribution_is_that_of_tables() {
        // I_x(1, b) = 1 − (1 − x)^b, I_x(a, 1) = x^a, I_½(a, a) = ½.
        assert!((beta_distribution(0.3, 1, 4) - (1.0 - 0.7_f64.powi(4))).abs() < 1e-15);
        assert!((beta_distribution(0.3, 5, 1) - 0.3_f64.powi(5)).abs() < 1e-15);
        assert!((beta_distribution(0.5, 100, 100) - 0.5).abs() < 1e-13);
        assert_eq!((beta_distribution(0.0, 2, 18), beta_distribution(1.0, 2, 18)), (0.0, 1.0));
    }

    #[test]
    fn settings_that_do_not_fit_are_named() {
        let refused = |json: &str| match settings::<Pyin>(json).prepare(rate(16_000), "") {
            Ok(_) => panic!("{json} should be refused"),
            Err(error) => error.key(),
        };
        for (json, key) in [
            (r#"{"fmax_hz": 8001}"#, "fmax_hz"),
            (r#"{"fmin_hz": 500}"#, "fmin_hz"),
            (r#"{"frame_length": 100}"#, "frame_length"),
            (r#"{"n_thresholds": 1001}"#, "n_thresholds"),
            (r#"{"beta_parameters": [2, 101]}"#, "beta_parameters"),
            (r#"{"boltzmann_parameter": 0}"#, "boltzmann_parameter"),
            (r#"{"resolution": 0}"#, "resolution"),
            (r#"{"resolution": 0.005}"#, "resolution"),
            (r#"{"max_transition_rate": -1}"#, "max_transition_rate"),
            (r#"{"switch_prob": 1.5}"#, "switch_prob"),
            (r#"{"no_trough_prob": -0.5}"#, "no_trough_prob"),
            (r#"{"fill_na": 1e300}"#, "fill_na"),
        ] {
            assert_eq!(refused(json), key, "{json}");
        }
    }
}
