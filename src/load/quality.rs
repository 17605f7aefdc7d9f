//! Sound looked at on its way, in one pass and in room that does not grow: what it must not hold, and how good it is.
//!
//! All is found in frames of 20 ms and in one order of additions, so that how the sound is cut into blocks changes no bit.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::LoadError;
use crate::audio::{Hertz, Seconds};

/// What becomes of sound with samples that are infinite or not a number, which only files of floats can hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Nan {
    /// The utterance is rejected.
    #[default]
    Reject,
    /// The sample becomes 0; of channels that are mixed, that of the mix.
    Zero,
}

/// What becomes of digital silence: sound whose every sample has one value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// It is an utterance like any other.
    #[default]
    Keep,
    /// The utterance is rejected.
    Reject,
}

/// Whether the rows say how good the sound is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QualityColumns {
    /// They do not.
    #[default]
    None,
    /// They do, in columns of their own.
    Columns,
}

/// How good the sound of an utterance is, at the rate of its file.
///
/// All channels that were loaded count: with `channels: mix` that is the one mixed channel, with `keep` every channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// The largest magnitude of a sample; full scale is 1.
    pub peak: f64,
    /// The mean power in dB, that of a square wave at full scale being 0 and of a sine −3.01; −200 at the least.
    pub rms_db: f64,
    /// The mean of all samples; full scale is 1.
    pub dc_offset: f64,
    /// The share of samples, 0 to 1, in runs of at least 3 that reach full scale less one step of 16 bits.
    pub clipped_fraction: f64,
    /// The share of frames, 0 to 1, whose mean power is below −60 dB.
    pub silence_fraction: f64,
    /// How far, in dB, the 95th percentile of the frames' levels is above the 10th.
    pub snr_db: f64,
}

impl Quality {
    /// The columns in their order: name, unit, and what it is.
    pub const COLUMNS: [(&'static str, Option<&'static str>); 6] = [
        ("peak", Some("amplitude")),
        ("rms_db", Some("dB")),
        ("dc_offset", Some("amplitude")),
        ("clipped_fraction", Some("fraction")),
        ("silence_fraction", Some("fraction")),
        ("snr_db", Some("dB")),
    ];

    /// The values of [`COLUMNS`](Self::COLUMNS).
    #[must_use]
    pub const fn values(&self) -> [f64; Self::COLUMNS.len()] {
        let Self { peak, rms_db, dc_offset, clipped_fraction, silence_fraction, snr_db } = *self;
        [peak, rms_db, dc_offset, clipped_fraction, silence_fraction, snr_db]
    }
}

/// Frames of 20 ms, as in NIST's STNR.
const FRAME_S: f64 = 0.02;

/// From here on a sample counts as clipped: full scale less one step of 16 bits, as in Audacity's "Find Clipping", for the
/// largest positive number of 16 bits is 32767/32768.
const CLIPPED: f32 = 1.0 - 1.0 / 32_768.0;

/// So many samples at full scale in a row are clipping and not a peak that happens to touch it: the default of
/// Audacity's "Find Clipping".
const CLIPPED_RUN: u32 = 3;

/// A frame below −60 dB is silence: some 40 dB below speech at its usual level, and 36 dB above the rounding of 16 bits.
const SILENT_POWER: f64 = 1e-6;

/// Levels of frames in dB, clamped: what is quieter than the rounding of 16 bits (−101 dB) is all the same.
const LEVELS: std::ops::Range<f64> = -100.0..20.0;

/// Cells of the histogram a decibel.
const CELLS_A_DB: f64 = 10.0;
const CELLS: usize = 1_200;

/// The level of speech: the percentile that NIST's STNR takes (SPQA 2.3). Its level of noise, a raised cosine fitted to
/// the lowest peak of the histogram, is here a percentile too, which needs no fit: speech pauses for more than a tenth of
/// the time. Sound without pauses therefore reads too low.
const SPEECH: f64 = 0.95;
const NOISE: f64 = 0.10;

/// Mean power of 0 would be −∞ dB, which no reader of tables likes: it is −200 dB.
const LEAST_POWER: f64 = 1e-20;

/// Looks at the samples of one channel as they come; one a worker and channel, its room reused.
pub struct Listener {
    nan: Nan,
    rate: Hertz,
    heard: u64,
    /// The value of every sample so far, while they have one.
    constant: Option<f32>,
    meter: Option<Meter>,
}

impl Listener {
    /// A listener that measures if there are to be columns.
    #[must_use]
    pub fn new(nan: Nan, quality: QualityColumns) -> Self {
        let meter = (quality == QualityColumns::Columns).then(Meter::default);
        Self { nan, rate: ANY_RATE, heard: 0, constant: None, meter }
    }

    /// Starts an utterance at `rate` and forgets the one before.
    pub fn begin(&mut self, rate: Hertz) {
        (self.rate, self.heard, self.constant) = (rate, 0, None);
        if let Some(meter) = &mut self.meter {
            meter.begin(rate);
        }
    }

    /// Looks at the next samples, and mends those that are to be mended.
    ///
    /// # Errors
    ///
    /// A sample is infinite or not a number, and that is not to be mended.
    pub fn look(&mut self, block: &mut [f32]) -> Result<(), LoadError> {
        // Without an early end it is done in lanes.
        if !block.iter().fold(true, |finite, sample| finite & sample.is_finite()) {
            self.mend(block)?;
        }
        let Some(first) = block.first().copied() else { return Ok(()) };
        if self.heard == 0 {
            self.constant = Some(first);
        }
        self.constant = self.constant.filter(|value| block.iter().all(|sample| sample == value));
        self.heard += block.len() as u64;
        if let Some(meter) = &mut self.meter {
            meter.push(block);
        }
        Ok(())
    }

    fn mend(&self, block: &mut [f32]) -> Result<(), LoadError> {
        for (at, sample) in block.iter_mut().enumerate().filter(|(_, sample)| !sample.is_finite()) {
            match self.nan {
                Nan::Zero => *sample = 0.0,
                Nan::Reject => {
                    let at = Seconds::of_samples(self.heard + at as u64, self.rate);
                    return Err(LoadError::NotFinite { at });
                }
            }
        }
        Ok(())
    }

    /// Ends the utterance that `listeners`, one a channel, have heard, and says how good it is if that was measured.
    ///
    /// # Errors
    ///
    /// It was digital silence, which is not to be kept.
    pub fn finish(listeners: &mut [Self], silence: Silence) -> Result<Option<Quality>, LoadError> {
        let constant = listeners.iter().all(|listener| listener.constant.is_some());
        if let (Silence::Reject, true, Some(first)) = (silence, constant, listeners.first()) {
            return Err(LoadError::Silent { value: first.constant.unwrap_or_default() });
        }
        let [first, others @ ..] = listeners else { return Ok(None) };
        let Some(meter) = &mut first.meter else { return Ok(None) };
        meter.finish();
        for other in others.iter_mut().filter_map(|listener| listener.meter.as_mut()) {
            other.finish();
            meter.found += &other.found;
        }
        Ok(Some(meter.found.quality()))
    }
}

/// Until an utterance begins.
const ANY_RATE: Hertz = Hertz::new(1).unwrap();

/// Measures frame by frame.
#[derive(Default)]
struct Meter {
    frame: usize,
    /// Samples that wait for their frame to fill.
    waiting: Vec<f32>,
    /// Samples at full scale up to here, without one below.
    run: u32,
    found: Found,
}

/// Sums that become a [`Quality`].
#[derive(Default)]
struct Found {
    samples: u64,
    sum: f64,
    squares: f64,
    peak: f32,
    clipped: u64,
    frames: u64,
    silent: u64,
    /// Frames by their level.
    levels: Vec<u32>,
}

/// Enough sums at once to keep a core's adders busy.
const LANES: usize = 8;

impl Meter {
    fn begin(&mut self, rate: Hertz) {
        self.frame = (FRAME_S * f64::from(rate.get())).round().max(1.0) as usize;
        self.waiting.clear();
        self.run = 0;
        let mut levels = std::mem::take(&mut self.found.levels);
        levels.clear();
        levels.resize(CELLS, 0);
        self.found = Found { levels, ..Found::default() };
    }

    fn push(&mut self, mut samples: &[f32]) {
        while self.waiting.len() + samples.len() >= self.frame {
            let (missing, rest) = samples.split_at(self.frame - self.waiting.len());
            samples = rest;
            let power = if self.waiting.is_empty() {
                self.measure(missing)
            } else {
                self.waiting.extend_from_slice(missing);
                self.measure_waiting()
            };
            self.found.level(power);
        }
        self.waiting.extend_from_slice(samples);
    }

    /// A rest that fills no frame has no level, unless it is all there is.
    fn finish(&mut self) {
        if !self.waiting.is_empty() {
            let power = self.measure_waiting();
            if self.found.frames == 0 {
                self.found.level(power);
            }
        }
    }

    fn measure_waiting(&mut self) -> f64 {
        let waiting = std::mem::take(&mut self.waiting);
        let power = self.measure(&waiting);
        self.waiting = waiting;
        self.waiting.clear();
        power
    }

    /// Adds up the samples of a frame, and gives their mean power.
    fn measure(&mut self, samples: &[f32]) -> f64 {
        let (mut sums, mut squares, mut peaks) = ([0.0_f32; LANES], [0.0_f64; LANES], [0.0_f32; LANES]);
        let (rows, rest) = samples.as_chunks::<LANES>();
        for row in rows {
            for lane in 0..LANES {
                let (sample, magnitude) = (row[lane], row[lane].abs());
                sums[lane] += sample;
                // In double precision: the square of a large float would be infinite.
                squares[lane] += f64::from(sample) * f64::from(sample);
                peaks[lane] = if magnitude > peaks[lane] { magnitude } else { peaks[lane] };
            }
        }
        for (lane, sample) in rest.iter().enumerate() {
            sums[lane] += sample;
            squares[lane] += f64::from(*sample) * f64::from(*sample);
            peaks[lane] = peaks[lane].max(sample.abs());
        }
        let power: f64 = squares.iter().sum();
        let peak = peaks.into_iter().fold(0.0, f32::max);
        self.found.samples += samples.len() as u64;
        let sum: f64 = sums.iter().copied().map(f64::from).sum();
        // Adding in double precision throughout would nearly double the time, for floats at the end of their range.
        self.found.sum += if sum.is_finite() { sum } else { samples.iter().copied().map(f64::from).sum() };
        self.found.squares += power;
        self.found.peak = self.found.peak.max(peak);
        if peak >= CLIPPED || self.run > 0 {
            self.count_clipped(samples);
        }
        power / samples.len() as f64
    }

    fn count_clipped(&mut self, samples: &[f32]) {
        for sample in samples {
            self.run = if sample.abs() >= CLIPPED { self.run.saturating_add(1) } else { 0 };
            self.found.clipped += match self.run {
                run if run > CLIPPED_RUN => 1,
                run if run == CLIPPED_RUN => u64::from(CLIPPED_RUN),
                _ => 0,
            };
        }
    }
}

impl Found {
    fn level(&mut self, power: f64) {
        let level = (10.0 * power.log10()).clamp(LEVELS.start, LEVELS.end);
        let cell = ((level - LEVELS.start) * CELLS_A_DB) as usize;
        self.levels[cell.min(CELLS - 1)] += 1;
        self.frames += 1;
        self.silent += u64::from(power < SILENT_POWER);
    }

    /// The cell of the level that `share` of the frames do not exceed.
    fn percentile(&self, share: f64) -> usize {
        let rank = (share * self.frames as f64).ceil().max(1.0) as u64;
        let counted = self.levels.iter().scan(0, |sum, frames| {
            *sum += u64::from(*frames);
            Some(*sum)
        });
        counted.take_while(|sum| *sum < rank).count()
    }

    fn quality(&self) -> Quality {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let samples = self.samples.max(1) as f64;
        Quality {
            peak: f64::from(self.peak),
            rms_db: 10.0 * (self.squares / samples).max(LEAST_POWER).log10(),
            dc_offset: self.sum / samples,
            clipped_fraction: share(self.clipped, self.samples),
            silence_fraction: share(self.silent, self.frames),
            // Of whole numbers, so that a tenth stays a tenth.
            snr_db: (self.percentile(SPEECH) - self.percentile(NOISE)) as f64 / CELLS_A_DB,
        }
    }
}

impl AddAssign<&Self> for Found {
    fn add_assign(&mut self, other: &Self) {
        self.samples += other.samples;
        self.sum += other.sum;
        self.squares += other.squares;
        self.peak = self.peak.max(other.peak);
        self.clipped += other.clipped;
        self.frames += other.frames;
        self.silent += other.silent;
        for (here, there) in self.levels.iter_mut().zip(&other.levels) {
            *here += there;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 16_000;

    fn listener(nan: Nan, quality: QualityColumns) -> Listener {
        let mut listener = Listener::new(nan, quality);
        listener.begin(Hertz::new(RATE).unwrap());
        listener
    }

    fn measured<'a>(blocks: impl IntoIterator<Item = &'a [f32]>) -> Quality {
        let mut listener = listener(Nan::Reject, QualityColumns::Columns);
        for block in blocks {
            listener.look(&mut block.to_vec()).unwrap();
        }
        Listener::finish(&mut [listener], Silence::Keep).unwrap().unwrap()
    }

    fn sine(amplitude: f64, len: usize) -> Vec<f32> {
        (0..len).map(|i| (amplitude * (TAU * 440.0 * i as f64 / f64::from(RATE)).sin()) as f32).collect()
    }

    /// White noise of this power in dB, from a generator of one line.
    fn noise(level_db: f64, len: usize) -> Vec<f32> {
        let scale = (3.0 * 10_f64.powf(level_db / 10.0)).sqrt();
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (scale * (f64::from(state >> 8) / f64::from(1 << 23) - 1.0)) as f32
        };
        (0..len).map(|_| next()).collect()
    }

    fn near(value: f64, expected: f64, within: f64) {
        assert!((value - expected).abs() <= within, "{value} is not {expected}");
    }

    #[test]
    fn a_sine_has_its_known_peak_power_and_offset() {
        let shifted: Vec<f32> = sine(0.5, 32_000).into_iter().map(|sample| sample + 0.125).collect();
        let quality = measured([&shifted[..]]);
        near(quality.peak, 0.625, 1e-4);
        near(quality.dc_offset, 0.125, 1e-6);
        near(quality.rms_db, 10.0 * (0.125_f64 + 0.015_625).log10(), 1e-4);
        assert_eq!((quality.clipped_fraction, quality.silence_fraction), (0.0, 0.0));
        near(quality.snr_db, 0.0, 0.5);
        near(measured([&sine(1.0, 32_000)[..]]).rms_db, -3.0103, 1e-3);
    }

    #[test]
    fn runs_of_three_at_full_scale_are_clipped_and_shorter_ones_are_peaks() {
        let mut sound = sine(0.5, 1_000);
        let top = 32_767.0 / 32_768.0;
        sound[100..102].fill(top);
        assert_eq!(measured([&sound[..]]).clipped_fraction, 0.0);
        sound[200..203].fill(-1.0);
        // Across the border of two frames of 320, and to the end.
        sound[318..323].fill(top);
        sound[996..].fill(2.0);
        assert_eq!(measured([&sound[..]]).clipped_fraction, 0.012);
        assert_eq!(measured([&[1.0; 2][..]]).clipped_fraction, 0.0);
        assert_eq!(measured([&[1.0; 3][..]]).clipped_fraction, 1.0);
    }

    #[test]
    fn speech_over_noise_reads_as_far_above_it_as_it_is() {
        // Bursts and pauses of a fifth of a second each.
        let speech = noise(-20.0, 64_000);
        for snr in [5.0, 20.0, 40.0] {
            let mut sound = noise(-20.0 - snr, 64_000);
            for (at, sample) in sound.iter_mut().enumerate().filter(|(at, _)| at / 3_200 % 2 == 0) {
                *sample += speech[63_999 - at];
            }
            let expected = 10.0 * (10_f64.powf(snr / 10.0) + 1.0).log10();
            let snr_db = measured([&sound[..]]).snr_db;
            near(snr_db, expected, 1.0);
            assert!(snr_db.to_string().len() <= 4, "{snr_db} is in steps of a tenth");
        }
        near(measured([&noise(-30.0, 64_000)[..]]).snr_db, 0.5, 0.5);
    }

    #[test]
    fn frames_below_60_db_are_silence() {
        let mut sound = sine(0.5, 16_000);
        sound.extend(noise(-70.0, 48_000));
        let quality = measured([&sound[..]]);
        assert_eq!(quality.silence_fraction, 0.75);
        near(quality.snr_db, 61.0, 1.0);
    }

    #[test]
    fn silence_and_huge_samples_have_finite_measures() {
        let quality = measured([&[0.0; 700][..]]);
        assert_eq!(quality.values(), [0.0, -200.0, 0.0, 0.0, 1.0, 0.0]);
        let quality = measured([&[f32::MAX, f32::MIN, 0.0][..]]);
        assert!(quality.values().iter().all(|value| value.is_finite()), "{quality:?}");
        let quality = measured([&[3e38; 700][..]]);
        near(quality.dc_offset / 3e38, 1.0, 1e-6);
    }

    #[test]
    fn digital_silence_is_one_value_throughout_every_channel() {
        let finish = |blocks: [&[f32]; 2], silence| {
            let mut listeners = blocks.map(|block| {
                let mut listener = listener(Nan::Reject, QualityColumns::None);
                for half in block.chunks(2) {
                    listener.look(&mut half.to_vec()).unwrap();
                }
                listener
            });
            Listener::finish(&mut listeners, silence).err().map(|error| error.to_string())
        };
        let silent = Some("digital silence: every sample is 0.25".to_owned());
        assert_eq!(finish([&[0.25; 5], &[0.0, -0.0, 0.0]], Silence::Reject), silent);
        assert_eq!(finish([&[0.25; 5], &[0.0; 3]], Silence::Keep), None);
        assert_eq!(finish([&[0.25; 5], &[0.0, 0.0, 1e-9]], Silence::Reject), None);
    }

    #[test]
    fn what_is_not_finite_is_named_with_its_time_or_mended() {
        let bad = [0.5, 0.5, f32::NAN, 0.5, f32::INFINITY, f32::NEG_INFINITY];
        let mut strict = listener(Nan::Reject, QualityColumns::Columns);
        strict.look(&mut vec![0.5; 15_998]).unwrap();
        let error = strict.look(&mut bad.clone()).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), ("not_finite", "the sample at 1.000 s is not finite"));
        let mut mending = listener(Nan::Zero, QualityColumns::Columns);
        let mut block = bad;
        mending.look(&mut block).unwrap();
        assert_eq!(block, [0.5, 0.5, 0.0, 0.5, 0.0, 0.0]);
        let quality = Listener::finish(&mut [mending], Silence::Keep).unwrap().unwrap();
        near(quality.dc_offset, 0.25, 1e-9);
    }

    #[test]
    fn a_listener_forgets_the_utterance_before() {
        let mut listener = [listener(Nan::Reject, QualityColumns::Columns)];
        listener[0].look(&mut [1.0; 1_001]).unwrap();
        Listener::finish(&mut listener, Silence::Keep).unwrap();
        listener[0].begin(Hertz::new(RATE).unwrap());
        let sound = sine(0.5, 999);
        listener[0].look(&mut sound.clone()).unwrap();
        assert_eq!(Listener::finish(&mut listener, Silence::Keep).unwrap().unwrap(), measured([&sound[..]]));
    }

    proptest! {
        #[test]
        fn cutting_the_sound_changes_no_bit(sizes in prop::collection::vec(1_usize..900, 1..12)) {
            let sound = noise(-3.0, 5_000);
            let mut rest = &sound[..];
            let mut blocks = Vec::new();
            for size in sizes {
                let (block, after) = rest.split_at(size.min(rest.len()));
                blocks.push(block);
                rest = after;
            }
            blocks.push(rest);
            prop_assert_eq!(measured(blocks), measured([&sound[..]]));
        }
    }
}
