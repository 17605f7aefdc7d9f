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
//! Our own arithmetic gives the same bits on every x86-64 processor: sums have a fixed order and no multiplication is fused
//! with an addition, whether the compiler's vectors are SSE2's or, chosen at run time, AVX2's. Two things below us may differ in a
//! last bit between processors: rustfft takes AVX where there is AVX, and the C library's `cos`, `log`, `exp` and `pow`, which
//! serve the designs, dither, `pyin` and powers other than 1 and 2, take FMA where there is FMA.

mod dct;
mod double;
mod framing;
mod kaldi_mel;
mod lanes;
mod left_mel;
mod ln;
mod mel;
mod power;
mod rows;
mod window;

pub use dct::Dct;
pub use double::DoubleSpectrum;
pub(crate) use double::double_plans;
pub use framing::{Edges, Framer, Framing, TooShort};
pub use kaldi_mel::{KaldiMel, Vtln};
pub(crate) use lanes::{double_sum, highest, sum};
pub use left_mel::LeftMel;
pub use ln::{Logarithm, ln, ln_in_place};
pub use mel::{LinearTriangles, MelBank, MelNorm, MelScale, MelTriangles};
pub use power::{PowerSpectrum, raise};
pub use rows::{FrameFeatures, Rows, RowsError};
pub use window::{Window, WindowDesign, WindowEnds};
