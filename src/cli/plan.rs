//! `wavemill plan`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use crate::manifest::DatasetFolder;
use crate::plan;
use crate::run::{self, Existing};

use super::exit::Failure;
use super::run::all_cores;
use super::{PipelineArgs, count, counted, length, print, shown, size};

/// Decide which utterance goes where, and estimate size and time
#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The folder of the dataset: its `plan.parquet` is written
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Remove the dataset in the folder
    #[arg(long)]
    overwrite: bool,
}

impl Plan {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        /// Long enough to know the speed, short enough to wait for.
        const TRIAL: Duration = Duration::from_secs(2);
        let (pipeline, variables) = self.pipeline.read()?;
        let started = Instant::now();
        let plan = plan::Plan::make(pipeline, &variables)?;
        let planning = started.elapsed().as_secs_f64();
        let folder = DatasetFolder::new(&self.out);
        let existing = if self.overwrite { Existing::Overwrite } else { Existing::Keep };
        run::place_plan(&plan, &folder, existing)?;
        let cores = all_cores();
        let trial = run::try_out(&plan, cores, TRIAL)?;
        let estimate = match trial.times_real_time() {
            Some(speed) => format!(
                "{} on {} ({}× real time, measured on {} spread over the corpus)",
                length(plan.hours() * 3600.0 / speed),
                counted(cores as u64, "core"),
                count(speed as u64),
                counted(trial.utterances as u64, "utterance"),
            ),
            None => "unknown: none of the utterances tried could be used".to_owned(),
        };
        let parts: Vec<String> = (0..plan.parts.len())
            .filter_map(|part| {
                let name = plan.part_name(part)?;
                let entries = plan.shards[plan.parts[part].clone()].iter().map(ExactSizeIterator::len).sum::<usize>();
                Some(format!("{name} {}", count(entries as u64)))
            })
            .collect();
        let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
        print(&format!(
            "{}\n  {:<11} {}\n  {:<11} {}\n  {:<11} {}\n  {:<11} {}\n  {:<11} {}\n  {:<11} {}\n  {:<11} {}\n",
            shown(&folder.plan()),
            "utterances",
            count(plan.table.len() as u64),
            "hours",
            match plan.num_unmeasured() {
                0 => format!("{:.2}", plan.hours()),
                unknown =>
                    format!("{:.2}, and {} of unknown length", plan.hours(), counted(unknown as u64, "utterance")),
            },
            if plan.pipeline.segment.is_empty() { "rows" } else { "before cuts" },
            format_args!("{}{parts}", count(plan.num_entries() as u64)),
            "shards",
            count(plan.shards.len() as u64),
            "size",
            format_args!("about {}", size(plan.estimated_bytes)),
            "time",
            format_args!("about {estimate}"),
            "planned in",
            length(planning),
        ))
    }
}
