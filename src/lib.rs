//! wavemill turns recordings into training data.
//!
//! ```text
//! corpus ──► select ──► plan ──► [ load ► resample ► segment ► augment ► featurize ] ──► write ──► commit
//!  table      SQL     shards of            one utterance at a time, any core             one shard   manifest
//! (polars)  (polars)  utterances                (symphonia, realfft)                     (parquet)
//! ```
//!
//! Three ideas carry everything. A *shard* is the unit of work, of commit and of retry: the [`plan`] fixes which utterances
//! it holds before any sound is read, so it is a pure function of the plan and its number. *Randomness* is a function of
//! seed, stage, utterance and copy ([`seed`]), never a stream. The *manifest* is written last: without it no dataset
//! exists, and with it every byte is accounted for.
//!
//! ```
//! use wavemill::manifest::{DatasetFolder, Manifest};
//! use wavemill::run::{Existing, Options, Silent};
//! use wavemill::variables::Variables;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let out = tempfile::tempdir()?;
//! let variables = Variables::default();
//! let pipeline = wavemill::pipeline::read("pipelines/sample.yaml".as_ref(), &variables)?;
//! let plan = wavemill::plan::Plan::make(pipeline, &variables)?;
//!
//! let folder = DatasetFolder::new(out.path());
//! let options = Options { threads: 2, share: None, existing: Existing::Keep };
//! wavemill::run::run(&plan, &folder, options, &Silent, &false.into())?;
//! assert_eq!(Manifest::read(&folder)?.totals.rows, 12);
//! # Ok(())
//! # }
//! ```

pub mod audio;
pub mod augment;
pub mod cli;
pub mod corpus;
pub mod durable;
pub mod encode;
pub mod engines;
pub mod error;
pub mod family;
pub mod featurize;
mod isolation;
pub mod load;
pub mod loader;
pub mod manifest;
pub mod nearest;
pub mod pipeline;
pub mod plan;
mod rejects;
pub mod resample;
pub mod run;
pub mod seed;
pub mod segment;
pub mod spectrum;
pub mod transform;
pub mod value;
pub mod variables;
pub mod verify;
pub mod write;

pub use load::load;
