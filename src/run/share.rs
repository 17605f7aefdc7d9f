//! The part of a plan's shards that one of several processes makes.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// `I/N`: every N-th shard from shard I on, I counted from 0. The N shares of a plan are disjoint and cover it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    index: usize,
    count: usize,
}

impl Share {
    /// All shards.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Whether the share holds `shard`.
    #[must_use]
    pub const fn holds(self, shard: usize) -> bool {
        shard % self.count == self.index
    }

    /// The number of shares that the plan is cut into.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// Why a text is no share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareError {
    /// It is not of the form `I/N`.
    #[error("a worker is written I/N, such as 0/4")]
    Form,
    /// There is no such worker.
    #[error("workers of {count} are numbered from 0 to {last}", last = count.saturating_sub(1))]
    Outside {
        /// The number of workers.
        count: usize,
    },
}

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let (index, count) = text.split_once('/').ok_or(ShareError::Form)?;
        let number = |text: &str| text.parse().map_err(|_| ShareError::Form);
        let (index, count) = (number(index)?, number(count)?);
        if count == 0 {
            return Err(ShareError::Form);
        }
        if index >= count { Err(ShareError::Outside { count }) } else { Ok(Self { index, count }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_cover_everything() {
        let shares: Vec<Share> = (0..3).map(|index| format!("{index}/3").parse().unwrap()).collect();
        for shard in 0..20 {
            assert_eq!(shares.iter().filter(|share| share.holds(shard)).count(), 1);
            assert!(Share::WHOLE.holds(shard));
        }
    }

    #[test]
    fn what_is_no_share_says_how_one_is_written() {
        assert_eq!("4/4".parse::<Share>(), Err(ShareError::Outside { count: 4 }));
        for text in ["", "1", "a/b", "-1/2", "0/0"] {
            assert_eq!(text.parse::<Share>(), Err(ShareError::Form), "{text}");
        }
    }
}
