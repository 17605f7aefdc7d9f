//! Where sound is cut and joined: fades without clicks.

use crate::audio::Hertz;

/// What stays constant along a crossfade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constant {
    /// The sum of both weights: of parts that are alike.
    Gain,
    /// The sum of their squares, within 1 %: of parts that have nothing in common.
    Energy,
}

/// The weights of a fade in over `len` samples, the first 0 and the last 1 (before it those of constant energy are up to 1.003);
/// backwards they are the fade out.
///
/// `w(x) = (x + a + k a^2)^2` with `a = x (1 - x)`, and k = 1.4186 for constant energy or -0.70912 for constant gain: the
/// polynomial of <https://signalsmith-audio.co.uk/writing/2021/cheap-energy-crossfade/>, which audiomentations 0.43 uses.
pub(super) fn fade_in(len: usize, constant: Constant, weights: &mut Vec<f32>) {
    let k = match constant {
        Constant::Gain => -0.709_12,
        Constant::Energy => 1.418_6,
    };
    let step = 1.0 / (len.max(2) - 1) as f64;
    weights.clear();
    weights.extend((0..len).map(|i| {
        let x = i as f64 * step;
        let a = x * (1.0 - x);
        let root = x + a * (1.0 + k * a);
        (root * root) as f32
    }));
}

/// The number of samples in so many milliseconds.
pub(super) fn samples(length_ms: f64, rate: Hertz) -> usize {
    (length_ms * 1e-3 * f64::from(rate.get())).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_fades_keep_what_they_promise_from_end_to_end() {
        let mut weights = Vec::new();
        for constant in [Constant::Gain, Constant::Energy] {
            fade_in(801, constant, &mut weights);
            assert_eq!((weights[0], weights[800]), (0.0, 1.0));
            let highest = weights.iter().copied().fold(0.0, f32::max);
            assert!(highest <= if constant == Constant::Gain { 1.0 } else { 1.004 }, "{constant:?}: {highest}");
            for (rising, falling) in weights.iter().zip(weights.iter().rev()) {
                let sum = match constant {
                    Constant::Gain => rising + falling,
                    Constant::Energy => rising * rising + falling * falling,
                };
                assert!((sum - 1.0).abs() < 0.012, "{constant:?}: {sum}");
            }
        }
        for len in 0..3 {
            fade_in(len, Constant::Gain, &mut weights);
            assert_eq!(weights, [0.0, 1.0][..len]);
        }
    }
}
