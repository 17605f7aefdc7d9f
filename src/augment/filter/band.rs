//! Band pass and band stop at work.

pub(in crate::augment) use super::butterworth::Inside;
use super::butterworth::two_edges;
use super::rolloff::check_rolloff;
use super::{Filter, Phase, within};
use crate::audio::{Hertz, Range, Waveform};
use crate::augment::{Apply, AugmentError, Draw};
use crate::transform::SettingError;

/// A Butterworth filter with two edges.
#[derive(Debug)]
pub(in crate::augment) struct Band {
    pub(in crate::augment) inside: Inside,
    pub(in crate::augment) centre_hz: Range,
    pub(in crate::augment) bandwidth_fraction: Range,
    pub(in crate::augment) rolloff_db_per_octave: Range,
    pub(in crate::augment) phase: Phase,
    pub(in crate::augment) filter: Filter,
}

impl Band {
    /// Checks settings of these names.
    pub(in crate::augment) fn check(
        centre_hz: &Range,
        bandwidth_fraction: &Range,
        rolloff_db_per_octave: &Range,
        phase: Phase,
    ) -> Result<(), SettingError> {
        SettingError::unless_all_within("centre_hz", centre_hz, 1.0, 384_000.0)?;
        SettingError::unless_all_within("bandwidth_fraction", bandwidth_fraction, 0.001, 1.999)?;
        check_rolloff(rolloff_db_per_octave, phase)
    }
}

impl Apply for Band {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let centre = draw.mel_number("centre_hz", &self.centre_hz);
        let bandwidth = centre * draw.number("bandwidth_fraction", &self.bandwidth_fraction);
        let rolloff = draw.multiple("rolloff_db_per_octave", &self.rolloff_db_per_octave, self.phase.step());
        let edges_hz = [centre - bandwidth / 2.0, centre + bandwidth / 2.0];
        let order = self.phase.order(rolloff);
        if design(self.inside, edges_hz, order, sound.sample_rate, &mut self.filter) {
            match self.phase {
                Phase::Minimum => self.filter.run(sound),
                Phase::Zero => self.filter.run_both_ways(sound),
            }
        }
        Ok(())
    }
}

/// Designs a filter with two edges, and says whether any of its band lies below the Nyquist frequency.
pub(in crate::augment) fn design(
    inside: Inside,
    edges_hz: [f64; 2],
    order: usize,
    rate: Hertz,
    filter: &mut Filter,
) -> bool {
    let [low, high] = edges_hz.map(|edge| within(edge, rate));
    if low < high {
        two_edges(inside, [low, high], order, rate, &mut filter.sections);
    }
    low < high
}
