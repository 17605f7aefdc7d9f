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
    let mut writes = format!("{}, {}", pipeline.write.name(), pipeline.write.member().dtype().name());
    if pipeline.featurize.is_empty() {
        writes = format!("{}, every row as it is", pipeline.write.name());
    }
    if let Some(split) = &pipeline.write.split {
        let parts: Vec<String> = split.parts.iter().map(|(name, share)| format!("{name} {}", share.0)).collect();
        let _ = write!(writes, "; {} by {}", parts.join(", "), split.by);
    }
    for (stage, what) in [
        ("corpus", pipeline.corpus.name()),
        ("select", select),
        ("load", &format!("channels: {}", pipeline.load.channels)),
        ("keep_if", keep_if),
        ("resample", &rate),
        ("write", &writes),
    ] {
        let _ = writeln!(text, "  {stage:<10} {what}");
    }
    let mut columns = vec![["column", "shape", "dtype", "unit", "every", "made by"].map(str::to_owned)];
    for column in pipeline.sound_columns() {
        let (dtype, unit) = (column.number.name(), column.unit.unwrap_or_default());
        columns.push([&column.name, "", dtype, &unit, "", "load"].map(str::to_owned));
    }
    for ((_, recipe), column) in pipeline.columns().zip(pipeline.feature_columns()) {
        let shape = column.bins.map_or("samples".to_owned(), |bins| format!("frames, {bins}"));
        let shape = match column.channels {
            CellChannels::One => format!("[{shape}]"),
            CellChannels::All => format!("[channels, {shape}]"),
        };
        let shift = recipe.column(pipeline.rate()).ok().filter(|_| column.bins.is_some());
        let shift = shift.and_then(|column| column.frame_shift);
        let every = shift.map_or(String::new(), |shift| format!("{:.4} ms", shift.get() * 1e3).replace(".0000", ""));
        columns.push([column.name, shape, column.dtype.name().to_owned(), column.unit, every, recipe.to_string()]);
    }
    for (column, encode) in pipeline.audio() {
        columns.push([column, "", encode.codec.name(), "", "", "encode"].map(str::to_owned));
    }
    let width = |cell: usize| columns.iter().map(|row| row[cell].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    text.push('\n');
    for row in &columns {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    text
}
