//! Readers of corpora.
