//! Two sample rates, divided by their greatest common divisor.

use crate::audio::Hertz;

/// `from` samples take as long as `to` samples after the conversion; the smallest such pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) from: u64,
    pub(super) to: u64,
}

impl Ratio {
    pub(super) fn new(from: Hertz, to: Hertz) -> Self {
        let divisor = gcd(from.get(), to.get());
        Self { from: u64::from(from.get() / divisor), to: u64::from(to.get() / divisor) }
    }

    /// `⌈samples · to / from⌉`, without overflow for any length that fits memory.
    pub(super) fn length_after(self, samples: u64) -> u64 {
        let length = (u128::from(samples) * u128::from(self.to)).div_ceil(u128::from(self.from));
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_lose_their_common_divisor_and_lengths_are_rounded_up() {
        let ratio = |from, to| Ratio::new(Hertz::new(from).unwrap(), Hertz::new(to).unwrap());
        assert_eq!(ratio(44_100, 16_000), Ratio { from: 441, to: 160 });
        assert_eq!(ratio(44_100, 16_000).length_after(1_103), 401);
        assert_eq!(ratio(48_000, 16_000).length_after(9), 3);
        assert_eq!(ratio(3, 1).length_after(u64::MAX), u64::MAX / 3);
        assert_eq!(ratio(1, 3).length_after(u64::MAX), u64::MAX);
    }
}
