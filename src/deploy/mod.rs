//! Floor 4: certificates put to use by the servers and programs of the operator.

pub(crate) mod hook;
