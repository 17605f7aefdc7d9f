//! Several corpora as one.

use std::collections::HashSet;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corpus_table::CorpusTable;
use super::{Corpus, CorpusError, Place, ReadCorpus};
use crate::family::Member;
use crate::variables::Variables;

/// Several corpora, one after the other in the order written: `merge: [{ from: { … }, prefix: ls-, weight: 0.5 }, …]`.
///
/// Ids must be unique in all of them together: `prefix` stands in front of each id of a corpus. A column that one corpus has and
/// another has not is null there; one whose types differ becomes text. Audio paths stay relative to each corpus's own root.
///
/// With `weight: 0.25` a quarter of a corpus is taken: which utterances, a hash of their ids decides, so that adding others moves
/// none. With `weight: 2.5` the whole of it is taken twice and half of it once more; the ids of what is repeated end in `#2`,
/// `#3`, …, so that augmentations draw anew for each; `deduplicate` does not hold them against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Merge {
    /// The corpora.
    #[schemars(extend("minItems" = 1))]
    pub corpora: Vec<Merged>,
}

/// A corpus among others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// The corpus.
    pub from: Corpus,
    /// What stands in front of each of its ids. Default: nothing.
    #[serde(default)]
    pub prefix: String,
    /// How often each of its utterances is taken, on average, 0.000001 to 1000. Default: 1.
    #[serde(default = "once")]
    #[schemars(range(min = 0.000_001, max = 1000))]
    pub weight: f64,
}

const fn once() -> f64 {
    1.0
}

impl Member for Merge {
    const EXAMPLE: &'static str = r#"merge: [{ from: { librispeech: { root: "${CORPUS}" } }, prefix: ls- }, { from: { jsonl: { path: "${MANIFEST}" } }, weight: 0.5 }]"#;
}

impl ReadCorpus for Merge {
    fn read(&self, variables: &Variables) -> Result<CorpusTable, CorpusError> {
        let mut tables = Vec::new();
        for Merged { from, prefix, weight } in &self.corpora {
            let table = from.member().read(variables)?;
            for round in 0..weight.ceil() as usize {
                let share = weight - round as f64;
                let rows: Vec<u32> =
                    (0..table.len()).filter(|row| unit(table.id(*row)) < share).map(|row| row as u32).collect();
                let suffix = if round == 0 { String::new() } else { format!("#{}", round + 1) };
                tables.push((prefix.clone(), suffix, round as u32, table.gather(&rows)));
            }
        }
        let mut seen = HashSet::new();
        for (prefix, suffix, _, table) in &tables {
            for row in 0..table.len() {
                let id = format!("{prefix}{}{suffix}", table.id(row));
                if seen.contains(&id) {
                    let place = Place::whole(&table.audio_path(row));
                    let reason = format!("the id `{id}` is in two of the merged corpora: give one of them a `prefix`");
                    return Err(CorpusError::malformed(place, reason));
                }
                seen.insert(id);
            }
        }
        drop(seen);
        if tables.iter().all(|(.., table)| table.is_empty()) {
            return Err(CorpusError::NoRows { path: Path::new("merge").to_owned() });
        }
        CorpusTable::concatenated(&tables)
    }
}

/// A number in [0, 1) of an id, the same for ever.
fn unit(id: &str) -> f64 {
    let digest = blake3::hash(format!("merge {id}").as_bytes());
    let bits = u64::from_le_bytes(std::array::from_fn(|place| digest.as_bytes()[place]));
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::{Kind, Value};

    /// Two lists in folders of their own: 1,000 utterances with a number, and three with a word.
    fn lists() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let many: Vec<String> = (0..1000).map(|row| format!("{{\"audio\": \"{row}.wav\", \"n\": {row}}}\n")).collect();
        let many = many.concat();
        let few =
            "{\"audio\": \"a.wav\", \"n\": \"x\"}\n{\"audio\": \"b.wav\"}\n{\"audio\": \"7.wav\", \"text\": \"t\"}\n";
        for (name, list) in [("many", many.as_str()), ("few", few)] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("list.jsonl"), list).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, many: &str, few: &str) -> Result<CorpusTable, CorpusError> {
        let row = format!(
            "[{{from: {{jsonl: {{path: '${{ROOT}}/many/list.jsonl'}}}}, {many}}}, {{from: {{jsonl: {{path: '${{ROOT}}/few/list.jsonl'}}}}, {few}}}]"
        );
        let root = folder.path().to_str().unwrap().to_owned();
        let merge: Merge = serde_saphyr::from_str(&row).unwrap();
        merge.read(&[("ROOT".to_owned(), root)].into_iter().collect())
    }

    #[test]
    fn corpora_follow_each_other_each_with_its_own_root() {
        let folder = lists();
        let table = read(&folder, "prefix: m-", "prefix: ''").unwrap();
        assert_eq!((table.len(), table.id(7), table.id(1002)), (1003, "m-7", "7"));
        assert_eq!(table.location(7).to_string(), folder.path().join("many/7.wav").display().to_string());
        assert_eq!(table.location(1002).to_string(), folder.path().join("few/7.wav").display().to_string());
        assert_eq!(table.extras().collect::<Vec<_>>(), [("n", Kind::String)]);
        assert_eq!(
            (table.extra(0, 3), table.extra(0, 1000), table.extra(0, 1001)),
            (Value::String("3"), Value::String("x"), Value::Null)
        );
        let selected = table.select("text = 't'").unwrap();
        assert_eq!(selected.location(0).to_string(), folder.path().join("few/7.wav").display().to_string());
    }

    #[test]
    fn paths_and_lengths_are_what_each_corpus_says() {
        let folder = lists();
        let (data, here) = (folder.path().join("kaldi"), std::env::current_dir().unwrap());
        std::fs::create_dir(&data).unwrap();
        let absolute = here.join("fixtures/corpus/alba-02.wav");
        std::fs::write(data.join("wav.scp"), format!("u {}\n", absolute.display())).unwrap();
        std::fs::write(data.join("utt2dur"), "u 0.1\n").unwrap();
        let row = format!("[{{from: {{kaldi_dir: {{dir: '{}'}}}}}}]", data.display());
        let table = serde_saphyr::from_str::<Merge>(&row).unwrap().read(&Variables::default()).unwrap();
        assert_eq!((table.duration_s(0), table.cut_duration_s(0)), (Some(0.1), None));
        assert_eq!(table.location(0).file(), Some(absolute.as_path()));
    }

    #[test]
    fn two_utterances_of_one_id_are_refused_with_advice() {
        let message = read(&lists(), "weight: 1", "weight: 1").unwrap_err().to_string();
        assert!(message.contains("`7` is in two of the merged corpora: give one of them a `prefix`"), "{message}");
    }

    #[test]
    fn a_weight_takes_a_share_or_repeats() {
        let folder = lists();
        let part = read(&folder, "prefix: m-, weight: 0.25", "weight: 2.5").unwrap();
        let ids: HashSet<&str> = (0..part.len()).map(|row| part.id(row)).collect();
        let many = ids.iter().filter(|id| id.starts_with("m-")).count();
        assert!((200..300).contains(&many), "{many}");
        assert!(["a", "a#2", "b#2", "7#2"].iter().all(|id| ids.contains(id)));
        // More of it are the same and others.
        let more = read(&folder, "prefix: m-, weight: 0.5", "weight: 1").unwrap();
        let more: HashSet<&str> = (0..more.len()).map(|row| more.id(row)).collect();
        assert!(ids.iter().filter(|id| id.starts_with("m-")).all(|id| more.contains(id)));
    }
}
