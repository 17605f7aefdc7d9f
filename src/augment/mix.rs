//! One sound added to another.

use std::ops::Range;

use multiversion::multiversion;

use super::Draw;
use super::level::{amplitude, is_silent, power, power_of};
use crate::audio::Waveform;

/// Adds `addend` times `factor` to samples, from the first of both on.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn add_scaled(samples: &mut [f32], addend: &[f32], factor: f64) {
    let factor = factor as f32;
    for (sample, added) in samples.iter_mut().zip(addend) {
        *sample += factor * added;
    }
}

/// The factor that brings sound of the mean square `power` to `snr_db` below sound of the mean square `reference`.
pub(super) fn factor_of_snr(reference: f64, power: f64, snr_db: f64) -> f64 {
    (reference / power).sqrt() / amplitude(snr_db)
}

/// Adds noise of its own to each channel, so that the power of the clip over all channels is `snr_db` above that of the noise over
/// all channels, exactly; nothing where one of them is silent, which is recorded as `silent`.
pub(super) fn add_at_snr(sound: &mut Waveform, noise: &[Vec<f32>], snr_db: f64, draw: &mut Draw<'_>) {
    let reference = power_of(sound);
    let added = noise.iter().map(|channel| power(channel)).sum::<f64>() / noise.len().max(1) as f64;
    if is_silent(reference) || is_silent(added) {
        draw.note("silent", true);
        return;
    }
    let factor = factor_of_snr(reference, added, snr_db);
    for (channel, noise) in sound.channels.iter_mut().zip(noise) {
        add_scaled(channel, noise, factor);
    }
}

/// The mean of all channels.
pub(super) fn into_mono(sound: Waveform) -> Vec<f32> {
    let mut channels = sound.channels.into_iter();
    let mut mono = channels.next().unwrap_or_default();
    average(&mut mono, channels.as_slice().iter().map(Vec::as_slice));
    mono
}

/// The mean of all channels of these samples, of which there are as many.
pub(super) fn mono_of(sound: &Waveform, samples: Range<usize>) -> Vec<f32> {
    let mut channels = sound.channels.iter().map(|channel| channel.get(samples.clone()).unwrap_or_default());
    let mut mono = channels.next().unwrap_or_default().to_vec();
    average(&mut mono, channels);
    mono
}

/// Makes the first channel the mean of itself and the others.
fn average<'a>(first: &mut [f32], others: impl Iterator<Item = &'a [f32]>) {
    let mut number = 1_u16;
    for channel in others {
        add_scaled(first, channel, 1.0);
        number += 1;
    }
    if number > 1 {
        let share = 1.0 / f32::from(number);
        for sample in first {
            *sample *= share;
        }
    }
}
