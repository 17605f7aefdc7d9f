//! Sound cut into overlapping frames, as it comes in.

use std::num::NonZeroUsize;

use thiserror::Error;

/// What frames see beyond the ends of the sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Nothing: the first frame starts with the first sample, and a frame that does not fit is left out.
    Snip,
    /// Kaldi's `snip_edges=false`: frame `t` is centred on (t + ½)·hop, and beyond an end the sound runs backwards, its last
    /// sample twice: `c b a | a b c`. Sounds shorter than half a frame are mirrored again and again.
    Mirror,
    /// Frame `t` is centred on t·hop, and there is silence outside: `0 0 0 | a b c`.
    Zero,
    /// Frame `t` is centred on t·hop, and beyond an end the sound runs backwards, its last sample once: `d c b | a b c d`.
    Reflect,
    /// Frame `t` is centred on t·hop, and the first and last samples are held: `a a a | a b c`.
    Replicate,
}

/// How sound is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing {
    /// Samples in a frame.
    pub length: NonZeroUsize,
    /// Samples from the start of a frame to the start of the next.
    pub hop: NonZeroUsize,
    /// What lies beyond the ends.
    pub edges: Edges,
}

/// There is too little sound for one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{num_samples} samples are too few: one frame needs {needed}")]
pub struct TooShort {
    /// What there is.
    pub num_samples: u64,
    /// What the first frame needs.
    pub needed: u64,
}

impl Framing {
    /// How many frames `num_samples` samples give.
    #[must_use]
    pub fn num_frames(&self, num_samples: u64) -> u64 {
        let (length, hop) = (self.length.get() as u64, self.hop.get() as u64);
        if num_samples < self.shortest() {
            return 0;
        }
        match self.edges {
            Edges::Snip => 1 + (num_samples - length) / hop,
            Edges::Mirror => num_samples.saturating_add(hop / 2) / hop,
            Edges::Zero | Edges::Reflect | Edges::Replicate => {
                1 + (num_samples.saturating_add(2 * (length / 2)) - length) / hop
            }
        }
    }

    /// The fewest samples that give a frame.
    #[must_use]
    pub fn shortest(&self) -> u64 {
        let (length, hop) = (self.length.get() as u64, self.hop.get() as u64);
        match self.edges {
            Edges::Snip => length,
            Edges::Mirror => hop - hop / 2,
            Edges::Zero | Edges::Replicate => 1,
            // The reflection leaves the end sample out, so it needs one sample more than it fills.
            Edges::Reflect => length / 2 + 1,
        }
    }

    /// Where the first frame starts, in samples before the sound; negative where the sound starts first.
    fn lead(&self) -> isize {
        let (length, hop) = (self.length.get() as isize, self.hop.get() as isize);
        match self.edges {
            Edges::Snip => 0,
            Edges::Mirror => length / 2 - hop / 2,
            Edges::Zero | Edges::Reflect | Edges::Replicate => length / 2,
        }
    }

    /// How many samples must be known before the first frame's part before the sound is.
    fn lookahead(&self) -> usize {
        let lead = self.lead().max(0) as usize;
        match self.edges {
            Edges::Snip | Edges::Zero => 0,
            Edges::Mirror => lead,
            Edges::Reflect => lead + 1,
            Edges::Replicate => 1,
        }
    }

    /// How many of the latest samples the part after the sound may be made of: frames reach half their length beyond it,
    /// and a reflection leaves out the end sample.
    fn lookback(&self) -> usize {
        self.length.get() / 2 + 1
    }

    /// The sample that stands at `position` of a sound of `num_samples`, where it is outside; none for silence.
    fn outside(&self, position: i64, num_samples: i64) -> Option<i64> {
        match self.edges {
            Edges::Snip | Edges::Zero => None,
            Edges::Mirror => {
                let turned = position.rem_euclid(2 * num_samples);
                Some(turned.min(2 * num_samples - 1 - turned))
            }
            Edges::Reflect => Some(if position < 0 { -position } else { 2 * (num_samples - 1) - position }),
            Edges::Replicate => Some(position.clamp(0, num_samples - 1)),
        }
    }
}

/// How many samples are taken in before frames are cut: large enough that moving the buffer costs nothing, small enough
/// that it stays in the nearest cache.
const BLOCK: usize = 4_096;

/// Cuts one utterance after the other into frames. How the sound is cut into blocks changes no frame.
#[derive(Debug, Clone)]
pub struct Framer {
    framing: Framing,
    /// The latest samples, with what lies before the sound in front of them and, at the end, what lies after it behind.
    buffer: Vec<f32>,
    /// Where in the buffer the next frame starts; beyond its end where the hop is longer than a frame.
    next: usize,
    num_samples: u64,
    num_frames: u64,
    /// Whether what lies before the sound is in the buffer.
    opened: bool,
}

impl Framer {
    /// A framer at the start of an utterance.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, buffer: Vec::new(), next: 0, num_samples: 0, num_frames: 0, opened: false }
    }

    /// Starts an utterance and forgets the one before.
    pub fn begin(&mut self) {
        self.buffer.clear();
        (self.next, self.num_samples, self.num_frames, self.opened) = (0, 0, 0, false);
    }

    /// Takes the next samples and hands each frame that they complete, `[length]`, to `each`.
    pub fn push(&mut self, samples: &[f32], mut each: impl FnMut(&[f32])) {
        for block in samples.chunks(BLOCK) {
            self.buffer.extend_from_slice(block);
            self.num_samples += block.len() as u64;
            if !self.opened {
                if self.buffer.len() < self.framing.lookahead() {
                    continue;
                }
                self.open();
            }
            self.cut(u64::MAX, &mut each);
            self.forget();
        }
    }

    /// Ends the utterance and hands its last frames to `each`.
    ///
    /// # Errors
    ///
    /// There was too little sound for one frame.
    pub fn finish(&mut self, mut each: impl FnMut(&[f32])) -> Result<(), TooShort> {
        let total = self.framing.num_frames(self.num_samples);
        if total == 0 {
            return Err(TooShort { num_samples: self.num_samples, needed: self.framing.shortest() });
        }
        if !self.opened {
            self.open();
        }
        if let Some(further) = (total - self.num_frames).checked_sub(1) {
            let end = self.next + further as usize * self.framing.hop.get() + self.framing.length.get();
            self.close(end);
            self.cut(total, &mut each);
        }
        Ok(())
    }

    /// Puts what lies before the sound in front of the buffer, which holds all samples so far.
    fn open(&mut self) {
        self.opened = true;
        let Ok(lead) = usize::try_from(self.framing.lead()) else {
            self.next = self.framing.lead().unsigned_abs();
            return;
        };
        let known = self.buffer.len();
        self.buffer.resize(known + lead, 0.0);
        self.buffer.copy_within(..known, lead);
        for before in 0..lead {
            let sample = self.framing.outside(before as i64 - lead as i64, known as i64);
            self.buffer[before] = sample.map_or(0.0, |sample| self.buffer[lead + sample as usize]);
        }
    }

    /// Puts what lies after the sound behind the buffer, up to `end`.
    fn close(&mut self, end: usize) {
        let sound_end = self.buffer.len();
        let num_samples = self.num_samples as i64;
        for after in 0..end.saturating_sub(sound_end) as i64 {
            let sample = self.framing.outside(num_samples + after, num_samples);
            self.buffer.push(sample.map_or(0.0, |sample| self.buffer[sound_end - (num_samples - sample) as usize]));
        }
    }

    /// Hands over the frames that are whole, up to the utterance's frame number `total`.
    fn cut(&mut self, total: u64, each: &mut impl FnMut(&[f32])) {
        let (length, hop) = (self.framing.length.get(), self.framing.hop.get());
        while self.num_frames < total
            && let Some(frame) = self.buffer.get(self.next..self.next + length)
        {
            each(frame);
            self.next = self.next.saturating_add(hop);
            self.num_frames += 1;
        }
    }

    /// Drops the samples that no frame needs any more, once there is a block of them.
    fn forget(&mut self) {
        let done = self.next.min(self.buffer.len().saturating_sub(self.framing.lookback()));
        if done >= BLOCK {
            self.buffer.drain(..done);
            self.next -= done;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Edges; 5] = [Edges::Snip, Edges::Mirror, Edges::Zero, Edges::Reflect, Edges::Replicate];

    fn framing(length: usize, hop: usize, edges: Edges) -> Framing {
        Framing { length: NonZeroUsize::new(length).unwrap(), hop: NonZeroUsize::new(hop).unwrap(), edges }
    }

    fn frames(framing: Framing, blocks: &[&[f32]]) -> Result<Vec<Vec<f32>>, TooShort> {
        let mut framer = Framer::new(framing);
        let mut found = Vec::new();
        // A first utterance, given up half-way, must leave no trace.
        framer.push(&[9.0; 1_000], |_| ());
        framer.begin();
        for block in blocks {
            framer.push(block, |frame| found.push(frame.to_vec()));
        }
        framer.finish(|frame| found.push(frame.to_vec()))?;
        Ok(found)
    }

    /// The frames by their definition: each sample looked up in the whole sound.
    fn frames_by_definition(framing: Framing, sound: &[f32]) -> Vec<Vec<f32>> {
        let n = sound.len() as i64;
        let sample = |position: i64| match framing.edges {
            _ if (0..n).contains(&position) => sound[position as usize],
            Edges::Snip | Edges::Zero => 0.0,
            Edges::Replicate => sound[position.clamp(0, n - 1) as usize],
            Edges::Reflect => sound[if position < 0 { -position } else { 2 * n - 2 - position } as usize],
            Edges::Mirror => {
                // Kaldi, feat/feature-window.cc, ExtractWindow.
                let mut position = position;
                while !(0..n).contains(&position) {
                    position = if position < 0 { -position - 1 } else { 2 * n - 1 - position };
                }
                sound[position as usize]
            }
        };
        let (length, hop) = (framing.length.get() as i64, framing.hop.get() as i64);
        let first = match framing.edges {
            Edges::Snip => 0,
            Edges::Mirror => hop / 2 - length / 2,
            Edges::Zero | Edges::Reflect | Edges::Replicate => -(length / 2),
        };
        (0..framing.num_frames(sound.len() as u64) as i64)
            .map(|t| (0..length).map(|n| sample(first + t * hop + n)).collect())
            .collect()
    }

    #[test]
    fn the_edges_are_as_their_documentation_draws_them() {
        let sound = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let first = |edges| frames(framing(6, 2, edges), &[&sound]).unwrap()[0].clone();
        assert_eq!(first(Edges::Snip), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(first(Edges::Mirror), [2.0, 1.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(first(Edges::Zero), [0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(first(Edges::Reflect), [4.0, 3.0, 2.0, 1.0, 2.0, 3.0]);
        assert_eq!(first(Edges::Replicate), [1.0, 1.0, 1.0, 1.0, 2.0, 3.0]);
    }

    #[test]
    fn frame_counts_are_those_of_the_peers() {
        let counts = |edges, length| framing(length, 160, edges).num_frames(16_000);
        assert_eq!(counts(Edges::Snip, 400), 98);
        assert_eq!(counts(Edges::Mirror, 400), 100);
        assert_eq!(counts(Edges::Reflect, 512), 101);
    }

    #[test]
    fn too_little_sound_says_how_much_there_should_be() {
        for (edges, needed) in ALL.into_iter().zip([25, 5, 1, 13, 1]) {
            let framing = framing(25, 10, edges);
            assert_eq!(framing.shortest(), needed);
            let short = vec![0.5; needed as usize - 1];
            assert_eq!(frames(framing, &[&short]), Err(TooShort { num_samples: needed - 1, needed }), "{edges:?}");
            assert!(!frames(framing, &[&vec![0.5; needed as usize]]).unwrap().is_empty(), "{edges:?}");
        }
    }

    proptest! {
        #[test]
        fn frames_are_those_of_the_definition_however_the_sound_is_cut(
            length in 1_usize..40,
            hop in 1_usize..60,
            edges in prop::sample::select(ALL.to_vec()),
            num_samples in 0_usize..300,
            cuts in prop::collection::vec(0_usize..300, 0..6),
        ) {
            let framing = framing(length, hop, edges);
            let sound: Vec<f32> = (1..=num_samples).map(|n| n as f32).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(num_samples)).collect();
            cuts.sort_unstable();
            let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([num_samples]).collect();
            let blocks: Vec<&[f32]> = bounds.windows(2).map(|pair| &sound[pair[0]..pair[1]]).collect();
            match frames(framing, &blocks) {
                Ok(frames) => prop_assert_eq!(frames, frames_by_definition(framing, &sound)),
                Err(_) => prop_assert!((num_samples as u64) < framing.shortest()),
            }
        }

        #[test]
        fn long_sounds_are_cut_as_short_ones(hop in 1_usize..20_000, edges in prop::sample::select(ALL.to_vec())) {
            let framing = framing(700, hop, edges);
            let sound: Vec<f32> = (0..30_000_u16).map(f32::from).collect();
            let blocks: Vec<&[f32]> = sound.chunks(7_001).collect();
            prop_assert_eq!(frames(framing, &blocks).unwrap(), frames_by_definition(framing, &sound));
        }
    }
}
