//! `wavemill check`.

use std::fmt::Write;

use clap::Args;

use crate::pipeline::Pipeline;
use crate::write::CellChannels;

use super::exit::Failure;
use super::{PipelineArgs, print};

/// Check a pipeline file and show its columns; no sound is read
#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Print the file with all defaults filled in, as JSON, instead of its columns
    #[arg(long)]
    resolved: bool,
}

impl Check {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let (pipeline, _) = self.pipeline.read()?;
        if self.resolved {
            return print(&format!("{:#}\n", pipeline.resolved()));
        }
        print(&overview(&pipeline))
    }
}

/// The stages of a pipeline and the columns that come out.
fn overview(pipeline: &Pipeline) -> String {
    let mut text = format!("{}: this pipeline is valid\n\n", pipeline.name);
    let select = pipeline.select.as_ref().map_or("everything", |select| select.as_written());
    let keep_if = pipeline.keep_if.as_ref().map_or("everything", |keep_if| keep_if.as_written());
    let rate =
        pipeline.resample.as_ref().map_or("each file's own rate".to_owned(), |resample| resample.rate_hz.to_string());
    for (stage, what) in [
        ("corpus", pipeline.corpus.name()),
        ("select", select),
        ("load", &format!("channels: {}", pipeline.load.channels)),
        ("keep_if", keep_if),
        ("resample", &rate),
        ("write", &format!("{}, {}", pipeline.write.name(), pipeline.write.member().dtype().name())),
    ] {
        let _ = writeln!(text, "  {stage:<10} {what}");
    }
    let _ = writeln!(text, "\n  {:<16} {:<16} {:<24} {:<6} unit", "column", "extractor", "shape", "dtype");
    for column in pipeline.sound_columns() {
        let (dtype, unit) = (column.number.name(), column.unit.unwrap_or_default());
        let line = format!("  {:<16} {:<16} {:<24} {dtype:<6} {unit}", column.name, "load", "");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for ((_, recipe), column) in pipeline.columns().zip(pipeline.feature_columns()) {
        let shape = column.bins.map_or("samples".to_owned(), |bins| format!("frames, {bins}"));
        let shape = match column.channels {
            CellChannels::One => format!("[{shape}]"),
            CellChannels::All => format!("[channels, {shape}]"),
        };
        let _ = writeln!(
            text,
            "  {:<16} {:<16} {shape:<24} {:<6} {}",
            column.name,
            recipe.to_string(),
            column.dtype.name(),
            column.unit
        );
    }
    text
}
