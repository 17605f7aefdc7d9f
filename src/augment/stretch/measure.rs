//! For tests: what became of tones and clicks, at 16 kHz.

use std::f64::consts::TAU;

const RATE: f64 = 16_000.0;

/// Seconds of sines, which add up to 0.5 at most.
pub(in crate::augment) fn tone(hertz: &[f64], seconds: f64) -> Vec<f32> {
    let amplitude = 0.5 / hertz.len() as f64;
    let sample = |i: usize| hertz.iter().map(|hertz| (TAU * hertz * i as f64 / RATE + hertz).sin()).sum::<f64>();
    (0..(seconds * RATE) as usize).map(|i| (amplitude * sample(i)) as f32).collect()
}

/// Half a second of sound as sines of these frequencies, by least squares: cosine and sine of each, and the power of what is left.
fn fit(samples: &[f32], start: usize, hertz: &[f64]) -> (Vec<[f64; 2]>, f64) {
    let window = start..start + RATE as usize / 2;
    let mut rest: Vec<f64> = samples[window.clone()].iter().map(|sample| f64::from(*sample)).collect();
    let mut found = vec![[0.0; 2]; hertz.len()];
    // Sines over many periods are nearly orthogonal: a few rounds of projections end at the least squares.
    for _ in 0..30 {
        for (hertz, found) in hertz.iter().zip(&mut found) {
            let at = |i: usize| (TAU * hertz * i as f64 / RATE).sin_cos();
            let (mut cos_sum, mut sin_sum) = (0.0, 0.0);
            for (i, rest) in window.clone().zip(&rest) {
                let (sin, cos) = at(i);
                cos_sum += rest * cos;
                sin_sum += rest * sin;
            }
            let scale = 2.0 / rest.len() as f64;
            let (cos_part, sin_part) = (cos_sum * scale, sin_sum * scale);
            for (i, rest) in window.clone().zip(&mut rest) {
                let (sin, cos) = at(i);
                *rest -= cos_part * cos + sin_part * sin;
            }
            found[0] += cos_part;
            found[1] += sin_part;
        }
    }
    let power = rest.iter().map(|rest| rest * rest).sum::<f64>() / rest.len() as f64;
    (found, power)
}

/// How far sines of these frequencies lie above all else, over half a second from a second on.
pub(in crate::augment) fn harmonics_snr_db(samples: &[f32], hertz: &[f64]) -> f64 {
    let (found, rest) = fit(samples, 16_000, hertz);
    let power: f64 = found.iter().map(|[cos, sin]| f64::midpoint(cos * cos, sin * sin)).sum();
    10.0 * (power / rest).log10()
}

/// That the sound is a sine of this frequency at half of full scale: 60 dB above all else, within a hundredth of a decibel and of a
/// cent.
pub(in crate::augment) fn assert_tone(samples: &[f32], hertz: f64) {
    let snr_db = harmonics_snr_db(samples, &[hertz]);
    assert!(snr_db >= 60.0, "{hertz} Hz: {snr_db} dB");
    let [early, late] = [8_000, 16_000].map(|start| fit(samples, start, &[hertz]).0[0]);
    let gain_db = 20.0 * (late[0].hypot(late[1]) / 0.5).log10();
    assert!(gain_db.abs() <= 0.01, "{hertz} Hz: {gain_db} dB");
    // By how much the phase went on over half a second more than it should have.
    let (re, im) = (early[0] * late[0] + early[1] * late[1], early[0] * late[1] - early[1] * late[0]);
    let cents = 1_200.0 * (1.0 + im.atan2(re) / TAU / 0.5 / hertz).log2();
    assert!(cents.abs() <= 0.01, "{hertz} Hz: {cents} cents");
}

/// Where the highest sample is.
pub(in crate::augment) fn highest_at(samples: &[f32]) -> usize {
    let highest = samples.iter().enumerate().max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()));
    highest.expect("samples").0
}
