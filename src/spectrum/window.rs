//! Window functions, designed in `f64`.

use std::f64::consts::{PI, TAU};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape of a window. `N` below is the window's length, or one less where it is symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Kaldi's own: Hann to the power 0.85, a little wider.
    Povey,
    /// ½ − ½·cos(2πn/N). Kaldi calls it `hanning`.
    Hann,
    /// 0.54 − 0.46·cos(2πn/N).
    Hamming,
    /// a − ½·cos(2πn/N) + (½ − a)·cos(4πn/N), with a = 0.42 unless another is given.
    Blackman,
    /// One everywhere.
    Rectangular,
    /// sin(πn/N).
    Sine,
}

/// Where a window's second zero lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEnds {
    /// One sample after the end, so that copies of the window at a fitting hop add up to a constant: for STFTs.
    Periodic,
    /// At the last sample: the window reads the same both ways, as Kaldi's do.
    Symmetric,
}

/// A window but for its length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowDesign {
    /// The shape.
    pub window: Window,
    /// Where it ends.
    pub ends: WindowEnds,
    /// The constant term of a Blackman window; of no effect on the others.
    pub blackman_coeff: f64,
}

impl WindowDesign {
    /// The constant term of the Blackman window as everybody uses it (Blackman and Tukey, 1958, rounded to two digits).
    pub const BLACKMAN: f64 = 0.42;

    /// The window's `length` coefficients, at most 1.
    #[must_use]
    pub fn coefficients(&self, length: usize) -> Vec<f64> {
        let period = match self.ends {
            WindowEnds::Periodic => length,
            WindowEnds::Symmetric => length.saturating_sub(1),
        };
        if period == 0 {
            return vec![1.0; length];
        }
        (0..length).map(|n| self.at(n as f64 / period as f64)).collect()
    }

    /// The window at `turn`, 0 at its start and 1 at its end.
    fn at(&self, turn: f64) -> f64 {
        let hann = 0.5 - 0.5 * (TAU * turn).cos();
        match self.window {
            // Kaldi, feat/feature-window.cc: `pow(0.5 - 0.5 * cos(a * i_fl), 0.85)`.
            Window::Povey => hann.powf(0.85),
            Window::Hann => hann,
            Window::Hamming => 0.54 - 0.46 * (TAU * turn).cos(),
            Window::Blackman => {
                let a = self.blackman_coeff;
                a - 0.5 * (TAU * turn).cos() + (0.5 - a) * (2.0 * TAU * turn).cos()
            }
            Window::Rectangular => 1.0,
            Window::Sine => (PI * turn).sin(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Window; 6] =
        [Window::Povey, Window::Hann, Window::Hamming, Window::Blackman, Window::Rectangular, Window::Sine];

    fn design(window: Window, ends: WindowEnds) -> WindowDesign {
        WindowDesign { window, ends, blackman_coeff: WindowDesign::BLACKMAN }
    }

    #[test]
    fn a_symmetric_window_reads_the_same_both_ways_and_peaks_at_one() {
        for window in ALL {
            let coefficients = design(window, WindowEnds::Symmetric).coefficients(401);
            for (forth, back) in coefficients.iter().zip(coefficients.iter().rev()) {
                assert!((forth - back).abs() < 1e-12, "{window:?}");
            }
            assert!((coefficients[200] - 1.0).abs() < 1e-12, "{window:?}");
        }
    }

    #[test]
    fn a_periodic_window_is_the_longer_symmetric_one_without_its_last_sample() {
        for window in ALL {
            let periodic = design(window, WindowEnds::Periodic).coefficients(400);
            let symmetric = design(window, WindowEnds::Symmetric).coefficients(401);
            assert_eq!(periodic, symmetric[..400], "{window:?}");
        }
    }

    #[test]
    fn periodic_hann_windows_at_half_overlap_add_up_to_one() {
        let window = design(Window::Hann, WindowEnds::Periodic).coefficients(512);
        for n in 0..256 {
            assert!((window[n] + window[n + 256] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn the_smallest_windows_have_values() {
        for window in ALL {
            for ends in [WindowEnds::Periodic, WindowEnds::Symmetric] {
                for length in 0..4 {
                    let coefficients = design(window, ends).coefficients(length);
                    assert_eq!(coefficients.len(), length);
                    assert!(coefficients.iter().all(|coefficient| coefficient.is_finite()));
                }
            }
        }
    }
}
