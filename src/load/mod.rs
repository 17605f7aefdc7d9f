//! Decoding: a file in, blocks of samples out.
