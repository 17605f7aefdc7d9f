//! The valid word that somebody most likely meant.

/// The candidate nearest to `word`, if any is near: spelt much alike, or one containing the other.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this likeness two words are different words, not a slip of the fingers.
    const ALIKE: f64 = 0.8;
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (likeness(&word, &candidate.to_lowercase()), candidate))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

fn likeness(word: &str, candidate: &str) -> f64 {
    let spelt = strsim::jaro_winkler(word, candidate).max(strsim::normalized_damerau_levenshtein(word, candidate));
    let shorter = word.len().min(candidate.len());
    if shorter >= 3 && (word.contains(candidate) || candidate.contains(word)) { spelt.max(0.85) } else { spelt }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_other_words_find_none() {
        let words = ["kaldi_fbank", "log_mel", "waveform"];
        for (slip, word) in [("kaldi_fbnk", "kaldi_fbank"), ("fbank", "kaldi_fbank"), ("logmel", "log_mel")] {
            assert_eq!(nearest(slip, words), Some(word), "{slip}");
        }
        assert_eq!(nearest("spectrogram", words), None);
    }
}
