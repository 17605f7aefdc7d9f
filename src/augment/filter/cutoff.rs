//! Low pass and high pass at work.

pub(in crate::augment) use super::butterworth::Side;
use super::butterworth::one_edge;
pub(in crate::augment) use super::rolloff::check_rolloff;
use super::{Filter, Phase, within};
use crate::audio::{Range, Waveform};
use crate::augment::{Apply, AugmentError, Draw};

/// A Butterworth filter with one edge.
#[derive(Debug)]
pub(in crate::augment) struct OneEdge {
    pub(in crate::augment) side: Side,
    pub(in crate::augment) cutoff_hz: Range,
    pub(in crate::augment) rolloff_db_per_octave: Range,
    pub(in crate::augment) phase: Phase,
    pub(in crate::augment) filter: Filter,
}

impl Apply for OneEdge {
    fn apply(&mut self, sound: &mut Waveform, draw: &mut Draw<'_>) -> Result<(), AugmentError> {
        let cutoff_hz = draw.mel_number("cutoff_hz", &self.cutoff_hz);
        let rolloff = draw.multiple("rolloff_db_per_octave", &self.rolloff_db_per_octave, self.phase.step());
        let edge = within(cutoff_hz, sound.sample_rate);
        one_edge(self.side, edge, self.phase.order(rolloff), sound.sample_rate, &mut self.filter.sections);
        match self.phase {
            Phase::Minimum => self.filter.run(sound),
            Phase::Zero => self.filter.run_both_ways(sound),
        }
        Ok(())
    }
}
