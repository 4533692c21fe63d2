//! By what a certificate is judged besides itself: the system's roots, and its CA's own list.

use std::time::Duration;

use rustls::pki_types::CertificateDer;

use super::Hands;
use crate::certificate::{Chain, Roots};
use crate::probe::revocation::{Revocation, Revocations};

/// A CA's list that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(3);

impl Hands {
    /// The roots this system trusts.
    pub(crate) fn system_roots(&self) -> &Roots {
        self.system_roots.get_or_init(|| {
            let found: Vec<CertificateDer<'_>> = rustls_native_certs::load_native_certs().certs;
            Roots::from_ders(found)
        })
    }

    /// What the CA's own list says of a chain, as far as it comes soon.
    pub(crate) async fn revocation(&self, chain: &Chain) -> Revocation {
        let revocations = match self.revocations.get() {
            Some(made) => made,
            None => match Revocations::new(PATIENCE) {
                Ok(made) => self.revocations.get_or_init(|| made),
                Err(why) => return Revocation::Unknown(why),
            },
        };
        revocations.of(chain, self.clock.now()).await
    }
}
