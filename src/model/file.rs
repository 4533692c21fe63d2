//! The names of the files of a generation, in the archive and in `live`; certbot's names.

pub(crate) const CERT: &str = "cert.pem";
pub(crate) const CHAIN: &str = "chain.pem";
pub(crate) const FULLCHAIN: &str = "fullchain.pem";
pub(crate) const PRIVKEY: &str = "privkey.pem";
pub(crate) const META: &str = "meta.json";
pub(crate) const ALL: [&str; 5] = [CERT, CHAIN, FULLCHAIN, PRIVKEY, META];
