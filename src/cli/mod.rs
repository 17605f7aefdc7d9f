//! The command line: one file a subcommand. Help, man page and completions come from the same definition.

mod check;
mod commit;
mod exit;
mod inspect;
mod list;
mod load;
mod picture;
mod plan;
mod progress;
mod replay;
mod rows;
mod run;
mod verify;

use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::pipeline::{self, Pipeline};
use crate::variables::Variables;

use exit::Failure;

/// Turn recordings into training data: declarative pipelines, sharded Parquet, the same bytes every time.
#[derive(Debug, Parser)]
#[command(name = "wavemill", version, propagate_version = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What stands below the help of the whole.
const AFTER_HELP: &str = "\
Exit codes: 0 done, 2 the pipeline file is wrong, 3 the corpus is wrong, 4 too many rejects,
5 input or output failed or a dataset is damaged, 70 a bug, 130 interrupted (run again to go on)";

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a dataset, or what is missing of it
    Run(run::Run),
    /// Check a pipeline file and show its columns; no sound is read
    Check(check::Check),
    /// Decide which utterance goes where, and estimate size and time
    Plan(plan::Plan),
    /// Join the shards of several workers into the manifest
    Commit(commit::Commit),
    /// Check every checksum and count of a dataset
    Verify(verify::Verify),
    /// Show what a dataset holds, or one row with a picture of its features
    Inspect(inspect::Inspect),
    /// Make one row again and hold it against the dataset, byte for byte
    Replay(replay::Replay),
    /// Show what a training job would see of a dataset, and how fast
    Load(load::Load),
    /// List the stages that a pipeline file may name, each with an example
    List(list::List),
    /// Print the JSON Schema of the pipeline file, for editors
    Schema,
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page
    Man,
}

/// A pipeline file and the values of its variables.
#[derive(Debug, Args)]
struct PipelineArgs {
    /// The pipeline file (YAML)
    pipeline: PathBuf,
    /// The value of a `${NAME}` in the pipeline file; the environment is asked next
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
}

impl PipelineArgs {
    /// The pipeline as read, and its variables.
    fn read(&self) -> Result<(Pipeline, Variables), Failure> {
        let variables = Variables::with_environment(self.variables.iter().cloned());
        Ok((pipeline::read(&self.pipeline, &variables)?, variables))
    }
}

fn variable(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a variable is given as NAME=VALUE"),
    }
}

/// Parses the arguments, does what they say and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    /// The exit code of a bug, as in sysexits.h.
    const BUG: u8 = 70;
    let command = Cli::parse().command;
    catch_unwind(|| execute(command)).unwrap_or_else(|_| ExitCode::from(BUG))
}

fn execute(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Run(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Plan(command) => command.execute(),
        Command::Commit(command) => command.execute(),
        Command::Verify(command) => command.execute(),
        Command::Inspect(command) => command.execute(),
        Command::Replay(command) => command.execute(),
        Command::Load(command) => command.execute(),
        Command::List(command) => command.execute(),
        Command::Schema => schema(),
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn schema() -> Result<(), Failure> {
    let schema = serde_json::to_string_pretty(&Pipeline::schema()).map_err(io::Error::from)?;
    print(&format!("{schema}\n"))
}

fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wavemill", &mut script);
    print(&String::from_utf8_lossy(&script))
}

fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&String::from_utf8_lossy(&page))
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A count with its thousands set apart: `12,345`.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 shard`, `2 shards`.
fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A size for people: `12.3 MiB`.
fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A length of sound for people: `12.3 h`, `4.5 min`, `6.7 s`.
fn length(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 60.0 => format!("{seconds:.1} s"),
        seconds if seconds < 3600.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// A path for people: as given.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([7, 1_234, 12_345_678].map(count), ["7", "1,234", "12,345,678"]);
        assert_eq!([30.0, 90.0, 5400.0].map(length), ["30.0 s", "1.5 min", "1.5 h"]);
    }
}
