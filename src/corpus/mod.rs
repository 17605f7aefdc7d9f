//! Readers of corpora: whatever the source, one [`CorpusTable`] comes out.

mod archive;
mod contract;
mod corpus_table;
mod deduplicate;
mod error;
mod folder;
mod lines;
mod problems;
mod regular_file;
mod shards;

mod audio_folder;
mod common_voice;
mod hugging_face;
mod jsonl;
mod kaldi_dir;
mod lhotse;
mod lhotse_shar;
mod librispeech;
mod ljspeech;
mod merge;
mod nemo_tarred;
mod table;
mod vctk;
mod voxceleb;
mod wavemill;
mod webdataset;

pub use audio_folder::{NamePattern, NamePatternError};
pub use common_voice::{CommonVoiceSplit, CommonVoiceSplits};
pub use contract::{ReadCorpus, read_ids};
pub use corpus_table::{CorpusTable, Kind, RowCondition, SelectError, Value, columns_read};
pub use deduplicate::Deduplicate;
pub use error::{CorpusError, Place, Position};
pub use hugging_face::Ids;
pub use lhotse::Manifests;
pub use ljspeech::LjspeechText;
pub use merge::Merged;
pub use shards::Shards;
pub use table::{Delimiter, Format};
pub use vctk::Microphone;
pub use wavemill::{AtLoad, Dataset, RowError};

use crate::family::family;

family! {
    /// Readers of corpora: where the recordings are, and what is known of each.
    pub enum Corpus: ReadCorpus = "corpus" {
        audio_folder: AudioFolder,
        table: Table,
        jsonl: Jsonl,
        nemo_tarred: NemoTarred,
        kaldi_dir: KaldiDir,
        lhotse: Lhotse,
        lhotse_shar: LhotseShar,
        webdataset: Webdataset,
        hugging_face: HuggingFace,
        wavemill: Wavemill,
        librispeech: Librispeech,
        common_voice: CommonVoice,
        vctk: Vctk,
        ljspeech: Ljspeech,
        voxceleb: Voxceleb,
        merge: Merge,
    }
}

/// Endings of the files that wavemill decodes, in lower case.
pub const AUDIO_EXTENSIONS: [&str; 16] = [
    "wav", "flac", "mp3", "ogg", "oga", "opus", "m4a", "mp4", "aac", "aif", "aiff", "aifc", "caf", "webm", "mka", "mkv",
];

/// Whether `path` ends in one of `extensions`, in any case, with or without the dot in the list.
fn has_extension(path: &std::path::Path, extensions: &[impl AsRef<str>]) -> bool {
    let Some(extension) = path.extension().and_then(std::ffi::OsStr::to_str) else { return false };
    extensions.iter().any(|known| known.as_ref().trim_start_matches('.').eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_of_the_list_is_a_row_that_parses_to_its_own_member() {
        assert_eq!(Corpus::FAMILY.entries.len(), 16);
        assert_eq!(Corpus::FAMILY.entries.len(), 16);
        for entry in Corpus::FAMILY.entries {
            let corpus: Corpus = serde_saphyr::from_str(entry.example).expect(entry.name);
            assert_eq!(corpus.name(), entry.name);
            let written = serde_json::to_value(&corpus).expect(entry.name);
            assert!(written.get(entry.name).is_some(), "serde writes {written} for `{}`", entry.name);
            assert!(!entry.summary().is_empty(), "{} has no summary", entry.name);
        }
    }

    #[test]
    fn every_word_of_the_list_has_its_file() {
        let folder = std::path::Path::new("src/corpus");
        for entry in Corpus::FAMILY.entries {
            assert!(folder.join(entry.name).with_extension("rs").is_file(), "no file for `{}`", entry.name);
        }
    }
}
