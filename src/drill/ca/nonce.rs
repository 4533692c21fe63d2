//! Anti-replay nonces (RFC 8555 §6.5).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::BASE64URL_NOPAD;

/// The nonces given out and not yet used: each is good for one request.
#[derive(Default)]
pub(super) struct Nonces(Mutex<Pool>);

#[derive(Default)]
struct Pool {
    good: HashSet<String>,
    /// In the order given out, used ones among them.
    order: VecDeque<String>,
}

impl Nonces {
    /// When so many are out, the oldest is forgotten.
    const CAPACITY: usize = 10_000;

    pub(super) fn issue(&self) -> String {
        let nonce = random_text();
        let mut pool = self.pool();
        if pool.order.len() >= Self::CAPACITY {
            let oldest = pool.order.pop_front();
            oldest.map(|nonce| pool.good.remove(&nonce));
        }
        pool.good.insert(nonce.clone());
        pool.order.push_back(nonce.clone());
        nonce
    }

    /// Takes a nonce back; false when it was not out.
    pub(super) fn redeem(&self, nonce: &str) -> bool {
        self.pool().good.remove(nonce)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sixteen random bytes as base64url: nonces, tokens, names of orders.
pub(super) fn random_text() -> String {
    BASE64URL_NOPAD.encode(&random::<16>())
}

/// A number from 0.0 up to, but not, 1.0.
pub(super) fn random_share() -> f64 {
    f64::from(u32::from_ne_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}

pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's generator does not fail once seeded");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once() {
        let nonces = Nonces::default();
        let nonce = nonces.issue();
        assert!(nonces.redeem(&nonce));
        assert!(!nonces.redeem(&nonce));
        assert!(!nonces.redeem("made up"));
    }

    #[test]
    fn the_pool_is_bounded_and_forgets_the_oldest() {
        let nonces = Nonces::default();
        let first = nonces.issue();
        let second = nonces.issue();
        for _ in 1..Nonces::CAPACITY {
            nonces.issue();
        }
        assert!(!nonces.redeem(&first));
        assert!(nonces.redeem(&second));
        assert_eq!(nonces.pool().order.len(), Nonces::CAPACITY);
    }
}
