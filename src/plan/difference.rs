//! What is different between the plan of a dataset and the plan of a run into its folder.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Value, json};

use super::PlanHead;

/// One thing that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What it is: a path in the pipeline file, or `wavemill`, or `corpus`.
    pub what: String,
    /// How the dataset has it.
    pub before: String,
    /// How the run has it.
    pub now: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} there, {} now", self.what, self.before, self.now)
    }
}

/// All that differs between two plans; nothing only if they make the same bytes.
#[must_use]
pub fn differences(before: &PlanHead, now: &PlanHead) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |what: &str, before: String, now: String| {
        if before != now {
            found.push(Difference { what: what.to_owned(), before, now });
        }
    };
    note("wavemill", before.wavemill_version.clone(), now.wavemill_version.clone());
    let names: BTreeSet<&String> = before.engines.keys().chain(now.engines.keys()).collect();
    for name in names {
        let version = |head: &PlanHead| head.engines.get(name).cloned().unwrap_or_else(|| "none".to_owned());
        note(name, version(before), version(now));
    }
    compare("", &before.pipeline, &now.pipeline, &mut note);
    compare("at load", &json!(before.at_load), &json!(now.at_load), &mut note);
    if before.pipeline["keep_if"] == now.pipeline["keep_if"] {
        // The pipeline holds it as written.
        let filled = |head: &PlanHead| head.keep_if.as_ref().map_or("none".to_owned(), |sql| format!("`{sql}`"));
        note("keep_if, its variables filled in", filled(before), filled(now));
    }
    let places: BTreeSet<&String> = before.recordings.keys().chain(now.recordings.keys()).collect();
    for place in places {
        let hash = |head: &PlanHead| head.recordings.get(place).map_or("none".to_owned(), |hash| short(hash));
        note(&format!("recordings of {place}"), hash(before), hash(now));
    }
    note("corpus", short(&before.corpus_hash), short(&now.corpus_hash));
    note("shards", before.num_shards.to_string(), now.num_shards.to_string());
    if found.is_empty() && before.plan_hash != now.plan_hash {
        found.push(Difference { what: "plan".into(), before: short(&before.plan_hash), now: short(&now.plan_hash) });
    }
    found
}

fn compare(path: &str, before: &Value, now: &Value, note: &mut impl FnMut(&str, String, String)) {
    match (before, now) {
        (Value::Object(one), Value::Object(other)) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                compare(&path, &before[key], &now[key], note);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}[{index}]"), one, other, note);
            }
        }
        _ => note(path, before.to_string(), now.to_string()),
    }
}

/// The start of a hash, enough to tell two apart.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use indexmap::IndexMap;

    use super::*;

    fn head(pipeline: Value) -> PlanHead {
        PlanHead {
            wavemill_version: "1".into(),
            engines: [("rubato".to_owned(), "5".to_owned())].into(),
            pipeline,
            pipeline_hash: "h".into(),
            plan_hash: "p".into(),
            corpus_hash: "c".into(),
            keep_if: None,
            recordings: BTreeMap::new(),
            schema: vec![],
            at_load: IndexMap::new(),
            num_shards: 1,
        }
    }

    #[test]
    fn a_changed_setting_is_named_by_its_path() {
        let before = head(json!({"featurize": {"features": [{"kaldi_fbank": {"num_mel_bins": 40}}]}, "seed": 1}));
        let now = head(json!({"featurize": {"features": [{"kaldi_fbank": {"num_mel_bins": 80}}]}, "seed": 1}));
        let found: Vec<String> = differences(&before, &now).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["featurize.features[0].kaldi_fbank.num_mel_bins: 40 there, 80 now"]);
        assert_eq!(differences(&before, &before), []);
    }

    #[test]
    fn another_variable_is_named_by_the_condition_that_holds_it() {
        let with = |least: u8| PlanHead {
            keep_if: Some(format!("snr_db > {least}")),
            plan_hash: least.to_string(),
            ..head(json!({"keep_if": "snr_db > ${LEAST}"}))
        };
        let found: Vec<String> = differences(&with(10), &with(0)).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["keep_if, its variables filled in: `snr_db > 10` there, `snr_db > 0` now"]);
        let written = PlanHead { pipeline: json!({"keep_if": "snr_db > 0"}), ..with(0) };
        assert_eq!(differences(&with(10), &written).len(), 1);
    }
}
