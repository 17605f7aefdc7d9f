//! wavemill turns recordings into training data.

pub mod audio;
pub mod corpus;
pub mod family;
pub mod featurize;
pub mod load;
pub mod resample;
pub mod seed;
pub mod spectrum;
pub mod variables;
