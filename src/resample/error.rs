//! Why two rates cannot be converted.

use thiserror::Error;

use crate::audio::Hertz;
use crate::rejects::rejects;

/// The longer side of a transform, in samples, is at most this, for buffers on the order of 100 MB. Rates up to 524,288 Hz
/// pair with each other whatever their common divisor; beyond that only headers that lie are found.
pub(super) const LONG_SIDE: u64 = 1 << 21;

/// The most numbers that the kernels of all phases may have, 64 MB of them: 44,101 to 16,000 Hz needs half a million.
pub(super) const MOST_TAPS: u64 = 1 << 24;

rejects! {
    /// Why two rates cannot be converted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
    pub enum ResampleError {
        /// The file's sample rate and the pipeline's have no common block of bearable length.
        #[error("{from} and {to} have no common block shorter than {block} samples; at most {LONG_SIDE} are supported")]
        rates_too_far: RatesTooFar {
            /// The rate of the file.
            from: Hertz,
            /// The rate asked for.
            to: Hertz,
            /// The longer side of the smallest common block, in samples.
            block: u64,
        },
        /// The kernel from the file's sample rate to the pipeline's would fill the memory.
        #[error("the kernel from {from} to {to} has {numbers} numbers; at most {MOST_TAPS} are supported")]
        kernel_too_large: KernelTooLarge {
            /// The rate of the file.
            from: Hertz,
            /// The rate asked for.
            to: Hertz,
            /// The length of its kernels, all phases together.
            numbers: u64,
        },
    }
}
