//! pipeline
pub(crate) mod machine;
