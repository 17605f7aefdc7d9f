//! Whether a transcript still fits its sound.

/// What became of the words that the corpus says are spoken in an utterance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Words {
    /// All of them are there, in their order.
    #[default]
    Kept,
    /// Some are cut away, repeated or out of order: the row's `text` is null.
    Lost,
}
