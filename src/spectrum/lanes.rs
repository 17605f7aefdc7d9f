//! Sums whose order is fixed and yet fit vector registers.

use multiversion::multiversion;

/// Numbers that are added side by side in every sum: what one register of AVX holds, or two of SSE2, which every x86-64
/// processor has.
///
/// A sum is `LANES` partial sums in a fixed order, so that the compiler can use vectors of either width without changing a bit.
pub(super) const LANES: usize = 8;

/// The sum of `LANES` partial sums.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a part of loops that are compiled for AVX2 too")]
pub(super) fn total(partial: [f32; LANES]) -> f32 {
    let four: [f32; LANES / 2] = std::array::from_fn(|lane| partial[lane] + partial[lane + LANES / 2]);
    (four[0] + four[2]) + (four[1] + four[3])
}

/// The highest of `numbers`; minus infinity where there are none. NaNs are passed over.
#[multiversion(targets("x86_64+avx2"))]
pub(crate) fn highest(numbers: &[f32]) -> f32 {
    let higher = |one: f32, other: f32| if other > one { other } else { one };
    let (groups, rest) = numbers.as_chunks::<LANES>();
    let mut highest = [f32::NEG_INFINITY; LANES];
    for group in groups {
        for lane in 0..LANES {
            highest[lane] = higher(highest[lane], group[lane]);
        }
    }
    highest.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, higher)
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

/// The sum of `value` over `samples` in a fixed order and in double precision, for there may be an hour of them.
pub(crate) fn double_sum(samples: &[f32], value: impl Fn(f32) -> f64) -> f64 {
    let mut partial = [0.0; LANES];
    let (groups, rest) = samples.as_chunks::<LANES>();
    for group in groups {
        for (partial, &sample) in partial.iter_mut().zip(group) {
            *partial += value(sample);
        }
    }
    for (partial, &sample) in partial.iter_mut().zip(rest) {
        *partial += value(sample);
    }
    partial.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_found_wherever_it_stands() {
        for length in 1..40_usize {
            for place in 0..length {
                let mut numbers = vec![-3.0; length];
                numbers[place] = -1.0;
                assert_eq!(highest(&numbers), -1.0);
            }
        }
        assert_eq!((highest(&[]), highest(&[f32::NAN, 2.0])), (f32::NEG_INFINITY, 2.0));
    }

    #[test]
    fn every_sample_counts_once_at_any_length() {
        for length in 0..40_u16 {
            let samples: Vec<f32> = (1..=length).map(f32::from).collect();
            assert_eq!(sum(&samples, |sample| 2.0 * sample), f32::from(length * (length + 1)));
            assert_eq!(double_sum(&samples, f64::from), f64::from(length * (length + 1) / 2));
        }
    }
}
