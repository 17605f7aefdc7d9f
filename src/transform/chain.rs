//! Links at work one after the other, as one.

use super::{Extract, ExtractError};
use crate::seed::Draws;

/// Numbers that a buffer between two links keeps room for from utterance to utterance: 8 MiB. One endless recording must not
/// hold its memory for the rest of the run.
pub(super) const KEPT: usize = 2 << 20;

/// The links in this order as one: what the first makes goes into the second, and so on.
#[must_use]
pub fn chain(mut links: Vec<Box<dyn Extract>>) -> Box<dyn Extract> {
    match links.pop() {
        Some(only) if links.is_empty() => only,
        last => {
            let before = links.into_iter().map(|link| (link, Vec::new())).collect();
            Box::new(Chain { before, last: last.unwrap_or_else(|| unreachable!("a chain has a link")) })
        }
    }
}

struct Chain {
    /// The links but for the last, each with what it made and the next has not taken yet.
    before: Vec<(Box<dyn Extract>, Vec<f32>)>,
    last: Box<dyn Extract>,
}

impl Chain {
    /// Hands what waits behind link `number` to the next one.
    fn hand_on(&mut self, number: usize, out: &mut Vec<f32>) {
        let (done, rest) = self.before.split_at_mut(number + 1);
        let made = &mut done[number].1;
        match rest.first_mut() {
            Some((next, buffer)) => next.push(made, buffer),
            None => self.last.push(made, out),
        }
        made.clear();
    }
}

impl Extract for Chain {
    fn begin(&mut self, draws: Draws<'_>) {
        for (link, made) in &mut self.before {
            link.begin(draws);
            made.clear();
            made.shrink_to(KEPT);
        }
        self.last.begin(draws);
    }

    fn push(&mut self, input: &[f32], out: &mut Vec<f32>) {
        let (first, made) = &mut self.before[0];
        first.push(input, made);
        for number in 0..self.before.len() {
            if self.before[number].0.needs_all() {
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
            let (link, made) = &mut self.before[number];
            link.finish(made)?;
            self.hand_on(number, out);
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
        let links = links.iter().map(|&(number, all)| Box::new(Add { number, all, count: 0 }) as Box<dyn Extract>);
        let mut chain = chain(links.collect());
        let draws = Draws { seed: 0, id: "a", copy: 0, channel: 0 };
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
}
