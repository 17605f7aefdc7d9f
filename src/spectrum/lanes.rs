//! Sums whose order is fixed and yet fit vector registers.

/// Numbers that are added side by side in every sum: what one SSE2 register holds, which every x86-64 processor has.
///
/// A sum is `LANES` partial sums in a fixed order, so that the compiler can use vectors without changing a bit.
pub(super) const LANES: usize = 4;

/// The sum of `value` over `samples` in a fixed order, in two vectors of partial sums to hide the addition's latency.
pub(crate) fn sum(samples: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut partial = [0.0; 2 * LANES];
    let mut groups = samples.chunks_exact(2 * LANES);
    for group in &mut groups {
        for (partial, &sample) in partial.iter_mut().zip(group) {
            *partial += value(sample);
        }
    }
    for (partial, &sample) in partial.iter_mut().zip(groups.remainder()) {
        *partial += value(sample);
    }
    let [first, second, third, fourth] = std::array::from_fn(|lane| partial[lane] + partial[lane + LANES]);
    (first + third) + (second + fourth)
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
