//! `wavemill replay`.

use std::fmt::Write;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use clap::Args;

use crate::manifest::{DatasetFolder, Manifest};
use crate::plan::{Plan, PlanFile, differences};
use crate::run;
use crate::variables::Variables;

use super::exit::Failure;
use super::inspect::augmentations;
use super::rows::{Reader, cell_text};
use super::{print, shown, variable};

/// Make one row of a dataset again, from its manifest and corpus, and hold it against the dataset byte for byte
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// The folder of the dataset
    dir: PathBuf,
    /// The key of the row
    key: String,
    /// The value of a `${NAME}` in the pipeline; the environment is asked next
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Write the row, alone, as a shard of the dataset's format into a folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Write the sound that the row's features are made from, as a WAV of floats
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
}

impl Replay {
    pub(super) fn execute(&self) -> Result<(), Failure> {
        let folder = DatasetFolder::new(&self.dir);
        let manifest = Manifest::read(&folder)?;
        let reader = Reader::new(&folder, &manifest)?;
        let stored = reader.find(&self.key)?;
        let plan = Plan::make(reader.pipeline.clone(), &Variables::with_environment(self.variables.iter().cloned()))?;
        let mut text = String::new();
        if plan.hash != manifest.plan_hash
            && let Ok(Some(file)) = PlanFile::open(&folder.plan())
        {
            for difference in differences(&file.head, &plan.head()) {
                let _ = writeln!(text, "the dataset was made of something else: {difference}");
            }
        }
        let made = self.make(&plan, &reader)?;
        let different: Vec<String> = stored
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .filter(|name| stored.column_by_name(name) != made.column_by_name(name))
            .collect();
        if !different.is_empty() {
            print(&text)?;
            return Err(Failure::NotTheSame { key: self.key.clone(), columns: different });
        }
        for line in augmentations(&cell_text(&stored, "augmentation", 0)).iter().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(path) = &self.wav {
            let sound = run::replay_sound(&plan, &self.key)?;
            write_wav(path, &sound).map_err(|source| Failure::Wav { path: path.clone(), source })?;
            let _ = writeln!(text, "its sound is in {}", shown(path));
        }
        let _ = writeln!(text, "`{}` is the same, byte for byte, in all {} columns", self.key, stored.num_columns());
        print(&text)
    }

    /// The row, made again.
    fn make(&self, plan: &Plan, reader: &Reader<'_>) -> Result<RecordBatch, Failure> {
        let temporary = tempfile::tempdir().map_err(Failure::Output)?;
        let folder = self.out.as_deref().unwrap_or(temporary.path());
        let files = run::replay(plan, &self.key, folder)?;
        let read = reader.pipeline.write.member().read(&reader.schema, &files, None);
        let read = read.and_then(|mut batches| batches.next().transpose());
        let read = read.map_err(|source| Failure::Shard { path: folder.to_owned(), source })?;
        read.ok_or_else(|| Failure::NoRow { key: self.key.clone(), near: None })
    }
}

/// Writes sound as a WAV of floats, so that nothing is clipped or rounded.
fn write_wav(path: &std::path::Path, sound: &crate::audio::Waveform) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: u16::try_from(sound.channels.len()).unwrap_or(u16::MAX),
        sample_rate: sound.sample_rate.get(),
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for frame in 0..sound.num_samples() {
        sound.channels.iter().try_for_each(|channel| writer.write_sample(channel[frame]))?;
    }
    writer.finalize()
}
