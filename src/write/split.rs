//! `write.split`: a dataset in parts, by a hash of a column.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parts of the dataset by their shares, which sum up to 1: `{ train: 0.98, valid: 0.01, test: 0.01, by: speaker }`.
///
/// Which part an utterance goes to, the value of a column alone decides, by its hash: all utterances of one speaker go to one
/// part, and adding or removing others moves none. So the shares are met as well as many values can: of a few speakers,
/// a part of 1 % may stay empty. Every shard belongs to one part, whose name its files carry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Split {
    /// The column of the corpus that decides, such as `speaker`. Default: `id`, so that each utterance goes by itself (its
    /// copies and segments go with it).
    #[serde(default = "id")]
    pub by: String,
    /// Each part's name with its share.
    #[serde(flatten)]
    pub parts: IndexMap<String, Share>,
}

/// A share of a whole: more than 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Share(#[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))] pub f64);

fn id() -> String {
    "id".to_owned()
}

impl Split {
    /// The column that decides: `key` is another word for the id.
    #[must_use]
    pub fn column(&self) -> &str {
        if self.by == "key" { "id" } else { &self.by }
    }

    /// What is wrong with the parts, and with which of them.
    #[must_use]
    pub fn mistake(&self) -> Option<(Option<&str>, String)> {
        let sum: f64 = self.parts.values().map(|share| share.0).sum();
        let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        if self.parts.is_empty() {
            return Some((None, "a split names its parts with their shares: `train: 0.9`".to_owned()));
        }
        let well_named =
            |name: &str| name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed);
        if let Some(name) = self.parts.keys().find(|name| !well_named(name) || *name == "part") {
            let message = format!(
                "`{name}` is no name for a part: write lower-case letters, digits, `_` and `-`, a letter or digit first"
            );
            return Some((Some(name), message));
        }
        ((sum - 1.0).abs() > 1e-6).then(|| (None, format!("the shares sum up to {sum}, not to 1")))
    }

    /// The number of the part to which utterances of this value go.
    #[must_use]
    pub fn part_of(&self, value: &str) -> usize {
        let digest = blake3::hash(value.as_bytes());
        let bits = u64::from_le_bytes(std::array::from_fn(|place| digest.as_bytes()[place]));
        // 53 bits: as many as a fraction holds exactly.
        let at = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        let mut sum = 0.0;
        let part = self.parts.values().position(|share| {
            sum += share.0;
            at < sum
        });
        part.unwrap_or(self.parts.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(row: &str) -> Split {
        serde_json::from_str(row).unwrap()
    }

    #[test]
    fn shares_are_met_and_a_value_stays_where_it_is() {
        let row = split(r#"{"train": 0.9, "valid": 0.05, "test": 0.05}"#);
        let mut counts = [0; 3];
        (0..100_000).for_each(|number| counts[row.part_of(&format!("utterance-{number}"))] += 1);
        for (count, share) in counts.into_iter().zip([0.9, 0.05, 0.05]) {
            assert!((f64::from(count) / 1e5 - share).abs() < 0.003, "{counts:?}");
        }
        // Pinned for good: another hash would move every dataset's utterances.
        let parts: String = (0..12).map(|number| row.part_of(&format!("u{number}")).to_string()).collect();
        insta::assert_snapshot!(parts);
    }

    #[test]
    fn what_is_no_split_is_told() {
        let mistake = |row: &str| split(row).mistake().unwrap().1;
        assert_eq!(split(r#"{"train": 0.9, "test": 0.1, "by": "speaker"}"#).mistake(), None);
        assert!(mistake(r#"{"train": 0.9}"#).contains("sum up to 0.9"));
        assert!(mistake(r#"{"by": "speaker"}"#).contains("names its parts"));
        for name in ["../x", "", "-x", "part", "Train"] {
            assert!(mistake(&format!("{{\"{name}\": 1.0}}")).contains("no name for a part"), "{name}");
        }
    }
}
