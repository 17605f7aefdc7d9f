//! `wavemill verify`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;

use crate::manifest::DatasetFolder;
use crate::verify;

use super::exit::Failure;
use super::{counted, length, print, size};

/// Check every checksum and count of a dataset
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The folder of the dataset
    dir: PathBuf,
}

impl Verify {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let verdict = verify::verify(&DatasetFolder::new(&self.dir))?;
        if verdict.findings.is_empty() {
            let totals = &verdict.totals;
            return print(&format!(
                "whole: {} of {} and {} in {}, {}; every checksum and count holds\n",
                counted(totals.rows, "row"),
                length(totals.hours * 3600.0),
                counted(totals.rejects, "reject"),
                counted(verdict.shards as u64, "shard"),
                size(totals.bytes)
            ));
        }
        let mut text = String::new();
        for finding in &verdict.findings {
            let _ = writeln!(text, "{finding}");
        }
        print(&text)?;
        Err(Failure::Damaged { findings: counted(verdict.findings.len() as u64, "fault") })
    }
}
