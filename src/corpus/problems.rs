//! Everything that is wrong with a corpus, said at once: whoever repairs a list wants all of its bad lines.

use super::CorpusError;

/// So many problems are told one by one, and the rest are counted.
const TOLD: usize = 20;

/// What was found wrong so far.
#[derive(Default)]
pub(super) struct Problems {
    told: Vec<CorpusError>,
    more: u64,
}

impl Problems {
    pub(super) fn add(&mut self, problem: CorpusError) {
        if self.told.len() < TOLD { self.told.push(problem) } else { self.more += 1 }
    }

    /// Nothing, if nothing was wrong.
    pub(super) fn none(mut self) -> Result<(), CorpusError> {
        match self.told.len() {
            0 => Ok(()),
            1 => Err(self.told.remove(0)),
            _ => Err(CorpusError::Many { problems: self.told, more: self.more }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::corpus::Place;

    fn of(count: u64) -> Result<(), CorpusError> {
        let mut problems = Problems::default();
        (1..=count).for_each(|line| problems.add(CorpusError::malformed(Place::line(Path::new("text"), line), "bad")));
        problems.none()
    }

    #[test]
    fn problems_are_told_one_a_line_and_the_rest_are_counted() {
        assert!(of(0).is_ok());
        assert_eq!(of(1).unwrap_err().to_string(), "`text`, line 1: bad");
        assert_eq!(of(2).unwrap_err().to_string(), "2 problems:\n  `text`, line 1: bad\n  `text`, line 2: bad");
        let message = of(23).unwrap_err().to_string();
        assert!(message.starts_with("23 problems:\n"), "{message}");
        assert!(message.ends_with("\n  `text`, line 20: bad\n  and 3 more"), "{message}");
    }
}
