//! Why a command failed, as the shell and a person are told.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use miette::{GraphicalReportHandler, GraphicalTheme};
use thiserror::Error;

use crate::error::chain;
use crate::loader::LoaderError;
use crate::manifest::ManifestError;
use crate::pipeline::{Mistakes, ReadError};
use crate::plan::PlanError;
use crate::run::RunError;
use crate::write::WriteError;

/// A failed command.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Pipeline(#[from] ReadError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Dataset(#[from] ManifestError),
    #[error("{} cannot be read", path.display())]
    Shard {
        path: PathBuf,
        #[source]
        source: WriteError,
    },
    #[error(transparent)]
    Loader(#[from] LoaderError),
    #[error("the dataset is damaged: {findings} found")]
    Damaged { findings: String },
    #[error("there is no family `{name}`")]
    NoFamily { name: String, known: String },
    #[error("there is no row `{key}` in this dataset")]
    NoRow { key: String, near: Option<String> },
    #[error("the row `{key}` came out different, in {}", columns.join(", "))]
    NotTheSame { key: String, columns: Vec<String> },
    #[error("{} cannot be written", path.display())]
    Wav {
        path: PathBuf,
        #[source]
        source: hound::Error,
    },
    #[error("output failed")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Tells on standard error what went wrong and what to do, and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        let text = match self {
            Self::Pipeline(ReadError::Wrong(mistakes)) => pointed(mistakes),
            failure => {
                let mut text = format!("error: {}\n", chain(failure));
                for line in failure.advice() {
                    let _ = writeln!(text, "  {line}");
                }
                text
            }
        };
        // Nobody is left to tell if standard error is gone.
        let _ = io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.code())
    }

    /// The exit codes of the contract: see the help.
    const fn code(&self) -> u8 {
        match self {
            Self::Pipeline(_)
            | Self::NoFamily { .. }
            | Self::Loader(LoaderError::Setting { .. } | LoaderError::Filter(_) | LoaderError::Transform(_)) => 2,
            Self::Plan(PlanError::Unreadable { .. }) => 5,
            Self::Plan(_) | Self::Run(RunError::Stopped { .. }) => 3,
            Self::Run(RunError::TooManyRejects { .. }) => 4,
            Self::Run(RunError::Interrupted { .. }) => 130,
            Self::Run(_)
            | Self::Dataset(_)
            | Self::Loader(_)
            | Self::Shard { .. }
            | Self::Damaged { .. }
            | Self::NoRow { .. }
            | Self::NotTheSame { .. }
            | Self::Wav { .. }
            | Self::Output(_) => 5,
        }
    }

    /// What to do about it.
    fn advice(&self) -> Vec<String> {
        match self {
            Self::Run(RunError::OtherPlan { differences, .. }) => {
                let mut lines: Vec<String> = differences.iter().take(10).map(ToString::to_string).collect();
                if differences.len() > lines.len() {
                    lines.push(format!("and {} more", differences.len() - lines.len()));
                }
                lines.push("choose another --out, or --overwrite to start anew".to_owned());
                lines
            }
            Self::Run(RunError::TooManyRejects { last, .. }) => vec![
                format!("the last one, `{}` ({}): {}: {}", last.id, last.audio, last.stage, last.message),
                "there is no manifest; the shards' records in `shards/` name every reject so far".to_owned(),
                "mend the files, or raise `load.max_reject_fraction`, and run with --overwrite or into a new --out"
                    .to_owned(),
            ],
            Self::Run(RunError::Interrupted { .. }) => vec!["run the same command again to go on".to_owned()],
            Self::Run(RunError::Incomplete { missing, .. }) => {
                let named: Vec<String> = missing.iter().take(10).map(ToString::to_string).collect();
                let more = if missing.len() > named.len() { ", …" } else { "" };
                vec![format!("missing: {}{more}", named.join(", ")), "`wavemill run` makes what is missing".to_owned()]
            }
            Self::Run(RunError::NoDataset { .. }) => vec!["`wavemill run` or `wavemill plan` makes one".to_owned()],
            Self::Run(RunError::NoPlan { .. }) => {
                vec![
                    "choose another --out; --overwrite removes only what a plan or a manifest says to be a dataset"
                        .to_owned(),
                ]
            }
            Self::Run(RunError::Locked { .. }) => {
                vec!["wait for it, or give each process its own `--worker I/N`".to_owned()]
            }
            Self::Run(RunError::Stopped { .. }) => {
                vec!["`load.on_error: reject` leaves such utterances out and goes on".to_owned()]
            }
            Self::NoFamily { known, .. } => vec![format!("families: {known}")],
            Self::NotTheSame { .. } => {
                vec![
                    "are the corpus, the recordings that augmentations draw from, and wavemill's version the same?"
                        .to_owned(),
                ]
            }
            Self::NoRow { near: Some(near), .. } => vec![format!("did you mean `{near}`?")],
            _ => Vec::new(),
        }
    }
}

/// Each mistake of a pipeline file with its lines, a caret and the remedy.
fn pointed(mistakes: &Mistakes) -> String {
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(110);
    let mut text = String::new();
    for diagnostic in mistakes.diagnostics() {
        let _ = handler.render_report(&mut text, &diagnostic);
    }
    let _ = writeln!(text, "{mistakes}");
    text
}
