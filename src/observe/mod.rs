//! Floor 4: telling the world how things stand, and what happened.
//!
//! Everything here is made of a [`crate::model::outlook::Outlook`], which says how things stand, or
//! of [`crate::model::event::Event`]s, which say what happened; nothing here looks at a store, a CA
//! or a server. What is made of them is made purely; sending it is apart from that, bounded in time
//! and size, and a failure to send is never a failure of the run.

pub(crate) mod alert;
pub(crate) mod dashboard;
pub(crate) mod health;
pub(crate) mod heartbeat;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod otlp;
pub(crate) mod page;
pub(crate) mod prometheus;
pub(crate) mod rules;
pub(crate) mod scrape;
