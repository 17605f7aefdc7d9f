//! A small language for tests: a corpus of fixtures, a pipeline over it, and what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;
use wavemill::manifest::{DatasetFolder, Manifest, Reject};

/// A file or folder of `fixtures/`; it must be there.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let path = Path::new("fixtures").join(name);
    assert!(path.exists(), "the fixture {name} is missing");
    path
}

/// The `wavemill` command, started in the project's folder.
pub(crate) fn wavemill(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavemill"));
    command.args(arguments).env_remove("CORPUS");
    command
}

/// A pipeline with one fbank column over an `audio_folder` in `${CORPUS}`, with `more` top-level rows.
pub(crate) fn fbank_pipeline(more: &str) -> String {
    format!(
        "version: 1
corpus: {{ audio_folder: {{ root: \"${{CORPUS}}\" }} }}
resample: {{ rate_hz: 16000 }}
featurize:
  features: [kaldi_fbank: {{ num_mel_bins: 80 }}]
{more}
"
    )
}

/// A folder with a corpus and a dataset that is made of it.
pub(crate) struct CorpusTest {
    folder: TempDir,
}

impl CorpusTest {
    /// A corpus of copies of fixtures: `on(&["corpus/alba-01.flac", "bad/empty.wav"])`.
    pub(crate) fn on(fixtures: &[&str]) -> Self {
        let test = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(test.corpus()).unwrap();
        for name in fixtures {
            test.add(name, Path::new(name).file_name().unwrap().to_str().unwrap());
        }
        test
    }

    /// The whole sample corpus.
    pub(crate) fn on_sample() -> Self {
        let test = Self::on(&[]);
        let mut added = 0;
        for entry in fs::read_dir(fixture("corpus")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            test.add(&format!("corpus/{name}"), &name);
            added += 1;
        }
        assert!(added >= 24, "the sample corpus has {added} files");
        test
    }

    /// Adds a fixture under another name.
    pub(crate) fn add(&self, name: &str, into: &str) {
        fs::copy(fixture(name), self.corpus().join(into)).unwrap();
    }

    /// Adds a WAV of floats that is made here: `channels` channels, their samples in turn.
    pub(crate) fn add_wav(&self, into: &str, rate: u32, channels: u16, samples: &[f32]) {
        let size = samples.len() as u32 * 4;
        let mut wav = b"RIFF".to_vec();
        wav.extend((size + 36).to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x03\0");
        wav.extend(channels.to_le_bytes());
        wav.extend(rate.to_le_bytes());
        wav.extend((rate * u32::from(channels) * 4).to_le_bytes());
        wav.extend((channels * 4).to_le_bytes());
        wav.extend(b"\x20\0data");
        wav.extend(size.to_le_bytes());
        wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        fs::write(self.corpus().join(into), wav).unwrap();
    }

    pub(crate) fn corpus(&self) -> PathBuf {
        self.folder.path().join("corpus")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// Writes a file beside the corpus.
    pub(crate) fn folder_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Writes a pipeline file beside the corpus.
    pub(crate) fn pipeline(&self, yaml: &str) -> PathBuf {
        self.folder_file("pipeline.yaml", yaml)
    }

    /// The command `wavemill run`, not yet started.
    pub(crate) fn run_command(&self, yaml: &str, arguments: &[&str]) -> Command {
        let (pipeline, out, corpus) = (self.pipeline(yaml), self.out(), format!("CORPUS={}", self.corpus().display()));
        let mut command = wavemill(&["run"]);
        command.arg(pipeline).arg("--out").arg(out).args(["--var", &corpus]).args(arguments);
        command
    }

    /// Runs a pipeline over the corpus.
    pub(crate) fn run(&self, yaml: &str, arguments: &[&str]) -> Outcome {
        Outcome { output: self.run_command(yaml, arguments).output().unwrap(), dataset: DatasetFolder::new(self.out()) }
    }
}

/// What came of a command.
pub(crate) struct Outcome {
    pub(crate) output: Output,
    pub(crate) dataset: DatasetFolder,
}

impl Outcome {
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.output.status.code(), Some(code), "{}", self.stderr());
        self
    }

    pub(crate) fn expect_message(self, part: &str) -> Self {
        assert!(self.stderr().contains(part), "`{part}` is not in:\n{}", self.stderr());
        self
    }

    pub(crate) fn expect_rows(self, rows: u64) -> Self {
        let this = self.expect_code(0);
        assert_eq!(this.manifest().totals.rows, rows);
        this
    }

    /// An utterance was left out, for this reason.
    pub(crate) fn expect_rejected(self, audio: &str, stage: &str, code: &str) -> Self {
        let rejects = self.rejects();
        let found = rejects.iter().find(|reject| reject.audio == audio);
        let found = found.unwrap_or_else(|| panic!("{audio} is not among the rejects: {rejects:#?}"));
        assert_eq!((found.stage.as_str(), found.code.as_str()), (stage, code), "{}", found.message);
        assert!(!found.message.is_empty());
        self
    }

    pub(crate) fn manifest(&self) -> Manifest {
        Manifest::read(&self.dataset).unwrap()
    }

    pub(crate) fn rejects(&self) -> Vec<Reject> {
        let text = fs::read_to_string(self.dataset.rejects()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Every row, read by the Parquet library itself.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let shards = self.manifest().shards;
        assert!(!shards.is_empty());
        let read = |path: &String| {
            let file = fs::File::open(self.dataset.path().join(path)).unwrap();
            ParquetRecordBatchReaderBuilder::try_new(file)
                .unwrap()
                .build()
                .unwrap()
                .map(Result::unwrap)
                .collect::<Vec<_>>()
        };
        shards.iter().flat_map(|shard| read(&shard.files[0].path)).collect()
    }
}

/// Every file of a dataset that its bytes are promised for, by its path.
pub(crate) fn bytes_of(dataset: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for part in ["data", "shards", "manifest.json", "rejects.jsonl", "plan.parquet"] {
        for entry in walkdir::WalkDir::new(dataset.join(part)).into_iter().map(Result::unwrap) {
            if entry.file_type().is_file() {
                let name = entry.path().strip_prefix(dataset).unwrap().display().to_string();
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    assert!(files.len() >= 5, "{} holds no dataset: {:?}", dataset.display(), files.keys());
    files
}

/// Asserts that two datasets hold the same files with the same bytes.
pub(crate) fn assert_same_bytes(one: &Path, other: &Path) {
    let (one, other) = (bytes_of(one), bytes_of(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(bytes == &other[name], "{name} differs");
    }
}
