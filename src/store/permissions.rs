//! Who may write on the way to the store, and who may read its keys.

use std::path::Path;

use super::StoreError;

/// Walks from the root to `dir` by descriptor and refuses a step that others could bend.
pub(super) fn check_way(dir: &Path) -> Result<(), StoreError> {
    todo!("{dir:?}")
}
