//! One section of a filter.

/// A section of first or second order: `y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::augment) struct Section {
    /// b0, b1, b2.
    pub(super) feedforward: [f64; 3],
    /// a1, a2.
    pub(super) feedback: [f64; 2],
    /// What becomes of a constant 1: from the design, for a sum of coefficients cancels where a frequency is far below
    /// the rate.
    pub(super) gain_at_zero: f64,
}

impl Section {
    /// What changes nothing.
    pub(super) const IDENTITY: Self = Self { feedforward: [1.0, 0.0, 0.0], feedback: [0.0; 2], gain_at_zero: 1.0 };

    /// The digital section of these coefficients, by powers of 1/z, and what it makes of a constant 1.
    pub(super) fn new(numerator: [f64; 3], denominator: [f64; 3], gain_at_zero: f64) -> Self {
        let [a0, a1, a2] = denominator;
        Self { feedforward: numerator.map(|b| b / a0), feedback: [a1 / a0, a2 / a0], gain_at_zero }
    }

    /// The bilinear transform of an analog section of second order, coefficients by powers of s, frequencies as tan(π f
    /// / rate).
    pub(super) fn of_second_order(numerator: [f64; 3], denominator: [f64; 3]) -> Self {
        // s = (1 - 1/z) / (1 + 1/z), and both sides times (1 + 1/z)^2.
        let digital = |[c0, c1, c2]: [f64; 3]| [c2 + c1 + c0, 2.0 * (c0 - c2), c2 - c1 + c0];
        Self::new(digital(numerator), digital(denominator), numerator[0] / denominator[0])
    }

    /// The bilinear transform of an analog section of first order.
    pub(super) fn of_first_order(numerator: [f64; 2], denominator: [f64; 2]) -> Self {
        let digital = |[c0, c1]: [f64; 2]| [c1 + c0, c0 - c1, 0.0];
        Self::new(digital(numerator), digital(denominator), numerator[0] / denominator[0])
    }

    /// 1 or 2; 0 of what only multiplies.
    pub(super) fn order(&self) -> usize {
        let [_, b1, b2] = self.feedforward;
        let [a1, a2] = self.feedback;
        if b2 != 0.0 || a2 != 0.0 { 2 } else { usize::from(b1 != 0.0 || a1 != 0.0) }
    }
}
