//! Buckets of like length, so that little of a batch is padding.

/// Lengths at which buckets end: bucket `k` holds what is longer than the edge before it, and no longer than its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Buckets {
    edges: Vec<u32>,
}

impl Buckets {
    /// `count` buckets of rows of these lengths, each with about the same sum of them, as lhotse's `DynamicBucketingSampler` has them.
    /// There are fewer where many rows have one length.
    pub(super) fn of(mut lengths: Vec<u32>, count: usize) -> Self {
        lengths.sort_unstable();
        let count = count.min(lengths.len());
        let total: u128 = lengths.iter().map(|length| u128::from(*length)).sum();
        let mut edges = Vec::with_capacity(count);
        let mut sum = 0_u128;
        for length in &lengths {
            sum += u128::from(*length);
            if sum * count as u128 >= total * (edges.len() as u128 + 1) && edges.len() + 1 < count {
                edges.push(*length);
            }
        }
        edges.dedup();
        // The last bucket has no end.
        if edges.last() == lengths.last() {
            edges.pop();
        }
        Self { edges }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.edges.len() + 1
    }

    /// The bucket of a row.
    pub(super) fn of_length(&self, length: u32) -> usize {
        self.edges.partition_point(|edge| *edge < length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_share_the_frames_equally() {
        let buckets = Buckets::of(vec![1, 1, 1, 1, 2, 2, 4, 4], 4);
        assert_eq!(buckets.edges, [1, 2]);
        assert_eq!([1, 2, 3, 4].map(|length| buckets.of_length(length)), [0, 1, 2, 2]);
        assert_eq!(Buckets::of(Vec::new(), 30).len(), 1);
        assert_eq!(Buckets::of(vec![7; 100], 30).len(), 1);
        assert_eq!(Buckets::of(vec![1, 9, 5], usize::MAX).len(), 2);
        assert_eq!(Buckets::of(vec![1, 9, 5], 1).len(), 1);
    }
}
