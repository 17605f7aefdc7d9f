//! The likeliest path through the pitches, voiced and not, of all frames: Viterbi's algorithm.
//!
//! A state is a pitch, voiced or not; voiced ones come first. From one frame to the next the pitch moves within a band, and
//! the voice may start or stop. librosa 0.11.0 (`sequence.viterbi`) compares every state with every other and keeps a pointer
//! for each; here a frame costs its states times the width of the band, and what is kept of a long recording is one row of
//! values a block of frames, from which the block is computed anew on the way back.

use std::f64::consts::LN_2;

/// ln of the smallest normal number, which librosa adds to each probability: what the impossible weighs.
const LN_TINY: f64 = -1_022.0 * LN_2;

/// Values in a block of frames: 8 MiB.
const BLOCK: usize = 1 << 20;
/// Frames that a block has at least, so that few rows are kept where rows are long.
const SHORTEST_BLOCK: usize = 256;

/// What was heard of the pitch in each frame: for the few pitches that may be, ln of their probability.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// Where a frame's pitches end.
    ends: Vec<usize>,
    pitches: Vec<u16>,
    ln_voiced: Vec<f32>,
    /// ln of the probability of each pitch that it is not voiced.
    ln_unvoiced: Vec<f32>,
}

impl Heard {
    pub(super) fn clear(&mut self) {
        self.ends.clear();
        self.pitches.clear();
        self.ln_voiced.clear();
        self.ln_unvoiced.clear();
    }

    /// Adds a frame: its pitches with their probabilities, each above 0, and the probability of each pitch that it is not
    /// voiced.
    pub(super) fn push(&mut self, voiced: &[(u16, f64)], unvoiced: f64) {
        self.pitches.extend(voiced.iter().map(|&(pitch, _)| pitch));
        self.ln_voiced.extend(voiced.iter().map(|&(_, probability)| ln(probability)));
        self.ln_unvoiced.push(ln(unvoiced));
        self.ends.push(self.pitches.len());
    }

    fn num_frames(&self) -> usize {
        self.ends.len()
    }

    /// Adds what was heard in `frame` to `values`, `[voiced and unvoiced, pitches]`; `likelihood` is room for `[pitches]`.
    fn add(&self, frame: usize, values: &mut [f64], likelihood: &mut [f64]) {
        let (voiced, unvoiced) = values.split_at_mut(likelihood.len());
        likelihood.fill(LN_TINY);
        let start = frame.checked_sub(1).map_or(0, |before| self.ends[before]);
        for (&pitch, &ln) in self.pitches[start..self.ends[frame]].iter().zip(&self.ln_voiced[start..]) {
            likelihood[usize::from(pitch)] = f64::from(ln);
        }
        for (value, likelihood) in voiced.iter_mut().zip(&*likelihood) {
            *value += likelihood;
        }
        let ln = f64::from(self.ln_unvoiced[frame]);
        for value in unvoiced {
            *value += ln;
        }
    }
}

fn ln(probability: f64) -> f32 {
    (probability + f64::MIN_POSITIVE).ln() as f32
}

/// Finds the path; made once for an extractor, its buffers reused.
pub(super) struct Path {
    num_pitches: usize,
    /// ln of the triangle by which a pitch moves, from the furthest upwards to the furthest downwards.
    moves: Vec<f64>,
    /// How far upwards it may move.
    upwards: usize,
    /// ln of the triangle's sum at each pitch: at the ends of the pitches, part of it is cut away.
    ln_sums: Vec<f64>,
    /// ln of the probability that the voice goes on as it is, and that it starts or stops.
    ln_stay: f64,
    ln_switch: f64,
    /// A row of values with its sums taken away, and impossible pitches at either side.
    padded: Vec<f64>,
    /// The best way to each state within its voicing.
    best: Vec<f64>,
    likelihood: Vec<f64>,
    /// The values of a block of frames, `[frames, states]`, and those with which each block starts.
    block: Vec<f64>,
    starts: Vec<f64>,
}

impl Path {
    /// Paths through `num_pitches` pitches, of which a triangle of `width` may be reached from one frame to the next.
    pub(super) fn new(num_pitches: usize, width: usize, switch: f64) -> Self {
        // librosa refuses a triangle wider than all pitches; here it is as wide as they are.
        let width = width.min(num_pitches).max(1);
        // scipy.signal.windows.triang, put where librosa.sequence.transition_local puts it: one of even width lies a pitch
        // higher where the pitches are even too.
        let height = |n: usize| 2.0 * n.min(width + 1 - n) as f64;
        let triangle: Vec<f64> = (1..=width)
            .map(|n| if width % 2 == 1 { height(n) / (width + 1) as f64 } else { (height(n) - 1.0) / width as f64 })
            .collect();
        let downwards = num_pitches - 1 - (num_pitches - width) / 2 - num_pitches / 2;
        let upwards = width - 1 - downwards;
        let sum = |pitch: usize| -> f64 {
            let lands = |n: &usize| (downwards..downwards + num_pitches).contains(&(pitch + n));
            (0..width).filter(lands).map(|n| triangle[n]).sum()
        };
        let states = 2 * num_pitches;
        Self {
            num_pitches,
            moves: triangle.iter().rev().map(|weight| weight.ln()).collect(),
            upwards,
            ln_sums: (0..num_pitches).map(|pitch| sum(pitch).ln()).collect(),
            ln_stay: (1.0 - switch).ln(),
            ln_switch: switch.ln(),
            padded: vec![f64::NEG_INFINITY; num_pitches + width - 1],
            best: vec![0.0; states],
            likelihood: vec![0.0; num_pitches],
            block: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// Hands the state of each frame, the last first, to `each`: the frame, the pitch and whether it is voiced.
    pub(super) fn find(&mut self, heard: &Heard, mut each: impl FnMut(usize, usize, bool)) {
        let (frames, states) = (heard.num_frames(), 2 * self.num_pitches);
        let Some(last) = frames.checked_sub(1) else {
            return;
        };
        let mut block = std::mem::take(&mut self.block);
        let mut starts = std::mem::take(&mut self.starts);
        let in_block = (BLOCK / states).max(SHORTEST_BLOCK);
        block.resize(in_block.min(frames) * states, 0.0);
        starts.clear();

        let first = &mut block[..states];
        first.fill(-(states as f64).ln());
        heard.add(0, first, &mut self.likelihood);
        starts.extend_from_slice(first);
        let of_block = |start: usize| start + 1..(start + in_block).min(frames);
        for start in (0..last / in_block * in_block).step_by(in_block) {
            self.fill(heard, of_block(start), &mut block);
            let at = starts.len();
            starts.resize(at + states, 0.0);
            self.step(heard, start + in_block, &block[(in_block - 1) * states..][..states], &mut starts[at..]);
            block[..states].copy_from_slice(&starts[at..]);
        }

        let mut state = None;
        for start in (0..frames).step_by(in_block).rev() {
            block[..states].copy_from_slice(&starts[start / in_block * states..][..states]);
            let after = of_block(start);
            self.fill(heard, after.clone(), &mut block);
            for (frame, row) in (start..after.end).zip(block.chunks_exact(states)).rev() {
                let found = state.map_or_else(|| highest(row), |after| self.before(row, after));
                each(frame, found % self.num_pitches, found < self.num_pitches);
                state = Some(found);
            }
        }
        (self.block, self.starts) = (block, starts);
    }

    /// The values of `frames`, behind those of the frame before them in `block`.
    fn fill(&mut self, heard: &Heard, frames: std::ops::Range<usize>, block: &mut [f64]) {
        let states = 2 * self.num_pitches;
        for (frame, number) in frames.zip(1..) {
            let (before, after) = block.split_at_mut(number * states);
            self.step(heard, frame, &before[(number - 1) * states..], &mut after[..states]);
        }
    }

    /// The values of `frame`, `after`, from those of the frame before, both `[voiced and unvoiced, pitches]`.
    fn step(&mut self, heard: &Heard, frame: usize, before: &[f64], after: &mut [f64]) {
        let Self { num_pitches, moves, upwards, ln_sums, padded, best, .. } = self;
        for (before, best) in before.chunks_exact(*num_pitches).zip(best.chunks_exact_mut(*num_pitches)) {
            let middle = padded[*upwards..].iter_mut().zip(before).zip(&*ln_sums);
            for ((padded, value), ln_sum) in middle {
                *padded = value - ln_sum;
            }
            widen(padded, moves, best);
        }
        let anywhere = before.iter().fold(f64::NEG_INFINITY, |most, &value| higher(most, value)) + LN_TINY;
        let (voiced, unvoiced) = self.best.split_at(*num_pitches);
        let (to_voiced, to_unvoiced) = after.split_at_mut(*num_pitches);
        for (value, (stay, switch)) in to_voiced.iter_mut().zip(voiced.iter().zip(unvoiced)) {
            *value = higher(higher(stay + self.ln_stay, switch + self.ln_switch), anywhere);
        }
        for (value, (stay, switch)) in to_unvoiced.iter_mut().zip(unvoiced.iter().zip(voiced)) {
            *value = higher(higher(stay + self.ln_stay, switch + self.ln_switch), anywhere);
        }
        heard.add(frame, after, &mut self.likelihood);
    }

    /// The state before `state` on the best path to it, given the values before; the lowest of equals.
    fn before(&self, values: &[f64], state: usize) -> usize {
        let (pitch, is_voiced) = (state % self.num_pitches, state < self.num_pitches);
        let from = pitch.saturating_sub(self.upwards);
        // The first move that leads here from a pitch there is.
        let moves = &self.moves[(self.upwards + from) - pitch..];
        let (mut found, mut most) = (0, f64::NEG_INFINITY);
        for (number, values) in values.chunks_exact(self.num_pitches).enumerate() {
            let ln_change = if is_voiced == (number == 0) { self.ln_stay } else { self.ln_switch };
            let ways = values[from..].iter().zip(&self.ln_sums[from..]).zip(moves);
            for (way, ((value, ln_sum), ln_move)) in ways.enumerate() {
                let value = value - ln_sum + ln_move + ln_change;
                if value > most {
                    (found, most) = (number * self.num_pitches + from + way, value);
                }
            }
        }
        let anywhere = highest(values);
        if values[anywhere] + LN_TINY > most { anywhere } else { found }
    }
}

/// The best of each value of `padded` and those behind it, as many as there are `moves`, each with its move added.
fn widen(padded: &[f64], moves: &[f64], best: &mut [f64]) {
    /// Values that are worked on side by side: what the registers hold.
    const SIDE: usize = 8;
    let mut groups = best.chunks_exact_mut(SIDE);
    let mut start = 0;
    for group in &mut groups {
        let mut most = [f64::NEG_INFINITY; SIDE];
        for (values, ln_move) in padded[start..].windows(SIDE).zip(moves) {
            for (most, value) in most.iter_mut().zip(values) {
                *most = higher(*most, value + ln_move);
            }
        }
        group.copy_from_slice(&most);
        start += SIDE;
    }
    for (number, best) in groups.into_remainder().iter_mut().enumerate() {
        let ways = padded[start + number..].iter().zip(moves);
        *best = ways.fold(f64::NEG_INFINITY, |most, (value, ln_move)| higher(most, value + ln_move));
    }
}

/// The higher of two, one instruction; neither is NaN.
fn higher(one: f64, other: f64) -> f64 {
    if one > other { one } else { other }
}

/// The number of the first of the highest values.
fn highest(values: &[f64]) -> usize {
    let mut highest = 0;
    for (number, value) in values.iter().enumerate() {
        if *value > values[highest] {
            highest = number;
        }
    }
    highest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path by its definition: every state compared with every other, in `librosa.sequence`'s words.
    fn by_definition(heard: &Heard, num_pitches: usize, width: usize, switch: f64) -> Vec<usize> {
        let n = num_pitches as isize;
        let mut transition = vec![vec![0.0; num_pitches]; num_pitches];
        for (i, row) in transition.iter_mut().enumerate() {
            for m in 0..width {
                let bend = (m + 1).min(width - m) as f64;
                let weight =
                    if width % 2 == 1 { 2.0 * bend / (width + 1) as f64 } else { (2.0 * bend - 1.0) / width as f64 };
                let landed = (n - width as isize) / 2 + m as isize + n / 2 + i as isize + 1;
                let j = landed.rem_euclid(n);
                let half = width as isize / 2;
                if (i as isize - half..=i as isize + half).contains(&j) {
                    row[j as usize] = weight;
                }
            }
            let sum: f64 = row.iter().sum();
            for weight in row.iter_mut() {
                *weight /= sum;
            }
        }
        let states = 2 * num_pitches;
        let way = |from: usize, to: usize| {
            let change = if from / num_pitches == to / num_pitches { 1.0 - switch } else { switch };
            (change * transition[from % num_pitches][to % num_pitches] + f64::MIN_POSITIVE).ln()
        };
        let mut likelihood = vec![0.0; num_pitches];
        let mut values = vec![-(states as f64).ln(); states];
        heard.add(0, &mut values, &mut likelihood);
        let mut pointers = Vec::new();
        for frame in 1..heard.num_frames() {
            let from: Vec<usize> = (0..states)
                .map(|to| highest(&(0..states).map(|from| values[from] + way(from, to)).collect::<Vec<_>>()))
                .collect();
            values = from.iter().enumerate().map(|(to, &from)| values[from] + way(from, to)).collect();
            heard.add(frame, &mut values, &mut likelihood);
            pointers.push(from);
        }
        let mut path = vec![highest(&values)];
        for from in pointers.iter().rev() {
            path.push(from[path[path.len() - 1]]);
        }
        path.reverse();
        path
    }

    /// Frames in which a pitch wanders, jumps and goes away.
    fn wandering(frames: usize, num_pitches: usize) -> Heard {
        let mut heard = Heard::default();
        let mut number = 12_345_u32;
        let mut random = move || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(number >> 8) / f64::from(1 << 24)
        };
        for frame in 0..frames {
            let mut voiced: Vec<(u16, f64)> = Vec::new();
            if frame % 19 < 13 {
                let centre = (frame / 4 + frame / 50 * 11) % num_pitches;
                voiced.push((centre as u16, 0.5 + 0.4 * random()));
                let other = (random() * num_pitches as f64) as usize;
                if other != centre {
                    voiced.push((other as u16, 0.05 * random() + 1e-6));
                }
            }
            let sum: f64 = voiced.iter().map(|&(_, probability)| probability).sum();
            heard.push(&voiced, (1.0 - sum) / num_pitches as f64);
        }
        heard
    }

    #[test]
    fn the_path_is_that_of_the_definition() {
        for (num_pitches, width) in [(40, 5), (41, 7), (40, 8), (41, 8), (33, 1), (17, 17), (16, 14)] {
            let heard = wandering(200, num_pitches);
            let mut path = Path::new(num_pitches, width, 0.01);
            let mut found = vec![0; 200];
            path.find(&heard, |frame, pitch, voiced| found[frame] = pitch + if voiced { 0 } else { num_pitches });
            let expected = by_definition(&heard, num_pitches, width, 0.01);
            // Of ways equally good, rounding takes one or the other: only those of no voice are.
            let same = found
                .iter()
                .zip(&expected)
                .filter(|(found, expected)| found == expected || (**found >= num_pitches && **expected >= num_pitches));
            assert_eq!(same.count(), 200, "{num_pitches} {width}:\n{found:?}\n{expected:?}");
            let voiced = found.iter().filter(|&&state| state < num_pitches).count();
            assert!((5..190).contains(&voiced), "{num_pitches} {width}: {voiced} are voiced");
        }
    }

    #[test]
    fn a_long_path_found_in_blocks_is_that_found_in_one() {
        // Rows so long that blocks have their fewest frames, and frames that are not whole blocks.
        let (num_pitches, frames) = (2_100, 2 * SHORTEST_BLOCK + 50);
        let heard = wandering(frames, num_pitches);
        let mut path = Path::new(num_pitches, 9, 0.01);
        let mut found = vec![(0, false); frames];
        path.find(&heard, |frame, pitch, voiced| found[frame] = (pitch, voiced));
        // The values of all frames in one block.
        let states = 2 * num_pitches;
        let mut all = vec![0.0; frames * states];
        all[..states].fill(-(states as f64).ln());
        heard.add(0, &mut all[..states], &mut vec![0.0; num_pitches]);
        path.fill(&heard, 1..frames, &mut all);
        let mut state = highest(&all[(frames - 1) * states..]);
        for frame in (0..frames).rev() {
            assert_eq!(found[frame], (state % num_pitches, state < num_pitches), "{frame}");
            if let Some(before) = frame.checked_sub(1) {
                state = path.before(&all[before * states..][..states], state);
            }
        }
    }
}
