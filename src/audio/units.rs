//! Sample rates and times as types, so that a rate is never taken for a length nor a second for a sample.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A sample rate in hertz; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hertz(NonZeroU32);

impl Hertz {
    /// A rate of `hertz` samples a second; none for zero.
    #[must_use]
    pub const fn new(hertz: u32) -> Option<Self> {
        match NonZeroU32::new(hertz) {
            Some(rate) => Some(Self(rate)),
            None => None,
        }
    }

    /// The number of samples a second.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }

    /// Half of the rate: the highest frequency that it can carry, in hertz.
    #[must_use]
    pub fn nyquist(self) -> f64 {
        f64::from(self.get()) / 2.0
    }
}

impl fmt::Display for Hertz {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

impl JsonSchema for Hertz {
    fn schema_name() -> Cow<'static, str> {
        "Hertz".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": u32::MAX, "description": "A sample rate in hertz." })
    }
}

/// A time in seconds: finite and not negative.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Seconds(f64);

impl Seconds {
    /// No time at all.
    pub const ZERO: Self = Self(0.0);

    /// A time of `seconds`; none where that is negative, infinite or not a number.
    #[must_use]
    pub fn new(seconds: f64) -> Option<Self> {
        (seconds.is_finite() && seconds >= 0.0).then_some(Self(seconds))
    }

    /// The time that `samples` samples take at `rate`.
    #[must_use]
    pub fn of_samples(samples: u64, rate: Hertz) -> Self {
        Self(samples as f64 / f64::from(rate.get()))
    }

    /// The time in seconds.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }

    /// The nearest whole number of samples at `rate`; halves round up.
    #[must_use]
    pub fn samples(self, rate: Hertz) -> u64 {
        (self.0 * f64::from(rate.get())).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_becomes_the_nearest_sample() {
        let rate = Hertz::new(16_000).unwrap();
        assert_eq!(Seconds::new(1.23456).unwrap().samples(rate), 19_753);
        assert_eq!(Seconds::of_samples(8_000, rate).get(), 0.5);
    }

    #[test]
    fn impossible_rates_and_times_have_no_value() {
        assert!(Hertz::new(0).is_none());
        for time in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(Seconds::new(time).is_none());
        }
    }
}
