//! Texts as numbers for a loss: characters, or the tokens of a file.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The word of token 0, which no text has: CTC's blank, and what stands behind a text that is shorter than others of its batch.
const BLANK: &str = "<blk>";
/// The word of a token that stands for whatever has none.
const UNKNOWN: &str = "<unk>";
/// How a tokens file writes a space by itself.
const SPACE: &str = "<space>";
/// How sentencepiece writes the space before a word: U+2581.
const WORD_START: &str = "\u{2581}";

/// Tokens and their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// By number; empty where a number is not used.
    tokens: Vec<String>,
    ids: HashMap<String, i64>,
    /// Characters of the longest token.
    longest: usize,
    /// Whether tokens hold the space before a word.
    marks_words: bool,
}

/// Why a text has no numbers, or a file no tokens.
#[derive(Debug, Error)]
pub enum VocabularyError {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line of the file is no token.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A text holds what no token stands for.
    #[error("no token stands for `{character}` in `{text}`, and there is no `<unk>`")]
    NoToken {
        /// The text.
        text: String,
        /// What there is no token for.
        character: char,
    },
}

/// Texts of a batch as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Row-major `[rows, longest]`, with 0 behind what is shorter.
    pub ids: Vec<i64>,
    /// Tokens of each row.
    pub lengths: Vec<i64>,
}

impl Vocabulary {
    /// Every character of these texts, in the order of Unicode, from 1 on; 0 is the blank.
    #[must_use]
    pub fn characters<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let characters: BTreeSet<char> = texts.into_iter().flat_map(str::chars).collect();
        let tokens = std::iter::once(BLANK.to_owned()).chain(characters.into_iter().map(String::from));
        Self::of(tokens.collect())
    }

    /// The tokens of a file, one a line: `token number` as Kaldi's `words.txt` and icefall's `tokens.txt` have it, or the token alone,
    /// numbered from 0. Number 0 is the blank, whatever the file calls it. A space is `<space>`, or U+2581 in front of a word as sentencepiece writes it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a token or a number is there twice.
    pub fn from_file(path: &Path) -> Result<Self, VocabularyError> {
        /// More than any model has.
        const MOST: usize = 10_000_000;
        let text =
            fs::read_to_string(path).map_err(|source| VocabularyError::Unreadable { path: path.to_owned(), source })?;
        let mut tokens: Vec<String> = Vec::new();
        let mut seen = HashMap::new();
        for (line, content) in (1..).zip(text.lines()) {
            let wrong = |reason: String| VocabularyError::Line { path: path.to_owned(), line, reason };
            let content = content.trim_end_matches('\r');
            if content.is_empty() {
                continue;
            }
            let (token, id) = match content.rsplit_once([' ', '\t']) {
                Some((token, id)) => {
                    let id: Result<usize, _> = id.parse();
                    (token.trim_end(), id.map_err(|_| wrong("there is no number behind the token".to_owned()))?)
                }
                None => (content, tokens.len()),
            };
            if id >= MOST {
                return Err(wrong(format!("{id} is more than a vocabulary has")));
            }
            if let Some(before) = seen.insert(token.to_owned(), line) {
                return Err(wrong(format!("the token `{token}` stands on line {before} already")));
            }
            if tokens.len() <= id {
                tokens.resize(id + 1, String::new());
            }
            if !tokens[id].is_empty() {
                return Err(wrong(format!("the number {id} is that of `{}` already", tokens[id])));
            }
            token.clone_into(&mut tokens[id]);
        }
        Ok(Self::of(tokens))
    }

    fn of(tokens: Vec<String>) -> Self {
        // Whatever number 0 stands for, no text has it.
        let numbered = (0..).zip(&tokens).skip(1).filter(|(_, token)| !token.is_empty());
        let ids: HashMap<String, i64> = numbered.map(|(id, token)| (token.clone(), id)).collect();
        let longest = tokens.iter().map(|token| token.chars().count()).max().unwrap_or(0);
        let marks_words = tokens.iter().any(|token| token.starts_with(WORD_START));
        Self { tokens, ids, longest, marks_words }
    }

    /// How many numbers there are, the blank counted: the size of a model's output.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The numbers of a text: at each place the longest token that fits. That is how characters and words are told; of pieces of a
    /// language model (BPE) it may be another cut than that of the model.
    ///
    /// # Errors
    ///
    /// No token fits, and there is no `<unk>`.
    pub fn encode(&self, text: &str) -> Result<Vec<i64>, VocabularyError> {
        let written;
        let mut rest = if self.marks_words {
            written = format!("{WORD_START}{}", text.split_whitespace().collect::<Vec<_>>().join(WORD_START));
            written.as_str()
        } else {
            text
        };
        let mut ids = Vec::new();
        while let Some(character) = rest.chars().next() {
            let ends = rest.char_indices().map(|(place, letter)| place + letter.len_utf8()).take(self.longest);
            let longest = ends.filter_map(|end| Some((end, *self.ids.get(&rest[..end])?))).last();
            let space = || self.ids.get(SPACE).filter(|_| character == ' ').map(|id| (1, *id));
            let unknown = || self.ids.get(UNKNOWN).map(|id| (character.len_utf8(), *id));
            let Some((end, id)) = longest.or_else(space).or_else(unknown) else {
                return Err(VocabularyError::NoToken { text: text.to_owned(), character });
            };
            ids.push(id);
            rest = &rest[end..];
        }
        Ok(ids)
    }

    /// The text of some numbers; the blank and numbers without a token are nothing.
    #[must_use]
    pub fn decode(&self, ids: &[i64]) -> String {
        let token = |id: &i64| usize::try_from(*id).ok().filter(|id| *id > 0).and_then(|id| self.tokens.get(id));
        let text: String = ids.iter().filter_map(token).map(|token| if token == SPACE { " " } else { token }).collect();
        text.replace(WORD_START, " ").trim_start().to_owned()
    }

    /// The texts of a batch; what has no text has no tokens.
    ///
    /// # Errors
    ///
    /// A text holds what no token stands for.
    pub fn batch(&self, texts: &[Option<String>]) -> Result<Ids, VocabularyError> {
        let rows = texts.iter().map(|text| self.encode(text.as_deref().unwrap_or_default()));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * longest);
        for row in &rows {
            ids.extend(row);
            ids.resize(ids.len() + longest - row.len(), 0);
        }
        Ok(Ids { ids, lengths: rows.iter().map(|row| row.len() as i64).collect() })
    }
}

impl Ids {
    /// Tokens that each row takes, what stands behind it counted.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.ids.len().checked_div(self.lengths.len()).unwrap_or(0)
    }

    /// The numbers, `[rows, longest]`, and the lengths, `[rows]`: Int64.
    #[cfg(feature = "tch")]
    pub fn to_tensors(&self, device: tch::Device) -> (tch::Tensor, tch::Tensor) {
        let shape = [self.lengths.len() as i64, self.longest() as i64];
        let ids = tch::Tensor::from_slice(&self.ids).reshape(shape).to_device(device);
        (ids, tch::Tensor::from_slice(&self.lengths).to_device(device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_numbered_from_one_and_texts_padded_with_the_blank() {
        let vocabulary = Vocabulary::characters(["cab a", "bä"]);
        assert_eq!(vocabulary.len(), 6);
        assert_eq!(vocabulary.encode("ab").unwrap(), [2, 3]);
        assert_eq!(vocabulary.decode(&[4, 2, 3, 0, 1, 2, 99]), "cab a");
        let ids = vocabulary.batch(&[Some("b".to_owned()), None, Some("cab".to_owned())]).unwrap();
        assert_eq!(ids, Ids { ids: vec![3, 0, 0, 0, 0, 0, 4, 2, 3], lengths: vec![1, 0, 3] });
        assert_eq!(ids.longest(), 3);
        let error = vocabulary.encode("abx").unwrap_err().to_string();
        assert_eq!(error, "no token stands for `x` in `abx`, and there is no `<unk>`");
    }

    fn file(content: &str) -> Result<Vocabulary, VocabularyError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        Vocabulary::from_file(file.path())
    }

    #[test]
    fn a_tokens_file_is_read_as_kaldi_and_sentencepiece_write_them() {
        let words = file("<blk> 0\n<unk> 1\nA 2\nB 3\n<space> 4\n").unwrap();
        assert_eq!(words.encode("AB xA").unwrap(), [2, 3, 4, 1, 2]);
        assert_eq!(words.decode(&[2, 4, 3]), "A B");
        let pieces = file("<blk>\n\u{2581}the\n\u{2581}\nt\nh\ne\n").unwrap();
        assert_eq!(pieces.encode("the he").unwrap(), [1, 2, 4, 5]);
        assert_eq!(pieces.decode(&[1, 2, 4, 5]), "the he");
        for (content, told) in
            [("a 0\na 1", "line 2"), ("a 0\nb 0", "line 2"), ("a b", "line 1"), ("a 99999999999", "line 1")]
        {
            assert!(file(content).unwrap_err().to_string().contains(told));
        }
        assert!(Vocabulary::from_file("nowhere".as_ref()).unwrap_err().to_string().contains("nowhere"));
    }
}
