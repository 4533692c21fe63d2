//! Dynamic updates (RFC 2136) signed by TSIG (RFC 8945).
//!
//! All records of a zone go into one message, which a server takes whole or not at all. They are
//! added to what is at their names and deleted value by value, so those of others stay.

mod exchange;
mod refusal;
mod settings;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hickory_net::proto::op::{Message, MessageType, OpCode, Query, ResponseCode, UpdateMessage};
use hickory_net::proto::rr::rdata::TXT;
use hickory_net::proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::credentials::Credentials;
use super::{DnsError, Zone};
use crate::dns::{self, Kind, Manner, Resolvers};
use crate::model::name::Identifier;
use crate::model::txt::Txt;
use exchange::{Exchange, Heard};
use refusal::Refusal;
use settings::{PORT, Settings};

/// How long, in seconds, a record may be remembered by resolvers: as short as can be, for another
/// order may need another value at the same name at once, and a CA whose resolver still remembered
/// this one would not see it.
const TTL: u32 = 1;

/// So much of a message records take; the rest of what TCP allows is room for what names need.
const LARGEST: usize = 16 * 1024;

/// One message to one server, over all its addresses.
const PATIENCE: Duration = Duration::from_secs(15);
const MOST_ADDRESSES: usize = 4;

/// Edits zones by updates to their primary server.
pub(super) struct Rfc2136 {
    label: String,
    settings: Settings,
    clock: fn() -> u64,
}

impl Rfc2136 {
    /// Reads `server`, `key`, `secret` and `algorithm`; nothing is asked yet.
    pub(super) fn new(label: &str, credentials: &Credentials) -> Result<Self, DnsError> {
        let bad = |why| DnsError::Credentials { provider: label.to_owned(), why };
        let settings = Settings::read(credentials).map_err(bad)?;
        Ok(Self { label: label.to_owned(), settings, clock: seconds })
    }

    /// Sends the same kind of change for all of these records, of one zone, in as few messages as
    /// will do.
    async fn change(
        &self,
        records: &[Txt],
        record: impl Fn(Name, TXT) -> Record,
    ) -> Result<(), DnsError> {
        let Some(first) = records.first() else { return Ok(()) };
        let apex = self.apex(&first.apex)?;
        let mut changes = Vec::with_capacity(records.len());
        for txt in records {
            changes.push(record(owner(txt, &apex)?, text(&txt.value)));
        }
        let server = self.server(&apex).await?;
        for part in parts(&changes) {
            let mut message = update(&apex);
            message.add_updates(part.iter().cloned());
            self.send(&server, &apex, message).await?;
        }
        Ok(())
    }

    fn apex(&self, apex: &str) -> Result<Name, DnsError> {
        let none = || DnsError::NoZone { provider: self.label.clone(), apex: apex.to_owned() };
        dns::name(apex).ok_or_else(none)
    }

    /// The server of the settings, else the one that the zone itself names, and its addresses.
    async fn server(&self, apex: &Name) -> Result<Server, DnsError> {
        let (host, port) = match &self.settings.server {
            Some(server) => match server.host() {
                Identifier::Ip(ip) => {
                    let at = SocketAddr::new(*ip, server.port());
                    return Ok(Server { shown: at.to_string(), addresses: vec![at] });
                }
                host => (host.to_string(), server.port()),
            },
            None => (self.primary(apex).await?, PORT),
        };
        let shown = if port == PORT { host.clone() } else { format!("{host}:{port}") };
        // A primary that is hidden is often named by what nobody can find.
        let named = match &self.settings.server {
            Some(_) => "",
            None => {
                "; it is the primary in the zone's SOA, `server` in the credentials names another"
            }
        };
        let unknown = |why| self.unreachable(&shown, format!("{why}{named}"));
        let found = timeout(PATIENCE, lookup_host((host.as_str(), port))).await;
        let found = found.map_err(|_| unknown("its address is not found in time".to_owned()))?;
        let found = found.map_err(|error| unknown(format!("its address is not found: {error}")))?;
        let addresses: Vec<SocketAddr> = found.take(MOST_ADDRESSES).collect();
        if addresses.is_empty() {
            return Err(unknown("it has no address".to_owned()));
        }
        Ok(Server { shown, addresses })
    }

    /// The name of the server that the SOA of the zone says takes its updates.
    async fn primary(&self, apex: &Name) -> Result<String, DnsError> {
        let zone = dns::shown(apex);
        let unknown = |why| self.unreachable(&format!("the primary server of {zone}"), why);
        let asked = Resolvers::of_system().ask(apex, Kind::Soa, Manner::Recursive).await;
        let answer = asked.map_err(|error| {
            unknown(format!("the resolver of this host gives no answer about {zone}: {error}"))
        })?;
        let primary = answer.primary(apex).ok_or_else(|| {
            unknown(format!("the resolver of this host finds no SOA of {zone} ({})", answer.code))
        })?;
        Ok(dns::shown(primary))
    }

    /// Sends to one address after another until one answers, whatever it says.
    async fn send(&self, to: &Server, apex: &Name, message: Message) -> Result<(), DnsError> {
        let key = self.settings.key.as_ref();
        let exchange = Exchange::prepare(message, key, (self.clock)());
        let exchange = exchange.map_err(|why| self.unreachable(&to.shown, why))?;
        let mut heard = Heard::Silence;
        let _ = timeout(PATIENCE, async {
            for address in &to.addresses {
                heard = exchange.with(*address).await;
                if heard.is_answer() {
                    break;
                }
            }
        })
        .await;
        if matches!(heard, Heard::Code(ResponseCode::NoError)) {
            return Ok(());
        }
        let provider = self.at(&to.shown);
        let refusal = Refusal { provider, apex: dns::shown(apex), key: key.map(key_name) };
        Err(refusal.explain(heard))
    }

    fn unreachable(&self, server: &str, why: String) -> DnsError {
        DnsError::Unreachable { provider: self.at(server), why }
    }

    /// The provider and which of its servers, for messages.
    fn at(&self, server: &str) -> String {
        format!("{} at {server}", self.label)
    }
}

#[async_trait]
impl Zone for Rfc2136 {
    fn label(&self) -> &str {
        &self.label
    }

    /// Sends an update that requires the zone's SOA and changes nothing (RFC 2136 §2.4.1).
    ///
    /// That proves the key and that the server is the zone's primary. Rights that are given by name,
    /// as BIND's `update-policy` does, are looked at only when such a name is written.
    async fn check(&self, apex: &str) -> Result<(), DnsError> {
        let apex = self.apex(apex)?;
        let server = self.server(&apex).await?;
        let mut message = update(&apex);
        let mut exists = Record::update0(apex.clone(), 0, RecordType::SOA);
        exists.dns_class = DNSClass::ANY;
        message.add_pre_requisite(exists);
        self.send(&server, &apex, message).await
    }

    async fn add(&self, records: &[Txt]) -> Result<(), DnsError> {
        self.change(records, |owner, text| Record::from_rdata(owner, TTL, RData::TXT(text))).await
    }

    /// Deletes each value from its set of records (RFC 2136 §2.5.4).
    async fn remove(&self, records: &[Txt]) -> Result<(), DnsError> {
        self.change(records, |owner, text| {
            let mut record = Record::from_rdata(owner, 0, RData::TXT(text));
            record.dns_class = DNSClass::NONE;
            record
        })
        .await
    }
}

/// A server as messages call it, and where it is.
struct Server {
    shown: String,
    addresses: Vec<SocketAddr>,
}

/// An update of this zone that changes nothing yet.
fn update(apex: &Name) -> Message {
    let id = Message::query().metadata.id;
    let mut message = Message::new(id, MessageType::Query, OpCode::Update);
    message.add_zone(Query::query(apex.clone(), RecordType::SOA));
    message
}

/// The name of a record, which must lie in the zone.
fn owner(txt: &Txt, apex: &Name) -> Result<Name, DnsError> {
    let bad = |why: String| DnsError::Unwritable { name: txt.owner.clone(), why };
    let owner = dns::name(&txt.owner);
    let owner = owner.ok_or_else(|| bad("the DNS has no such name".to_owned()))?;
    if apex.zone_of(&owner) {
        return Ok(owner);
    }
    Err(bad(format!("it does not lie in the zone {}", dns::shown(apex))))
}

/// Strings within a TXT record are at most 255 bytes long (RFC 1035 §3.3).
fn text(value: &str) -> TXT {
    TXT::from_bytes(value.as_bytes().chunks(255).collect())
}

/// Records in parts that fit into one message each.
fn parts(records: &[Record]) -> Vec<&[Record]> {
    let size = |record: &Record| {
        let RData::TXT(text) = &record.data else { return 0 };
        // Type, class, TTL and length are 10 bytes; each string has one more.
        record.name.len() + 10 + text.txt_data.iter().map(|part| part.len() + 1).sum::<usize>()
    };
    let (mut parts, mut begin, mut filled) = (Vec::new(), 0, 0);
    for (index, record) in records.iter().enumerate() {
        if filled > 0 && filled + size(record) > LARGEST {
            parts.push(&records[begin..index]);
            (begin, filled) = (index, 0);
        }
        filled += size(record);
    }
    parts.push(&records[begin..]);
    parts
}

fn key_name(key: &TSigner) -> String {
    dns::shown(key.signer_name())
}

/// Seconds since 1970, as signatures carry them.
#[allow(
    clippy::disallowed_methods,
    reason = "a signature is worth what its time is (RFC 8945 §5.2.3)"
)]
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
