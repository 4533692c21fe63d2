//! Answers as values, read from bytes nobody vouches for (RFC 1035 §4).

use std::fmt;
use std::net::IpAddr;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::{self, Name, RData, RecordType};

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    A,
    Aaaa,
    Caa,
    Cname,
    Ns,
    Soa,
    Txt,
}

impl Kind {
    pub(super) fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Caa => RecordType::CAA,
            Self::Cname => RecordType::CNAME,
            Self::Ns => RecordType::NS,
            Self::Soa => RecordType::SOA,
            Self::Txt => RecordType::TXT,
        }
    }
}

/// How an answer turned out (RFC 1035 §4.1.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Code {
    Success,
    /// NXDOMAIN: the name does not exist, nor anything below it.
    NoSuchName,
    /// SERVFAIL: the server could not find out.
    Failure,
    Refused,
    Other(u16),
}

/// One property of a CAA record (RFC 8659 §4.1).
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Property {
    pub(crate) critical: bool,
    /// In lower case.
    pub(crate) tag: String,
    pub(crate) value: Vec<u8>,
}

/// What a record says, as far as it is of use here.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Data {
    Address(IpAddr),
    Alias(Name),
    Caa(Property),
    /// A name server.
    Server(Name),
    /// A zone's SOA: the server that changes are made at, and the serial number.
    Soa {
        primary: Name,
        serial: u32,
    },
    /// The strings of a TXT record, joined.
    Text(Vec<u8>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    pub(crate) owner: Name,
    pub(crate) data: Data,
}

/// What a server answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: Code,
    pub(crate) authoritative: bool,
    pub(crate) records: Vec<Record>,
    /// The authority section: the SOA of the zone where there is nothing to answer.
    pub(crate) authority: Vec<Record>,
    /// The additional section: where servers are that a referral names.
    pub(crate) additional: Vec<Record>,
}

impl Answer {
    /// So many records of a section are looked at.
    const MOST: usize = 256;
    const LONGEST_CHAIN: usize = 16;

    pub(super) fn from_message(message: &Message) -> Self {
        let code = match message.metadata.response_code {
            ResponseCode::NoError => Code::Success,
            ResponseCode::NXDomain => Code::NoSuchName,
            ResponseCode::ServFail => Code::Failure,
            ResponseCode::Refused => Code::Refused,
            other => Code::Other(other.into()),
        };
        let read = |section: &[rr::Record]| {
            section.iter().take(Self::MOST).filter_map(Record::read).collect()
        };
        Self {
            code,
            authoritative: message.metadata.authoritative,
            records: read(&message.answers),
            authority: read(&message.authorities),
            additional: read(&message.additionals),
        }
    }

    /// Whether the server knew: there is such a name, or there is none.
    pub(crate) fn knows(&self) -> bool {
        matches!(self.code, Code::Success | Code::NoSuchName)
    }

    /// The names that `name` leads to by aliases, in turn; empty where it is no alias.
    ///
    /// A loop, or a chain beyond reason, ends where it began to be one.
    pub(crate) fn aliases(&self, name: &Name) -> Vec<Name> {
        let mut chain: Vec<Name> = Vec::new();
        while chain.len() < Self::LONGEST_CHAIN {
            let here = chain.last().unwrap_or(name);
            let next = self.of(here).find_map(|data| match data {
                Data::Alias(target) => Some(target.clone()),
                _ => None,
            });
            match next {
                Some(next) if next != *name && !chain.contains(&next) => chain.push(next),
                _ => break,
            }
        }
        chain
    }

    /// What is said of `name` or of the name its aliases lead to: no aliases, each once, in order.
    pub(crate) fn about(&self, name: &Name) -> Vec<Data> {
        let aliases = self.aliases(name);
        let end = aliases.last().unwrap_or(name);
        let data = self.of(end).filter(|data| !matches!(data, Data::Alias(_)));
        let mut found: Vec<Data> = data.cloned().collect();
        found.sort();
        found.dedup();
        found
    }

    pub(crate) fn addresses(&self, name: &Name) -> Vec<IpAddr> {
        let address = |data| if let Data::Address(ip) = data { Some(ip) } else { None };
        self.about(name).into_iter().filter_map(address).collect()
    }

    /// The serial of the zone with this name.
    pub(crate) fn serial(&self, zone: &Name) -> Option<u32> {
        let soa = |data: &_| if let Data::Soa { serial, .. } = data { Some(*serial) } else { None };
        self.of(zone).find_map(soa)
    }

    /// The server at which the zone with this name is changed (RFC 2136 §4.3).
    pub(crate) fn primary(&self, zone: &Name) -> Option<&Name> {
        self.of(zone).find_map(|data| {
            if let Data::Soa { primary, .. } = data { Some(primary) } else { None }
        })
    }

    fn of(&self, name: &Name) -> impl Iterator<Item = &Data> {
        self.records.iter().filter(move |one| one.owner == *name).map(|one| &one.data)
    }
}

/// Whether the serial `a` of a zone is older than `b` (RFC 1982 §3.2).
pub(crate) fn is_older(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() > 0
}

impl Record {
    fn read(record: &rr::Record) -> Option<Self> {
        let data = match &record.data {
            RData::A(address) => Data::Address(IpAddr::V4(address.0)),
            RData::AAAA(address) => Data::Address(IpAddr::V6(address.0)),
            RData::CNAME(target) => Data::Alias(target.0.to_lowercase()),
            RData::NS(server) => Data::Server(server.0.to_lowercase()),
            RData::SOA(soa) => Data::Soa { primary: soa.mname.to_lowercase(), serial: soa.serial },
            RData::TXT(text) => Data::Text(text.txt_data.concat()),
            RData::CAA(caa) => Data::Caa(Property {
                critical: caa.issuer_critical,
                tag: caa.tag.to_ascii_lowercase(),
                value: caa.value.clone(),
            }),
            _ => return None,
        };
        Some(Self { owner: record.name.to_lowercase(), data })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("NOERROR"),
            Self::NoSuchName => f.write_str("NXDOMAIN"),
            Self::Failure => f.write_str("SERVFAIL"),
            Self::Refused => f.write_str("REFUSED"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}
