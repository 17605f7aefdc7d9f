//! Sums whose order is fixed and yet fit vector registers.

/// Numbers that are added side by side in every sum: what one register of AVX holds, or two of SSE2, which every x86-64
/// processor has.
///
/// A sum is `LANES` partial sums in a fixed order, so that the compiler can use vectors of either width without changing a bit.
pub(super) const LANES: usize = 8;

/// The sum of `LANES` partial sums.
#[inline(always)]
pub(super) fn total(partial: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = partial;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The sum of `value` over `samples` in a fixed order.
pub(crate) fn sum(samples: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0.0; LANES];
    let mut groups = samples.chunks_exact(LANES);
    for group in &mut groups {
        for (partial, &sample) in partial.iter_mut().zip(group) {
            *partial += value(sample);
        }
    }
    for (partial, &sample) in partial.iter_mut().zip(groups.remainder()) {
        *partial += value(sample);
    }
    total(partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_counts_once_at_any_length() {
        for length in 0..40_u16 {
            let samples: Vec<f32> = (1..=length).map(f32::from).collect();
            assert_eq!(sum(&samples, |sample| 2.0 * sample), f32::from(length * (length + 1)));
        }
    }
}
