//! What peers have and `augment` has not, each with the reason.

/// Transforms of audiomentations 0.43, torch-audiomentations 0.12 and lhotse 1.33 that no member of `augment` stands for.
pub const LEFT_OUT: &[(&str, &str)] = &[
    ("audiomentations.Lambda", "a function of one's own belongs to a program: `Apply` is public, and so is the chain"),
    (
        "audiomentations.Resample",
        "the stage `resample` sets the rate of all that follows; to lose a band, `resample_lowpass`",
    ),
    ("lhotse.CutConcatenate", "joins utterances of the corpus; rows are utterances or parts of them here"),
    ("lhotse.DereverbWPE", "removes reverberation: an enhancement of many seconds an utterance, no augmentation"),
    ("lhotse.GlobalMVN", "of features: `cmvn: { over: global }` under `featurize`"),
    ("lhotse.LPC10Codec", "no maintained library encodes LPC-10; `codec` and `narrowband` cover telephony"),
    ("lhotse.Resample", "the stage `resample`"),
    ("lhotse.SpecAugment", "of features: `spec_augment` under `featurize`"),
    ("torch_audiomentations.Identity", "`probability` leaves clips as they are"),
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::augment::Augments;

    #[test]
    fn every_transform_of_the_peers_is_here_or_left_out_with_a_reason() {
        let text = std::fs::read_to_string("fixtures/golden/augment/peers.json").expect("`make golden` makes it");
        let peers: BTreeMap<String, Vec<String>> = serde_json::from_str(&text).unwrap();
        let all: BTreeSet<String> =
            peers.iter().flat_map(|(peer, names)| names.iter().map(move |name| format!("{peer}.{name}"))).collect();
        assert!(all.len() > 80, "the peers have {} transforms", all.len());
        let here: BTreeSet<&str> = Augments::FAMILY.entries.iter().flat_map(|entry| entry.peers).copied().collect();
        let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();
        let missing: Vec<&String> =
            all.iter().filter(|name| !here.contains(name.as_str()) && !left_out.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "neither here nor left out: {missing:?}");
        assert_eq!(here.intersection(&left_out).collect::<Vec<_>>(), Vec::<&&str>::new(), "here and left out");
        // Of the peers whose lists are complete, no name is made up.
        let known = |name: &&&str| peers.keys().any(|peer| name.starts_with(&format!("{peer}.")));
        let wrong: Vec<_> = here.iter().chain(&left_out).filter(known).filter(|name| !all.contains(**name)).collect();
        assert!(wrong.is_empty(), "no peer has {wrong:?}");
    }
}
