//! Which sample of the file a packet starts with, from what its container says of time.

use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;

use crate::audio::Hertz;

/// The time of a track in samples at the rate that it is decoded to. Sample 0 is the first that is to be heard; what encoders
/// put in front has negative numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clock {
    rate: u32,
    /// Ticks a second, where each sample falls on a tick; none where they are too coarse (milliseconds), so that samples must
    /// be counted.
    ticks: Option<u32>,
    /// Ticks a second as the container has them.
    base_ticks: u32,
    /// Ticks of the track in front of the sound, or samples where they are counted.
    skip: i64,
    /// The tick that the track starts with: not 0 in what was cut from a longer recording. None before its first packet.
    first: Option<i64>,
    /// The tick at which the sound ends, if the container says so.
    end: Option<u64>,
    /// The sample that the track starts with: not 0 where files follow each other in one.
    base: i64,
    /// Samples counted so far.
    counted: i64,
}

impl Clock {
    pub(super) fn new(rate: Option<u32>, base: Option<TimeBase>) -> Self {
        let ticks = base.filter(|base| base.numer.get() == 1).map(|base| base.denom.get());
        let ticks = ticks.filter(|ticks| rate.is_some_and(|rate| rate > 0 && ticks.is_multiple_of(rate)));
        let rate = rate.unwrap_or(1).max(1);
        let base_ticks = base.map_or(rate, |base| base.denom.get());
        Self { rate, ticks, base_ticks, skip: 0, first: None, end: None, base: 0, counted: 0 }
    }

    /// The clock of a track whose sound starts `ticks` ticks behind its first packet.
    pub(super) fn skipping_ticks(self, ticks: i64) -> Self {
        let samples = rescale(ticks, self.base_ticks, self.rate, Rounding::Nearest);
        let skip = if self.ticks.is_some() { ticks } else { samples };
        Self { skip, counted: -samples, ..self }
    }

    /// The clock of a track whose samples are counted, and whose sound starts with sample `skip` of it.
    pub(super) fn skipping(self, skip: i64) -> Self {
        Self { skip, counted: -skip, ..self }
    }

    /// The clock of a track whose sound ends at tick `end`.
    pub(super) const fn until(mut self, end: Option<u64>) -> Self {
        self.end = end;
        self
    }

    /// The clock of a track that follows another one, which ended at sample `base`.
    pub(super) const fn following(mut self, base: i64) -> Self {
        self.base = base;
        self.counted += base;
        self
    }

    /// The tick at which a track of `ticks` ticks ends, or the sound in it if that ends earlier.
    pub(super) fn until_end(&self, ticks: u64) -> u64 {
        self.end.map_or(ticks, |end| end.min(ticks))
    }

    /// The rate of the samples.
    pub(super) const fn rate(&self) -> u32 {
        self.rate
    }

    pub(super) const fn hertz(&self) -> Hertz {
        match Hertz::new(self.rate) {
            Some(rate) => rate,
            None => ONE,
        }
    }

    /// Whether packets say which sample they start with.
    pub(super) const fn is_of_ticks(&self) -> bool {
        self.ticks.is_some()
    }

    /// Whether the track starts at its own tick 0, so that a tick tells a place in the file.
    pub(super) fn starts_at_zero(&self) -> bool {
        self.base == 0 && self.first.is_some_and(|first| first <= 0)
    }

    /// The sample at which the sound starts: packets before it hold what an encoder put in front.
    pub(super) const fn base(&self) -> i64 {
        self.base
    }

    /// The first sample of a packet at `tick`; the first packet asked about is taken for the first of the track.
    pub(super) fn start_of(&mut self, packet: &Packet) -> i64 {
        let tick = packet.pts.get();
        // Vorbis begins with a packet that only prepares for the next one.
        let primed = tick.saturating_add_unsigned(packet.trim_start.get());
        let first = *self.first.get_or_insert(if tick > 0 { primed } else { tick });
        match self.ticks {
            // The track may begin before zero, where the samples are to be dropped, but not behind it.
            Some(ticks) => self.base + rescale(tick - first.max(0) - self.skip, ticks, self.rate, Rounding::Nearest),
            None => self.counted,
        }
    }

    /// The tick at which sample `sample` falls in a track that [starts at zero](Self::starts_at_zero).
    pub(super) fn tick_of(&self, sample: i64) -> i64 {
        rescale(sample, self.rate, self.ticks.unwrap_or(self.rate), Rounding::Nearest) + self.skip
    }

    /// The sample behind the last valid one of a packet of `frames` samples; none where nothing is to be dropped from it.
    pub(super) fn end_of(&self, packet: &Packet, frames: usize) -> Option<i64> {
        let ticks = self.ticks.filter(|_| packet.trim_end.get() > 0)?;
        let padding = i64::try_from(packet.trim_end.get()).ok()?;
        // Not what the packet says of its own length: demuxers differ in whether that counts what is to be dropped.
        let length = rescale(i64::try_from(frames).ok()?, self.rate, ticks, Rounding::Nearest);
        let tick =
            packet.pts.get().checked_add(length)?.checked_sub(padding)? - self.first.unwrap_or(0).max(0) - self.skip;
        Some(self.base + rescale(tick, ticks, self.rate, Rounding::Up))
    }

    /// Whether a packet at `tick` comes behind the end.
    pub(super) fn is_over(&self, tick: i64) -> bool {
        self.end.is_some_and(|end| u64::try_from(tick).is_ok_and(|tick| tick >= end))
    }

    /// The time of `samples` samples, in ticks however coarse.
    pub(super) fn ticks(&self, samples: i64) -> i64 {
        rescale(samples, self.rate, self.base_ticks, Rounding::Nearest)
    }

    /// Ticks a second as the container has them.
    pub(super) const fn ticks_per_second(&self) -> u32 {
        self.base_ticks
    }

    /// Adds a packet of `samples` samples to the count.
    pub(super) const fn count(&mut self, samples: i64) {
        self.counted = self.counted.saturating_add(samples);
    }

    /// Counts from here on, at the rate that the decoder has and not the container.
    pub(super) const fn distrust(&mut self, rate: u32) {
        self.ticks = None;
        self.rate = rate;
    }

    /// Samples, as the decoder makes them, of a length in ticks that counts what is in front.
    pub(super) fn length(&self, ticks: u64) -> u64 {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        match self.ticks {
            Some(a_second) => rescale((ticks - self.skip).max(0), a_second, self.rate, Rounding::Up).max(0) as u64,
            None => (rescale(ticks, self.base_ticks, self.rate, Rounding::Up) - self.skip).max(0) as u64,
        }
    }
}

/// For a rate that is not known.
const ONE: Hertz = Hertz::new(1).unwrap();

#[derive(Clone, Copy)]
enum Rounding {
    Nearest,
    Up,
}

/// `number` of units of `1/from` in units of `1/to`.
fn rescale(number: i64, from: u32, to: u32, rounding: Rounding) -> i64 {
    if from == to {
        return number;
    }
    let (from, product) = (i128::from(from), i128::from(number) * i128::from(to));
    let rescaled = match rounding {
        Rounding::Nearest => (2 * product + from).div_euclid(2 * from),
        Rounding::Up => -(-product).div_euclid(from),
    };
    i64::try_from(rescaled).unwrap_or(if rescaled < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use symphonia::core::packet::PacketBuilder;
    use symphonia::core::units::{Duration, Timestamp};

    use super::*;

    /// A packet at a tick.
    fn at(tick: i64) -> Packet {
        Packet::new(0, Timestamp::new(tick), Duration::new(960), Vec::new())
    }

    fn clock(rate: u32, ticks: u32) -> Clock {
        Clock::new(Some(rate), Some(TimeBase::from_recip(NonZero::new(ticks).unwrap())))
    }

    #[test]
    fn what_an_encoder_put_in_front_comes_before_sample_zero() {
        let mut opus = clock(16_000, 48_000).skipping_ticks(312);
        assert_eq!([0, 960, 1_920].map(|tick| opus.start_of(&at(tick))), [-104, 216, 536]);
        assert_eq!(opus.tick_of(216), 960);
        let mut mp3 = clock(44_100, 44_100);
        assert_eq!([-1_105, 47].map(|tick| mp3.start_of(&at(tick))), [-1_105, 47]);
    }

    #[test]
    fn a_file_cut_from_a_longer_one_starts_at_zero_all_the_same() {
        let mut clock = clock(8_000, 8_000);
        assert_eq!([4_000, 4_192].map(|tick| clock.start_of(&at(tick))), [0, 192]);
        assert!(!clock.starts_at_zero());
        let mut vorbis = self::clock(8_000, 8_000);
        let primer = PacketBuilder::new().track_id(0).pts(Timestamp::new(4_000)).dur(Duration::new(0));
        vorbis.start_of(&primer.trim_start(Duration::new(512)).data(Vec::new()).build());
        assert_eq!(vorbis.start_of(&at(4_512)), 0);
    }

    #[test]
    fn a_clock_too_coarse_for_samples_still_tells_where_the_sound_starts() {
        let mut clock = clock(16_000, 1_000).skipping_ticks(64);
        assert_eq!(clock.start_of(&at(0)), -1_024);
        assert_eq!(clock.length(1_064), 16_000);
    }

    #[test]
    fn ticks_too_coarse_for_samples_are_not_asked() {
        let mut clock = clock(48_000, 1_000).skipping(312);
        assert!(!clock.is_of_ticks());
        assert_eq!(clock.start_of(&at(-7)), -312);
        clock.count(960);
        assert_eq!(clock.start_of(&at(13)), 648);
    }

    #[test]
    fn a_partly_valid_last_packet_ends_with_the_last_sample_that_has_begun() {
        let mut clock = clock(16_000, 48_000).skipping_ticks(312);
        clock.start_of(&at(0));
        let packet = |trim_end: u64| {
            let packet = PacketBuilder::new().track_id(0).pts(Timestamp::new(960)).dur(Duration::new(960 - trim_end));
            packet.trim_end(Duration::new(trim_end)).data(Vec::new()).build()
        };
        assert_eq!(clock.end_of(&packet(0), 320), None);
        assert_eq!(clock.end_of(&packet(600), 320), Some(336), "tick 1008 of the sound");
        assert_eq!(clock.end_of(&packet(601), 320), Some(336));
        assert_eq!(clock.end_of(&packet(603), 320), Some(335));
    }

    #[test]
    fn lengths_do_not_count_what_is_in_front() {
        assert_eq!(clock(16_000, 48_000).skipping_ticks(312).length(48_312), 16_000);
        assert_eq!(clock(16_000, 48_000).skipping_ticks(312).length(48_313), 16_001);
        assert_eq!(clock(44_100, 44_100).length(u64::MAX), i64::MAX as u64);
    }
}
