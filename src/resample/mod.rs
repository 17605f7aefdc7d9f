//! Sample rate conversion.
