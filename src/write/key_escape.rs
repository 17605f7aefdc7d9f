//! Keys in names of files and in lists: a character that has no place there is written as `%` and two hexadecimal digits a byte.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `key` with `%` and every character that `escape` names written as percent signs and digits. No two keys become the same.
pub(super) fn escaped(key: &str, escape: impl Fn(char) -> bool) -> Cow<'_, str> {
    let escape = |letter: char| letter == '%' || escape(letter);
    if !key.contains(escape) {
        return Cow::Borrowed(key);
    }
    let mut out = String::with_capacity(key.len() + 8);
    for letter in key.chars() {
        if escape(letter) {
            for byte in letter.encode_utf8(&mut [0; 4]).bytes() {
                // A string takes every byte.
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

/// `key` as the stem of a file: without dots, slashes and what some system has no place for in names.
pub(super) fn file_stem(key: &str) -> Cow<'_, str> {
    escaped(key, |letter| {
        letter.is_control() || matches!(letter, '.' | '/' | '\\' | '"' | '*' | ':' | '<' | '>' | '?' | '|')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_keys_become_different_stems() {
        assert_eq!(file_stem("a-1_b@3~1 ä"), "a-1_b@3~1 ä");
        assert_eq!(file_stem("a/b.c"), "a%2Fb%2Ec");
        assert_eq!(file_stem("a%2Fb"), "a%252Fb");
        assert_eq!(file_stem("\u{85}"), "%C2%85");
    }
}
