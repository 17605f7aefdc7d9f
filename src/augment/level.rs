//! How loud a clip is, and decibels.

use multiversion::multiversion;

use crate::audio::Waveform;

/// The root of the mean square of some samples; 0 of none.
pub(super) fn rms(samples: &[f32]) -> f64 {
    power(samples).sqrt()
}

/// The mean square of some samples, summed in double precision; 0 of none.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn power(samples: &[f32]) -> f64 {
    // Eight sums side by side, which become vectors.
    let mut sums = [0.0_f64; 8];
    let mut blocks = samples.chunks_exact(8);
    for block in &mut blocks {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += f64::from(*sample) * f64::from(*sample);
        }
    }
    let rest: f64 = blocks.remainder().iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    (sums.iter().sum::<f64>() + rest) / samples.len().max(1) as f64
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
