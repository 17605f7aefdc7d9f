//! What the files of a shard are called.

/// A shard's place in its dataset, as its files' names tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardName<'a> {
    /// The part of the dataset that it belongs to, where `write.split` cuts it.
    pub split: Option<&'a str>,
    /// Its number, counted within its part.
    pub number: usize,
    /// How many shards its part has.
    pub count: usize,
}

impl ShardName<'_> {
    /// `data/part-00000.parquet`, and of a split `data/train-00000.parquet`.
    #[must_use]
    pub fn file(&self, extension: &str) -> String {
        format!("data/{}-{:05}.{extension}", self.split.unwrap_or("part"), self.number)
    }

    /// The folder of formats that have one for each split: `data`, and of a split `data/train`.
    #[must_use]
    pub fn folder(&self) -> String {
        self.split.map_or_else(|| "data".to_owned(), |split| format!("data/{split}"))
    }
}
