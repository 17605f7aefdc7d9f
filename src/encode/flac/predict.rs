//! Prediction of samples from those before, and what it misses.

use std::f64::consts::PI;

use multiversion::multiversion;

/// The highest order of linear prediction: libFLAC's at level 5.
pub(super) const MOST: usize = 8;

/// The weights of the samples before in polynomials of order 0 to 4, the last one first (RFC 9639, 9.2.5).
pub(super) const FIXED: [&[i32]; 5] = [&[], &[1], &[2, -1], &[3, -3, 1], &[4, -6, 4, -1]];

/// The sums of what each polynomial misses, over all samples but the first four.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn fixed_sums(samples: &[i32]) -> [u64; 5] {
    /// Samples whose differences add up within 32 bits, for they are of up to 17 bits, and 21 once predicted.
    const SAFE: usize = 1_024;
    let mut sums = [0; 5];
    let Some(last) = samples.len().checked_sub(4) else { return sums };
    // Wider samples lose the lowest bits, which decide little.
    let widest = samples.iter().fold(0, |widest, sample| widest | (sample ^ (sample >> 31)));
    let shift = (16 - widest.leading_zeros() as i32).max(0);
    for start in (0..last).step_by(SAFE) {
        let chunk = &samples[start..samples.len().min(start + SAFE + 4)];
        let mut partial = [0_u32; 5];
        for at in chunk.windows(5) {
            let [e, d, c, b, a] = [at[0], at[1], at[2], at[3], at[4]].map(|sample| sample >> shift);
            partial[0] += a.unsigned_abs();
            partial[1] += (a - b).unsigned_abs();
            partial[2] += (a - 2 * b + c).unsigned_abs();
            partial[3] += (a - 3 * b + 3 * c - d).unsigned_abs();
            partial[4] += (a - 4 * b + 6 * c - 4 * d + e).unsigned_abs();
        }
        for (sum, partial) in sums.iter_mut().zip(partial) {
            *sum += u64::from(partial);
        }
    }
    sums
}

/// A Tukey window of `len` samples whose tapers are half of it.
pub(super) fn tukey(len: usize) -> Vec<f64> {
    let taper = len / 4;
    let weight = |at: usize| {
        let from_end = at.min(len - 1 - at);
        if from_end >= taper { 1.0 } else { 0.5 - 0.5 * (PI * from_end as f64 / taper as f64).cos() }
    };
    (0..len).map(weight).collect()
}

/// Samples under a window.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn weigh(samples: &[i32], window: &[f64], weighed: &mut [f64]) {
    for ((weighed, sample), weight) in weighed.iter_mut().zip(samples).zip(window) {
        *weighed = f64::from(*sample) * weight;
    }
}

/// The autocorrelation of `sound` at lags 0 to [`MOST`]. It has [`MOST`] zeros before its first sample.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn autocorrelate(sound: &[f64]) -> [f64; MOST + 1] {
    /// Sums side by side, so that none waits for the one before.
    const SUMS: usize = 4;
    let mut sums = [[0.0; MOST]; SUMS];
    let mut energy = [0.0; SUMS];
    let mut at = 0;
    while let Some(part) = sound.get(at..).and_then(|rest| rest.first_chunk::<{ MOST + SUMS }>()) {
        for sum in 0..SUMS {
            let sample = part[sum + MOST];
            energy[sum] += sample * sample;
            for lag in 0..MOST {
                sums[sum][lag] += sample * part[sum + lag];
            }
        }
        at += SUMS;
    }
    for part in sound.get(at..).unwrap_or_default().windows(MOST + 1) {
        energy[0] += part[MOST] * part[MOST];
        for lag in 0..MOST {
            sums[0][lag] += part[MOST] * part[lag];
        }
    }
    let mut correlation = [0.0; MOST + 1];
    correlation[0] = energy.iter().sum();
    for lag in 0..MOST {
        // The place before the sample by 8 comes first.
        correlation[MOST - lag] = sums.iter().map(|sum| sum[lag]).sum();
    }
    correlation
}

/// The weights of linear prediction of each order from 1 on, the last sample's first, and the power that each misses
/// (Levinson and Durbin).
pub(super) fn levinson(correlation: &[f64; MOST + 1]) -> [([f64; MOST], f64); MOST] {
    let mut found = [([0.0; MOST], 0.0); MOST];
    let (mut weights, mut missed) = ([0.0; MOST], correlation[0]);
    for order in 0..MOST {
        if missed > 0.0 {
            let known: f64 = (0..order).map(|at| weights[at] * correlation[order - at]).sum();
            let reflection = (correlation[order + 1] - known) / missed;
            let before = weights;
            for at in 0..order {
                weights[at] = before[at] - reflection * before[order - 1 - at];
            }
            weights[order] = reflection;
            missed *= 1.0 - reflection * reflection;
        }
        found[order] = (weights, missed.max(0.0));
    }
    found
}

/// Weights as integers of `precision` bits and the number of bits to shift their sum by; none where they are too large.
pub(super) fn quantize(weights: &[f64], precision: u32) -> Option<([i32; MOST], u32)> {
    /// The most that the format can say (RFC 9639, 9.2.6), but for its sign.
    const MOST_SHIFT: i32 = 15;
    let largest = weights.iter().fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
    if !(largest > 0.0 && largest.is_finite()) {
        return None;
    }
    let highest = (1 << (precision - 1)) - 1;
    // The largest shift by which the largest weight still fits.
    let mut shift = MOST_SHIFT;
    while shift > 0 && (largest * f64::from(1 << shift)).round() > f64::from(highest) {
        shift -= 1;
    }
    let mut quantized = [0; MOST];
    let mut error = 0.0;
    for (quantized, weight) in quantized.iter_mut().zip(weights) {
        // What rounding takes from one weight, the next one gets.
        let wanted = error + weight * f64::from(1 << shift);
        let level = wanted.round();
        if level.abs() > f64::from(highest) + 1.0 {
            return None;
        }
        *quantized = (level as i32).clamp(-highest - 1, highest);
        error = wanted - f64::from(*quantized);
    }
    Some((quantized, shift as u32))
}

/// What a prediction by `weights` misses, of all samples but the first ones; whether all of it fits in 32 bits.
#[multiversion(targets("x86_64+avx2"))]
pub(super) fn miss(samples: &[i32], weights: &[i32], shift: u32, width: Width, missed: &mut Vec<i32>) -> bool {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of a function that is compiled for AVX2 too")]
    fn narrow<const N: usize>(samples: &[i32], weights: &[i32], shift: u32, missed: &mut [i32]) {
        let weights: [i32; N] = std::array::from_fn(|at| weights[N - 1 - at]);
        for (missed, at) in missed.iter_mut().zip(samples.windows(N + 1)) {
            let mut sum = 0_i32;
            for past in 0..N {
                sum = sum.wrapping_add(weights[past].wrapping_mul(at[past]));
            }
            *missed = at[N].wrapping_sub(sum >> shift);
        }
    }
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of a function that is compiled for AVX2 too")]
    fn wide<const N: usize>(samples: &[i32], weights: &[i32], shift: u32, missed: &mut [i32]) -> bool {
        let weights: [i32; N] = std::array::from_fn(|at| weights[N - 1 - at]);
        let mut lost = 0;
        for (missed, at) in missed.iter_mut().zip(samples.windows(N + 1)) {
            let mut sum = 0_i64;
            for past in 0..N {
                sum += i64::from(weights[past]) * i64::from(at[past]);
            }
            let exact = i64::from(at[N]) - (sum >> shift);
            *missed = exact as i32;
            // The Rice code folds the sign in, and has 32 bits for it.
            lost |= exact ^ i64::from(exact as i32) | i64::from(exact as i32 == i32::MIN);
        }
        lost == 0
    }
    missed.clear();
    missed.resize(samples.len().saturating_sub(weights.len()), 0);
    macro_rules! of_order {
        ($($order:literal)*) => {
            match (weights.len(), width) {
                $(
                    ($order, Width::Narrow) => { narrow::<$order>(samples, weights, shift, missed); true }
                    ($order, Width::Wide) => wide::<$order>(samples, weights, shift, missed),
                )*
                _ => false,
            }
        };
    }
    of_order!(0 1 2 3 4 5 6 7 8)
}

/// How wide the sums of a prediction may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// 32 bits.
    Narrow,
    /// 64 bits.
    Wide,
}
