//! `wavemill commit`.

use std::path::PathBuf;

use clap::Args;

use crate::manifest::DatasetFolder;
use crate::run;

use super::exit::Failure;
use super::{count, counted, length, print, size};

/// Join the shards of several workers into the manifest
#[derive(Debug, Args)]
pub(super) struct Commit {
    /// The folder of the dataset
    dir: PathBuf,
}

impl Commit {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let manifest = run::commit(&DatasetFolder::new(&self.dir))?;
        let totals = &manifest.totals;
        print(&format!(
            "committed {} of {} in {}, {}; {} left out\n",
            counted(totals.rows, "row"),
            length(totals.hours * 3600.0),
            counted(manifest.shards.len() as u64, "shard"),
            size(totals.bytes),
            count(totals.rejects),
        ))
    }
}
