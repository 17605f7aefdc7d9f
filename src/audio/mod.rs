//! Ground: what a recording is, in samples, hertz and seconds.

pub(crate) mod g711;
#[cfg(test)]
pub(crate) mod golden;
mod range;
pub(crate) mod silence;
mod units;
mod waveform;
mod words;

pub use range::{Range, RangeError};
pub use units::{Hertz, Seconds};
pub use waveform::Waveform;
pub use words::Words;
