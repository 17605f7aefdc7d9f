//! Checksums of single rows, so that whoever reads a few rows of a shard can hold just those against its record.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The checksums of a shard's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChecksums {
    /// Of all that a row holds beside its cells: texts, numbers, frame counts and scales
    /// ([`row_checksum::of_row`](crate::write::row_checksum::of_row)).
    pub rows: Checksums,
    /// XXH3-64 of the bytes of each row's cell, by feature column and audio column.
    pub cells: IndexMap<String, Checksums>,
}

impl RowChecksums {
    /// Of no rows: what records of wavemill's first versions have.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.0.is_empty()
    }
}

/// One checksum a row. In JSON they are one text of 16 hexadecimal digits each: a list of numbers would be parsed ten times
/// slower, and other readers of JSON round whole numbers of 64 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums(pub Vec<u64>);

/// Hexadecimal digits of one checksum.
const DIGITS: usize = 16;

impl Serialize for Checksums {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.iter().flat_map(|number| (0..DIGITS).rev().map(move |place| digit(*number, place)));
        let mut text = String::with_capacity(self.0.len() * DIGITS);
        text.extend(digits);
        serializer.serialize_str(&text)
    }
}

/// The digit at `place`, from the lowest.
const fn digit(number: u64, place: usize) -> char {
    b"0123456789abcdef"[(number >> (4 * place) & 0xf) as usize] as char
}

impl<'de> Deserialize<'de> for Checksums {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;

        impl Visitor<'_> for Digits {
            type Value = Checksums;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of {DIGITS} hexadecimal digits for each row")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Checksums, E> {
                let (numbers, rest) = text.as_bytes().as_chunks::<DIGITS>();
                if !rest.is_empty() {
                    return Err(E::invalid_length(text.len(), &self));
                }
                let numbers = numbers.iter().map(number).collect::<Option<_>>();
                numbers.map(Checksums).ok_or_else(|| E::custom("a checksum has a letter that is no hexadecimal digit"))
            }
        }

        deserializer.deserialize_str(Digits)
    }
}

/// The number that the digits stand for.
fn number(digits: &[u8; DIGITS]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn checksums_are_one_text_of_sixteen_digits_each() {
        let checksums = Checksums(vec![0, 1, 0xfedc_ba98_7654_3210, u64::MAX]);
        let json = serde_json::to_string(&checksums).unwrap();
        assert_eq!(json, "\"00000000000000000000000000000001fedcba9876543210ffffffffffffffff\"");
        assert_eq!(serde_json::from_str::<Checksums>("\"\"").unwrap(), Checksums::default());
    }

    #[test]
    fn texts_that_are_no_checksums_are_refused() {
        for text in ["0", "00000000000000000", "+000000000000001", "000000000000000g", "0000000000000ä0"] {
            assert!(serde_json::from_str::<Checksums>(&format!("\"{text}\"")).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Checksums>("[1, 2]").is_err());
    }

    proptest! {
        #[test]
        fn checksums_come_back(numbers in prop::collection::vec(any::<u64>(), 0..20)) {
            let json = serde_json::to_string(&Checksums(numbers.clone())).unwrap();
            prop_assert_eq!(serde_json::from_str::<Checksums>(&json).unwrap().0, numbers);
        }
    }
}
