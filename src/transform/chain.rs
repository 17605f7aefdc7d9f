//! Links at work one after the other, as one.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// Numbers that a buffer between two links keeps room for from utterance to utterance: 8 MiB. One endless recording must not
/// hold its memory for the rest of the run.
pub(super) const KEPT: usize = 2 << 20;

/// Numbers that may wait between two links: a GiB, as much as a cell may hold. What one utterance needs beyond it is too long.
const MOST: usize = 1 << 28;

/// Numbers that are handed on at once, so that a link which widens frames is stopped before it has filled the memory.
const PIECE: usize = 1 << 18;

/// One link of a chain.
pub struct Link {
    at_work: Box<dyn Extract>,
    /// Numbers in a frame that it makes.
    bins: usize,
    /// What it made and the next link has not taken yet.
    made: Vec<f32>,
}

impl Link {
    /// The link that makes frames of `bins` numbers, at least one.
    #[must_use]
    pub fn new(at_work: impl Extract + 'static, bins: usize) -> Self {
        Self { at_work: Box::new(at_work), bins: bins.max(1), made: Vec::new() }
    }
}

/// `first` and the links after it as one: what each makes goes into the next.
#[must_use]
pub fn chain(first: Link, further: Vec<Link>) -> Box<dyn Extract> {
    chain_within(MOST, first, further)
}

fn chain_within(most: usize, first: Link, further: Vec<Link>) -> Box<dyn Extract> {
    let mut before = vec![first];
    before.extend(further);
    match before.pop() {
        Some(last) if !before.is_empty() => Box::new(Chain { before, last: last.at_work, most, too_long: false }),
        only => only.unwrap_or_else(|| unreachable!("it was put there")).at_work,
    }
}

struct Chain {
    /// The links but for the last.
    before: Vec<Link>,
    last: Box<dyn Extract>,
    /// Numbers that may wait between two links.
    most: usize,
    /// Whether more would have had to.
    too_long: bool,
}

impl Chain {
    /// Hands what waits behind link `number` to the next one.
    fn hand_on(&mut self, number: usize, out: &mut Vec<f32>) {
        let (done, rest) = self.before.split_at_mut(number + 1);
        let Link { bins, made, .. } = &mut done[number];
        for piece in made.chunks((PIECE / *bins).max(1) * *bins) {
            let waiting = if let Some(next) = rest.first_mut() {
                next.at_work.push(piece, &mut next.made);
                next.made.len()
            } else {
                self.last.push(piece, out);
                out.len()
            };
            if waiting > self.most {
                self.too_long = true;
                break;
            }
        }
        made.clear();
    }
}

impl Extract for Chain {
    fn begin(&mut self, draws: Draws<'_>) {
        self.too_long = false;
        for link in &mut self.before {
            link.at_work.begin(draws);
            link.made.clear();
            link.made.shrink_to(KEPT);
        }
        self.last.begin(draws);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        if self.too_long {
            return;
        }
        let first = &mut self.before[0];
        first.at_work.push(input, &mut first.made);
        for number in 0..self.before.len() {
            self.too_long |= self.before[number].made.len() > self.most;
            if self.too_long || self.before[number].at_work.needs_all() {
                return;
            }
            self.hand_on(number, out);
        }
    }

    fn needs_all(&self) -> bool {
        self.last.needs_all()
    }

    fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
        for number in 0..self.before.len() {
            if !self.too_long {
                let Link { at_work, made, .. } = &mut self.before[number];
                at_work.finish(made)?;
                self.hand_on(number, out);
            }
        }
        if self.too_long {
            for link in &mut self.before {
                link.made = Vec::new();
            }
            return Err(ExtractError::TooLong { most: self.most * size_of::<f32>() });
        }
        self.last.finish(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds its number to each value, or, if it needs all of them, their count.
    struct Add {
        number: f32,
        all: bool,
        count: usize,
    }

    impl Extract for Add {
        fn begin(&mut self, _: Draws<'_>) {
            self.count = 0;
        }

        fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
            self.count += input.len();
            out.extend(input.iter().map(|value| value + self.number));
        }

        fn needs_all(&self) -> bool {
            self.all
        }

        fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), ExtractError> {
            if self.all {
                let start = out.len() - self.count;
                for value in &mut out[start..] {
                    *value += self.count as f32;
                }
            }
            if self.count == 0 { Err(ExtractError::TooFewFrames { frames: 0, needed: 1 }) } else { Ok(()) }
        }
    }

    fn made(links: &[(f32, bool)], blocks: &[&[f32]]) -> Result<Vec<f32>, ExtractError> {
        let mut links = links.iter().map(|&(number, all)| Link::new(Add { number, all, count: 0 }, 1));
        let mut chain = chain(links.next().unwrap(), links.collect());
        let draws = Draws { seed: 0, id: "a", copy: 0, channel: 0, segment: None };
        let mut out = vec![9.0];
        chain.begin(draws);
        chain.push(&[5.0; 4], &mut Vec::new());
        chain.begin(draws);
        for block in blocks {
            chain.push(block, &mut out);
        }
        chain.finish(&mut out)?;
        Ok(out.split_off(1))
    }

    #[test]
    fn links_follow_each_other_wherever_all_frames_are_needed() {
        for all in [[false, false, false], [true, false, false], [false, true, false], [false, false, true], [true; 3]]
        {
            let links = [(1.0, all[0]), (10.0, all[1]), (100.0, all[2])];
            let counted = 3.0 * all.iter().filter(|all| **all).count() as f32;
            let expected = [111.0 + counted, 112.0 + counted, 113.0 + counted];
            assert_eq!(made(&links, &[&[0.0, 1.0, 2.0]]).unwrap(), expected);
            assert_eq!(made(&links, &[&[0.0], &[], &[1.0, 2.0]]).unwrap(), expected);
        }
        assert_eq!(made(&[(1.0, false)], &[&[1.0]]).unwrap(), [2.0]);
    }

    #[test]
    fn what_a_link_says_is_wrong_is_wrong_with_the_chain() {
        let error = ExtractError::TooFewFrames { frames: 0, needed: 1 };
        assert_eq!(made(&[(1.0, false), (1.0, true)], &[]), Err(error));
    }

    #[test]
    fn what_would_fill_the_memory_is_too_long() {
        /// A thousand numbers for each, with all of them needed or not.
        struct Widen(bool);

        impl Extract for Widen {
            fn begin(&mut self, _: Draws<'_>) {}

            fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
                out.resize(out.len() + 1_000 * input.len(), 0.0);
            }

            fn needs_all(&self) -> bool {
                self.0
            }

            fn finish(&mut self, _: &mut Vec<f32>) -> Result<(), ExtractError> {
                Ok(())
            }
        }

        let draws = Draws { seed: 0, id: "a", copy: 0, channel: 0, segment: None };
        let links = || [true, false, true].map(|all| Link::new(Widen(all), 1_000));
        let [first, second, third] = links();
        let mut chain = chain_within(1 << 19, first, vec![second, third]);
        let mut out = Vec::new();
        for _ in 0..2 {
            chain.begin(draws);
            chain.push(&[1.0], &mut out);
            let told = chain.finish(&mut out);
            assert_eq!(told, Err(ExtractError::TooLong { most: 1 << 21 }));
            out.clear();
        }
    }
}
