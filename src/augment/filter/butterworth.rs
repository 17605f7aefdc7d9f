//! Butterworth's filters (1930): as flat as an order allows where they pass, -3 dB at their edges.
//!
//! The poles of the prototype stand evenly on the left half of the unit circle; edges are warped by tan(π f / rate) and
//! the analog sections brought over by the bilinear transform. The same filters as `butter` of scipy, which pairs poles
//! and zeros otherwise.

use std::f64::consts::PI;

use super::Section;
use crate::audio::Hertz;

/// Which side of one edge passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::augment) enum Side {
    /// Below it.
    Low,
    /// Above it.
    High,
}

/// What becomes of the band between two edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::augment) enum Inside {
    /// It passes.
    Passes,
    /// It is stopped.
    Stops,
}

/// Puts the filter of `order` with one edge, below the Nyquist frequency, in place of `sections`.
pub(super) fn one_edge(side: Side, edge_hz: f64, order: usize, rate: Hertz, sections: &mut Vec<Section>) {
    let edge = warped(edge_hz, rate);
    sections.clear();
    if order % 2 == 1 {
        let numerator = match side {
            Side::Low => [edge, 0.0],
            Side::High => [0.0, 1.0],
        };
        sections.push(Section::of_first_order(numerator, [edge, 1.0]));
    }
    for (real, _) in pole_pairs(order) {
        let numerator = match side {
            Side::Low => [edge * edge, 0.0, 0.0],
            Side::High => [0.0, 0.0, 1.0],
        };
        sections.push(Section::of_second_order(numerator, [edge * edge, -2.0 * real * edge, 1.0]));
    }
}

/// Puts the filter with two edges, below the Nyquist frequency, in place of `sections`. `order` is that of the
/// prototype, which a band doubles.
pub(super) fn two_edges(inside: Inside, edges_hz: [f64; 2], order: usize, rate: Hertz, sections: &mut Vec<Section>) {
    let [low, high] = edges_hz.map(|edge| warped(edge, rate));
    let (square, width) = (low * high, high - low);
    let numerator = match inside {
        Inside::Passes => [0.0, width, 0.0],
        Inside::Stops => [square, 0.0, 1.0],
    };
    sections.clear();
    if order % 2 == 1 {
        sections.push(Section::of_second_order(numerator, [square, width, 1.0]));
    }
    for (real, imaginary) in pole_pairs(order) {
        // A pole p of the prototype becomes the roots of s^2 - p width s + square; the smaller root from the product of
        // both, where a difference would cancel.
        let half = (real * width / 2.0, imaginary * width / 2.0);
        let root = square_root((half.0 * half.0 - half.1 * half.1 - square, 2.0 * half.0 * half.1));
        let sign = if half.0 * root.0 + half.1 * root.1 < 0.0 { -1.0 } else { 1.0 };
        let larger = (half.0 + sign * root.0, half.1 + sign * root.1);
        let larger_square = larger.0 * larger.0 + larger.1 * larger.1;
        let ratio = square / larger_square;
        sections.push(Section::of_second_order(numerator, [larger_square, -2.0 * larger.0, 1.0]));
        sections.push(Section::of_second_order(numerator, [square * ratio, -2.0 * larger.0 * ratio, 1.0]));
    }
}

fn warped(hertz: f64, rate: Hertz) -> f64 {
    (PI * hertz / f64::from(rate.get())).tan()
}

/// The poles of the prototype above the real axis.
fn pole_pairs(order: usize) -> impl Iterator<Item = (f64, f64)> {
    (0..order / 2).map(move |pair| {
        let (sin, cos) = (PI * (2 * pair + 1) as f64 / (2 * order) as f64).sin_cos();
        (-sin, cos)
    })
}

/// A square root of a complex number.
fn square_root((real, imaginary): (f64, f64)) -> (f64, f64) {
    let length = real.hypot(imaginary);
    let root = |square: f64| square.max(0.0).sqrt();
    (root(f64::midpoint(length, real)), root(f64::midpoint(length, -real)).copysign(imaginary))
}
