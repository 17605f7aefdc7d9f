//! Percentiles of a clip's samples.

/// Some numbers, of which percentiles are asked; the buffer is kept from clip to clip.
#[derive(Debug, Default)]
pub(super) struct Percentiles {
    /// Integers in the order of the numbers, which compare in one instruction.
    keys: Vec<i32>,
}

impl Percentiles {
    /// Takes other numbers, all of them finite.
    pub(super) fn of(&mut self, numbers: impl Iterator<Item = f32>) {
        self.keys.clear();
        self.keys.extend(numbers.map(key));
    }

    /// The percentile `percent`, 0 to 100, interpolated between its two neighbours as `linear` of `numpy.percentile`
    /// does, in its order of operations and precisions; 0 of no numbers. The numbers change places: no more than what
    /// is asked is sorted.
    pub(super) fn at(&mut self, percent: f64) -> f64 {
        let Some(last) = self.keys.len().checked_sub(1) else { return 0.0 };
        let place = last as f64 * (percent / 100.0);
        let below = (place as usize).min(last);
        let (_, low, above) = self.keys.select_nth_unstable(below);
        let high = above.iter().min().map_or(number(*low), |key| number(*key));
        let low = number(*low);
        let share = place - below as f64;
        let step = f64::from(high - low);
        if share >= 0.5 { f64::from(high) - step * (1.0 - share) } else { f64::from(low) + step * share }
    }
}

/// An integer that is the greater the greater the number is: magnitudes are ordered as their bits.
fn key(number: f32) -> i32 {
    let bits = number.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

/// The number of a key.
fn number(key: i32) -> f32 {
    f32::from_bits((key ^ ((key >> 31) as u32 >> 1) as i32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_nearest_numbers() {
        let mut percentiles = Percentiles::default();
        percentiles.of([4.0, 1.0, 3.0, 2.0, 5.0].into_iter());
        let found = [0.0, 10.0, 25.0, 50.0, 90.0, 100.0].map(|percent| percentiles.at(percent));
        assert_eq!(found, [1.0, 1.4, 2.0, 3.0, 4.6, 5.0]);
        percentiles.of([-2.0, 0.0, -0.5, 1e-30, -1e30].into_iter());
        assert_eq!(
            [0.0, 25.0, 50.0, 75.0].map(|percent| percentiles.at(percent)),
            [-1e30_f32, -2.0, -0.5, 0.0].map(f64::from)
        );
        percentiles.of(std::iter::once(7.0));
        assert_eq!(percentiles.at(33.0), 7.0);
        percentiles.of(std::iter::empty());
        assert_eq!(percentiles.at(33.0), 0.0);
    }
}
