//! Extractors: what turns sound into the numbers of a column.

mod contract;

pub use contract::{Column, Dtype, Extract, ExtractError, Extractor, SettingError};
