//! `wavemill run`.

use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::{Args, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::manifest::{DatasetFolder, Manifest, Totals};
use crate::plan;
use crate::run::{self, Existing, Options, Share};

use super::exit::Failure;
use super::progress::{Reporter, Style};
use super::{PipelineArgs, count, counted, length, print, shown, size};

/// Make a dataset, or what is missing of it
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The folder of the dataset
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Threads that decode and compute, 1 to 1024 [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Make only the I-th of N parts, I counted from 0; `wavemill commit` joins the parts
    #[arg(long, value_name = "I/N")]
    worker: Option<Share>,
    /// Remove the dataset in the folder and start anew
    #[arg(long, conflicts_with = "worker")]
    overwrite: bool,
    /// Tell only what went wrong
    #[arg(long)]
    quiet: bool,
    /// How progress is told: a bar on a terminal, else lines; or JSON lines for machines
    #[arg(long, value_enum, value_name = "FORMAT")]
    log: Option<Log>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Log {
    /// Lines of text, on a terminal too
    Text,
    /// One JSON object a line
    Json,
}

impl Run {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let style = match (self.quiet, self.log) {
            (true, _) => Style::Quiet,
            (false, Some(Log::Json)) => Style::Json,
            (false, Some(Log::Text)) => Style::Lines,
            (false, None) => Style::for_stderr(),
        };
        let reporter = Reporter::new(style);
        let started = Instant::now();
        let (pipeline, variables) = self.pipeline.read()?;
        reporter.say("reading the corpus");
        let plan = plan::Plan::make(pipeline, &variables)?;
        let folder = DatasetFolder::new(&self.out);
        let options = Options {
            threads: self.threads.map_or_else(all_cores, usize::from),
            share: self.worker,
            existing: if self.overwrite { Existing::Overwrite } else { Existing::Keep },
        };
        let outcome = run::run(&plan, &folder, options, &reporter, &*stop_on_signal()?);
        reporter.finish();
        outcome?;
        if self.quiet {
            return Ok(());
        }
        let seconds = started.elapsed().as_secs_f64();
        match self.worker {
            Some(share) => {
                let progress = run::progress(&folder)?;
                print(&format!(
                    "worker {share} is done: {} of {} in {} are made; `wavemill commit {}` joins them when all are\n",
                    count(progress.done.len() as u64),
                    counted(progress.head.num_shards as u64, "shard"),
                    shown(&self.out),
                    shown(&self.out),
                ))
            }
            None => print(&summary(&Manifest::read(&folder)?, &self.out, reporter.heard_seconds(), seconds)),
        }
    }
}

/// What a finished run tells: what there is, and how fast it came, `heard` seconds of sound in `seconds`; none if no shard
/// was made.
pub(super) fn summary(manifest: &Manifest, out: &std::path::Path, heard: Option<f64>, seconds: f64) -> String {
    let totals = &manifest.totals;
    let speed = match heard {
        Some(heard) => format!("made in {} ({}× real time)", length(seconds), count((heard / seconds) as u64)),
        None => "everything was already there".to_owned(),
    };
    let empty = if totals.rows == 0 { "the dataset is empty: every utterance was left out\n" } else { "" };
    format!(
        "{} of {} in {}, {}; {}; {speed}\n{empty}{}\n",
        counted(totals.rows, "row"),
        length(totals.hours * 3600.0),
        counted(manifest.shards.len() as u64, "shard"),
        size(totals.bytes),
        left_out(totals),
        shown(out)
    )
}

/// What was left out and why, and what is wrong with the rest.
pub(super) fn left_out(totals: &Totals) -> String {
    let mut text = match totals.rejects {
        0 => "none left out".to_owned(),
        rejects => {
            let codes: Vec<String> =
                totals.rejects_by_code.iter().map(|(code, number)| format!("{number} {code}")).collect();
            format!("{} left out ({}): see rejects.jsonl", count(rejects), codes.join(", "))
        }
    };
    for (code, number) in &totals.warnings {
        let _ = write!(text, "; {} ({code})", counted(*number, "warning"));
    }
    text
}

/// The number of threads that fill the machine.
pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// Set by Ctrl-C or a polite kill: the shards in flight are abandoned, and the folder can be resumed. A second one ends
/// the process at once, which costs no more. A hang-up is left alone: `nohup` must hold.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 130, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}
