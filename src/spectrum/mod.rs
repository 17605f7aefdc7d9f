//! Windows, frames, FFTs and mel filters: the ground of every spectral feature.
//!
//! ```text
//! samples ─► Framer ─► window ─► PowerSpectrum ─► MelBank ─► ln
//!           [length]   [n_fft]   [n_fft/2 + 1]    [bands]   [bands]
//! ```
//!
//! Filters and windows are designed in `f64` and used in `f32`. Nothing here allocates once it is warm, neither for a
//! frame nor for an utterance, and a frame's bits depend on its samples alone: not on how the sound was cut into blocks.
//!
//! Our own arithmetic gives the same bits on every x86-64 processor: sums have a fixed order, no multiplication is fused
//! with an addition, and nothing is chosen at run time. Two things below us are chosen at run time, and may differ in a
//! last bit between processors: rustfft takes AVX where there is AVX, and the C library's `cos` and `log`, which serve the
//! designs, take FMA where there is FMA (the rounding to `f32` hides nearly all of that).

mod framing;
mod kaldi_mel;
mod ln;
mod mel;
mod power;
mod rows;
mod window;

pub use framing::{Edges, Framer, Framing, TooShort};
pub use kaldi_mel::{KaldiMel, Vtln};
pub use ln::{ln, ln_in_place};
pub use mel::{MelBank, MelNorm, MelScale, MelTriangles};
pub use power::{PowerSpectrum, raise};
pub use rows::{FrameFeatures, Rows, RowsError};
pub use window::{Window, WindowDesign, WindowEnds};

/// Numbers that are added side by side in every sum: what one SSE2 register holds, which every x86-64 processor has.
///
/// A sum is `LANES` partial sums in a fixed order, so that the compiler can use vectors without changing a bit.
pub(crate) const LANES: usize = 4;

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
    let [a, b, c, d, e, f, g, h] = partial;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
