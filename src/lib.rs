//! Certificate-renewal agent for the age of 6-day certificates.
//!
//! One job: a valid certificate is always being served, and nobody has to think about it.
//!
//! # The house
//! The sources are eight floors; a module may use floors below its own and its own folder, nothing
//! else (`tests/floors.rs` holds this).
//!
//! | floor | rooms | what they know |
//! |---|---|---|
//! | 8 | `cli` | people: arguments, reports, exit codes |
//! | 7 | `doctor`, `drill` | why a renewal would fail; an ACME CA of our own, to rehearse against |
//! | 6 | `agent` | wiring: real clocks, disks, CAs, servers; one pass over what is due, or one after another |
//! | 5 | `pipeline`, `config` | one certificate's walk from wanted to served; files to settings |
//! | 3½ | `hook`, `dns` | running the operator's programs, asking name servers: hands that several rooms above use |
//! | 4 | `store`, `acme`, `challenge`, `deploy`, `probe` | one part of the world each, and not each other: the disk, the CA, who answers it, servers, what clients see |
//! | 3 | `schedule`, `pipeline::machine` | judgement: when, and what may follow what |
//! | 2 | `certificate` | chains and keys, parsed or refused |
//! | 1 | `model` | the nouns |
//!
//! Floors 1 to 3 are pure: no clock, no dice, no disk, no network. What is to be decided is decided
//! there, as functions that can be tested as tables; what is to be done is done on floor 4 by rooms
//! that do not know each other; only the pipeline holds both.
//!
//! # A renewal
//! `cli` reads the arguments; `agent` takes the certificate's lock, lets the `store` recover what a
//! crash left, asks the CA for its renewal window and lets `schedule::due` decide. If it is time, a
//! run walks through the states of `pipeline::machine`: the key is stored before anything is ordered,
//! the order's URL before it is finalized; what comes back is archived, read back from the disk and
//! judged by `certificate`; then it is deployed.
//!
//! # A deploy
//! A deploy is a transaction over servers that know of none: prepare, change, look, keep or undo.
//! From Snapshot on any failure goes back to what was live before.
//!
//! | state | hands | what is done |
//! |---|---|---|
//! | Snapshot | `pipeline::rollout` | every target stages, or refuses; a baseline is taken; the way back is stored |
//! | Deploy | `pipeline::deploy` | in the first step the switch: one exchange of two directories; in each, its targets activate |
//! | Verify | `pipeline::verify` | handshakes at every place: the new certificate, and nothing wrong that was not before |
//! | Soak | `pipeline::soak` | watched for a while, by handshakes and by what servers count of their clients'; then the next step |
//! | RollBack | `pipeline::back` | the switch undone, targets restored, the last first, and looked at again |
//!
//! **All targets stage before the switch**, and not each before its step: to refuse is free until
//! then. A broken configuration, a key that a server could not read or a socket that is away then
//! cost nothing but time, and no step of a rollout is undone for what could have been known before
//! the first. A first generation is not held up by a refusal, for there is nothing to protect.
//!
//! Who does what is strictly apart. A `deploy::Target` stages, activates and restores, and never says
//! whether it was good; `probe` looks as a client does and judges purely, against what was there
//! before; `schedule::rollout` says which steps there are and how long each may take, for the old
//! certificate's life bounds them all; only the pipeline knows all three. What was wrong decides what
//! follows: a certificate that clients cannot accept is marked bad and another is ordered, a server
//! that did not take it gets the same one again from the queue of the store.
//!
//! **The journal** is `Intent` in the state file: from where, to where, the snapshot, and the
//! `Rollout` with its steps, how far it is, until when it soaks, what was seen before, and once it is
//! being undone, why. It is written before each act, so a run that was cut off goes on in the
//! direction it had, and a soak needs no process: the next run reads until when it lasts. A rollout
//! keeps the steps it began with, whatever becomes of the settings.
//!
//! `reload/` is the other end of the target `rustls`: a crate of its own that servers link, without a
//! line of this one. What the two agree on is `reload/SOCKET.md`.
//!
//! # In the DNS
//! `challenge::dns01` is split along what changes: a `Zone` edits records at one provider and knows
//! nothing else; `Dns` finds the zone that must be written, aliases followed, writes each zone's
//! records together, and waits until every server of the zone shows them. What is written is
//! remembered in the store before it is written, so that a run that was cut off leaves nothing
//! behind for good.
//!
//! # When a challenge type does not work
//! What is certain to fail is found before an order is opened (`pipeline::selftest`) and left out.
//! What cannot be presented is replaced in the same authorization, what the CA did not believe in
//! another order, counted and allowed like any (`pipeline::fallback`). Each type has one chance in a
//! run; how a generation was proven, and after what, stands in its `meta.json`.
//!
//! # Not too often, not too late
//! `schedule::budget` models what a CA allows as buckets; `store::ledger` remembers what was taken
//! from them, shared by all processes and synced before an order is sent. An order that would
//! overdraw is not sent; `renew --plan` shows the arithmetic.
//!
//! A failure costs patience first, then wishes: `schedule::backoff` spaces the attempts so that ten
//! more always fit, and `schedule::ladder` gives up, as the runway shortens, the wanted CA
//! (`schedule::choose_ca` takes the others of the list) and then the wanted profile. Nothing of this
//! is stored: each run climbs to where the runway is, and a success starts below again.
//!
//! # Three ways to run
//! `renew` is one pass: it reads `store::index` and ends when nothing is due. `renew --loop` is
//! `agent::serve`, passes at their exact instants, with the clock and the index read anew each minute;
//! the index is how it learns of what others did. `doctor` makes no pass at all: it gathers thinly,
//! judges purely, and each check ends in a finding; its cheap checks also run before an order.
//!
//! `serve` renews nothing: it stands in front of an application that had port 80
//! (`challenge::front`), and answers there what the runs of the same home present. They find it by a
//! socket in the store and hold no lock for it; where it is not, they listen themselves.
//!
//! # Where things are said once
//! Paths in `store::layout`, CAs in `acme::ca`, their limits in `schedule::limits`, exit codes in
//! `cli::exit`, the command line in `cli::args`, the keys of the settings in `config::keys`, from
//! settings to targets in `agent::targets`, and to DNS providers in `agent::zones`, the environment
//! of hooks in `hook`, what holds a deploy back in `agent::plan::hold`, what is wrong with a served
//! certificate in `probe::judge::flaws`, metrics with their panels and alarms in `observe::metrics`.

mod acme;
mod agent;
mod certificate;
mod challenge;
mod cli;
mod config;
mod deploy;
mod dns;
mod doctor;
mod drill;
mod hook;
mod model;
mod observe;
mod pipeline;
mod probe;
mod schedule;
mod store;

#[cfg(test)]
#[path = "../tests/support/ports.rs"]
mod ports;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args.into_iter().collect())
}
