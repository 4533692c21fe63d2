//! Typed settings into TOML, over what an operator wrote.
