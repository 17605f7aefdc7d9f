//! How loud a clip is, and decibels.

use crate::audio::Waveform;

/// The root of the mean square of some samples; 0 of none.
pub(super) fn rms(samples: &[f32]) -> f64 {
    power(samples).sqrt()
}

/// The mean square of some samples, summed in double precision; 0 of none.
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
    sound.channels.iter().flatten().fold(0.0, |peak: f32, sample| peak.max(sample.abs()))
}

/// The amplitude ratio of so many decibels.
pub(super) fn amplitude(db: f64) -> f64 {
    10_f64.powf(db / 20.0)
}

/// Multiplies all samples of all channels.
pub(super) fn scale(sound: &mut Waveform, factor: f64) {
    let factor = factor as f32;
    for sample in sound.channels.iter_mut().flatten() {
        *sample *= factor;
    }
}
