//! Segments: which parts of an utterance's sound become rows.

mod contract;

mod window;

pub use contract::{Segment, cut, take};

use crate::family::family;

family! {
    /// Which parts of an utterance become rows: none, one or several.
    pub enum Segments: Segment = "segment" {
        window: Window,
    }
}
