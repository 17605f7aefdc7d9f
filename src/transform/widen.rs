//! Transforms that lay frames side by side: how wide the column becomes.

use super::{Column, SettingError};

/// Numbers that a frame may have after frames are laid side by side: 256 KiB a frame.
const WIDEST: usize = 65_536;

/// The column `before` with `count` frames side by side; `key` is the setting that asks for them.
pub(super) fn widened(before: &Column, count: usize, key: &'static str) -> Result<Column, SettingError> {
    let bins = count.saturating_mul(before.bins.unwrap_or(1));
    if bins > WIDEST {
        return Err(SettingError::DoesNotFit { key, reason: "a frame would have more than 65536 numbers" });
    }
    Ok(Column { bins: Some(bins), ..before.clone() })
}
