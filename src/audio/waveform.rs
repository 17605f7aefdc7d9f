//! Sound as samples.

use super::Hertz;

/// Sound in memory: one vector of samples per channel, all of one length, full scale at ±1.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Samples a second, of every channel.
    pub sample_rate: Hertz,
    /// Samples by channel: `[channels][samples]`.
    pub channels: Vec<Vec<f32>>,
}

impl Waveform {
    /// Samples per channel.
    #[must_use]
    pub fn num_samples(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }
}
