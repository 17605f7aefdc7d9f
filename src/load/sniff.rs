//! Which of the formats with a reader of ours a file is, by its first bytes.

use super::error::LoadError;
use super::pcm::{Layout, head};
use super::source::Source;
use super::{aiff, au, caf, riff, sphere, w64};

/// Where the sound of a file lies, if it is of a format that is read here.
///
/// # Errors
///
/// The file cannot be read, its header breaks the rules of its format, or nothing decodes its codec.
pub(super) fn layout(source: &mut Source) -> Result<Option<Layout>, LoadError> {
    let mut magic = [0; 16];
    let head = head(source, &mut magic)?;
    match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..]
        | [b'R', b'F', b'6', b'4', ..]
        | [b'B', b'W', b'6', b'4', ..] => riff::layout(source).map(Some),
        [b'.', b's', b'n', b'd', ..] => au::layout(source).map(Some),
        [b'N', b'I', b'S', b'T', b'_', b'1', b'A', ..] => sphere::layout(source).map(Some),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => aiff::layout(source).map(Some),
        [b'c', b'a', b'f', b'f', ..] => caf::layout(source),
        head if head == w64::RIFF => w64::layout(source).map(Some),
        _ => Ok(None),
    }
}
