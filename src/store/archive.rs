//! The archive: write-once generations, each with a manifest of its SHA-256 sums.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::disk::Access;
use super::lock::Lock;
use super::{Store, StoreError};
use crate::model::generation::Generation;
use crate::model::name::{CertName, Identifier};
use crate::model::time::{Timestamp, Validity};

/// What is to become a generation. All PEM; written as it is, judged by the pipeline.
#[derive(Debug)]
pub(crate) struct GenerationFiles<'a> {
    pub(crate) cert: &'a [u8],
    pub(crate) chain: &'a [u8],
    pub(crate) fullchain: &'a [u8],
    pub(crate) privkey: Zeroizing<Vec<u8>>,
    pub(crate) meta: Meta,
    /// Owner, group and mode the files end with; the default is ours alone, read-only.
    pub(crate) access: Access,
}

/// Where a generation comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Meta {
    pub(crate) identifiers: Vec<Identifier>,
    pub(crate) ca: String,
    pub(crate) profile: Option<String>,
    pub(crate) account_url: String,
    pub(crate) order_url: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) validity: Validity,
    /// SHA-256 of the leaf in DER, in hex.
    pub(crate) fingerprint: String,
    /// The name of the certificate in ARI (RFC 9773 §4.1), where it has one.
    pub(crate) ari_id: Option<String>,
    /// The leaf's serial number, in hex.
    pub(crate) serial: String,
    pub(crate) key_type: String,
}

/// A generation as it lies on the disk, its sums checked.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) generation: Generation,
    pub(crate) cert: Vec<u8>,
    pub(crate) chain: Vec<u8>,
    pub(crate) fullchain: Vec<u8>,
    pub(crate) privkey: Zeroizing<Vec<u8>>,
    pub(crate) meta: Meta,
}

impl Store {
    /// Adds a generation to the archive: complete, synced and numbered, or not at all.
    ///
    /// A failed sync is never retried on the same file: the generation is dropped and written once
    /// more to new inodes. The pending key and the room held for the order stay until
    /// [`Store::drop_pending`] (the room is given up when it is needed).
    pub(crate) fn publish(
        &self,
        lock: &Lock,
        files: &GenerationFiles<'_>,
    ) -> Result<Generation, StoreError> {
        todo!("{lock:?} {files:?}")
    }

    /// Reads a generation back from the disk.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a file is missing or differs from the manifest,
    /// [`StoreError::Refused`] when the key is open to others than declared.
    pub(crate) fn read(
        &self,
        name: &CertName,
        generation: Generation,
    ) -> Result<Stored, StoreError> {
        todo!("{name} {generation}")
    }

    /// Reads only where a generation comes from, without its key.
    pub(crate) fn meta(&self, name: &CertName, generation: Generation) -> Result<Meta, StoreError> {
        todo!("{name} {generation}")
    }

    /// The generations in the archive, oldest first; their contents are not looked at.
    pub(crate) fn generations(&self, name: &CertName) -> Result<Vec<Generation>, StoreError> {
        todo!("{name}")
    }
}
