//! How loud a clip is, and decibels.

use multiversion::multiversion;

use crate::audio::Waveform;
use crate::audio::silence::sum_of_squares;

/// The mean square of some samples, summed in double precision; 0 of none.
pub(super) fn power(samples: &[f32]) -> f64 {
    sum_of_squares(samples) / samples.len().max(1) as f64
}

/// The mean square of all samples of all channels.
pub(super) fn power_of(sound: &Waveform) -> f64 {
    sound.channels.iter().map(|channel| power(channel)).sum::<f64>() / sound.channels.len().max(1) as f64
}

/// The highest magnitude of all samples of all channels.
pub(super) fn peak_of(sound: &Waveform) -> f32 {
    sound.channels.iter().map(|channel| peak(channel)).fold(0.0, f32::max)
}

/// The highest magnitude of some samples, 0 of none; not finite if one of them is not.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn peak(samples: &[f32]) -> f32 {
    // Magnitudes are ordered as their bits, and the maximum of integers becomes vectors.
    f32::from_bits(samples.iter().fold(0, |highest: u32, sample| highest.max(sample.abs().to_bits())))
}

/// Puts the highest magnitude of all channels at each sample into `peaks`, which is as long as a channel and is
/// overwritten.
pub(super) fn peaks(sound: &Waveform, peaks: &mut [f32]) {
    peaks.fill(0.0);
    for channel in &sound.channels {
        raise(peaks, channel);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn raise(peaks: &mut [f32], samples: &[f32]) {
    for (peak, sample) in peaks.iter_mut().zip(samples) {
        let magnitude = sample.abs();
        *peak = if magnitude > *peak { magnitude } else { *peak };
    }
}

/// The mean of some samples, summed in double precision; 0 of none.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn mean(samples: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 8];
    let mut blocks = samples.chunks_exact(8);
    for block in &mut blocks {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += f64::from(*sample);
        }
    }
    let rest: f64 = blocks.remainder().iter().map(|sample| f64::from(*sample)).sum();
    (sums.iter().sum::<f64>() + rest) / samples.len().max(1) as f64
}

/// The amplitude ratio of so many decibels.
pub(super) fn amplitude(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// Multiplies all samples of all channels.
pub(super) fn scale(sound: &mut Waveform, factor: f64) {
    for channel in &mut sound.channels {
        multiply(channel, factor);
    }
}

/// Multiplies all of some samples.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn multiply(samples: &mut [f32], factor: f64) {
    let factor = factor as f32;
    for sample in samples {
        *sample *= factor;
    }
}

/// Multiplies all samples of all channels in double precision: the results are rounded once.
pub(super) fn scale_exactly(sound: &mut Waveform, factor: f64) {
    for channel in &mut sound.channels {
        multiply_exactly(channel, factor);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn multiply_exactly(samples: &mut [f32], factor: f64) {
    for sample in samples {
        *sample = (f64::from(*sample) * factor) as f32;
    }
}

/// Holds all samples of all channels between two bounds.
pub(super) fn clip(sound: &mut Waveform, low: f32, high: f32) {
    for channel in &mut sound.channels {
        hold(channel, low, high);
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn hold(samples: &mut [f32], low: f32, high: f32) {
    for sample in samples {
        let x = if *sample < low { low } else { *sample };
        *sample = if x > high { high } else { x };
    }
}

/// The root mean square below which sound is silence, as audiomentations 0.43 has it: -180 dB.
const SILENT_RMS: f64 = 1e-9;

/// Whether sound of this mean square is silence, to which no ratio can be kept.
pub(super) fn is_silent(power: f64) -> bool {
    power < SILENT_RMS * SILENT_RMS
}

/// The mean square of the active frames of a clip, all channels together: frames of 20 ms, of which those are active that are at
/// most 15.9 dB below the mean of the active ones. The margin is that of ITU-T P.56 (2011, method B); the frames stand for its
/// envelope and have no hangover.
pub(super) fn active_power_of(sound: &Waveform) -> f64 {
    const FRAME_S: f64 = 0.020;
    /// A ratio of powers.
    const MARGIN: f64 = 0.025_703_957_827_688_64;
    let len = ((f64::from(sound.sample_rate.get()) * FRAME_S) as usize).max(1);
    let mut frames = vec![(0.0, 0); sound.num_samples().div_ceil(len)];
    for channel in &sound.channels {
        for ((energy, samples), part) in frames.iter_mut().zip(channel.chunks(len)) {
            *energy += power(part) * part.len() as f64;
            *samples += part.len();
        }
    }
    // Each step drops the frames that are too quiet for the mean of those before it, until none is.
    let mut threshold = 0.0;
    let mut active = frames.len();
    loop {
        frames.retain(|(energy, samples)| *energy >= threshold * *samples as f64);
        let (energy, samples) = frames.iter().fold((0.0, 0), |sum, frame| (sum.0 + frame.0, sum.1 + frame.1));
        let mean = energy / samples.max(1) as f64;
        if frames.len() == active && threshold > 0.0 || mean == 0.0 {
            return mean;
        }
        active = frames.len();
        threshold = mean * MARGIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::testing::{mono, sine};

    #[test]
    fn the_active_level_of_a_tone_between_pauses_is_that_of_the_tone() {
        // A second of tone at 0.1 between two seconds of hiss 40 dB below it.
        let tone = sine(500.0, 0.1, 16_000).channels.remove(0);
        let hiss: Vec<f32> = tone.iter().map(|sample| sample / 100.0).collect();
        let sound = mono(16_000, [hiss.clone(), tone, hiss].concat());
        assert!((active_power_of(&sound) / 0.005 - 1.0).abs() < 1e-6, "{}", active_power_of(&sound));
        assert!((power_of(&sound) / (0.005 / 3.0) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn frames_within_the_margin_are_active() {
        // Half at 1, half at 0.25: -12 dB is within 15.9 dB of the mean, so both count.
        let sound = mono(8_000, [vec![1.0; 8_000], vec![0.25; 8_000]].concat());
        assert_eq!(active_power_of(&sound), f64::midpoint(1.0, 0.0625));
    }

    #[test]
    fn silence_and_single_samples_have_a_level() {
        assert_eq!(active_power_of(&mono(8_000, vec![0.0; 999])), 0.0);
        assert_eq!(active_power_of(&mono(8_000, vec![0.5])), 0.25);
        assert_eq!(active_power_of(&mono(1_000, vec![0.0, 0.5])), 0.125);
    }
}
