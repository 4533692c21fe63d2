//! One question to one server: by UDP, and by TCP where that does not do (RFC 1035 §4.2, RFC 7766).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, MessageType, Query};
use hickory_resolver::proto::rr::Name;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::answer::{Answer, Kind};

const PORT: u16 = 53;

/// How long each datagram waits for its answer, and how many are sent.
const UDP_PATIENCE: Duration = Duration::from_millis(1200);
const DATAGRAMS: usize = 2;
/// From the first packet of a connection to the last byte of the answer.
const TCP_PATIENCE: Duration = Duration::from_millis(1500);

/// The largest datagram that passes everywhere unfragmented (RFC 9715 §3.2).
const PAYLOAD: u16 = 1232;

/// What is expected of the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// To say what it knows itself.
    Iterative,
    /// To find out, and to check signatures if it does that at all.
    Recursive,
    /// To find out, whatever signatures are worth (RFC 4035 §3.2.2).
    Unchecked,
}

/// Why a server gave no answer.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum AskError {
    #[error("no answer")]
    Silent,
    /// This host cannot send anything there, which says nothing about the server.
    #[error("no way leads there from here")]
    NoRoute,
    #[error("{0}")]
    Io(ErrorKind),
    #[error("what it sends is no DNS")]
    Nonsense,
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        use ErrorKind::{
            AddrNotAvailable, HostUnreachable, NetworkUnreachable, PermissionDenied, Unsupported,
        };
        match error.kind() {
            AddrNotAvailable | HostUnreachable | NetworkUnreachable | PermissionDenied
            | Unsupported => Self::NoRoute,
            kind => Self::Io(kind),
        }
    }
}

/// Asks this server; takes as long as two datagrams and one connection may, and no longer.
pub(crate) async fn ask(
    server: IpAddr,
    name: &Name,
    kind: Kind,
    manner: Manner,
) -> Result<Answer, AskError> {
    let question = question(name, kind, manner);
    let bytes = question.to_vec().map_err(|_| AskError::Nonsense)?;
    let server = SocketAddr::new(server, PORT);
    let message = match by_udp(server, &question, &bytes).await {
        Ok(message) if !message.metadata.truncation => message,
        Err(error @ AskError::NoRoute) => return Err(error),
        // A server nobody listens at, and one that a firewall hides, may do better by TCP.
        udp => {
            let by_tcp = timeout(TCP_PATIENCE, by_tcp(server, &question, &bytes)).await;
            match (udp, by_tcp.unwrap_or(Err(AskError::Silent))) {
                (_, Ok(message)) => message,
                (Err(error), Err(_)) | (Ok(_), Err(error)) => return Err(error),
            }
        }
    };
    Ok(Answer::from_message(&message))
}

fn question(name: &Name, kind: Kind, manner: Manner) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = manner != Manner::Iterative;
    message.metadata.checking_disabled = manner == Manner::Unchecked;
    message.add_query(Query::query(name.clone(), kind.record_type()));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    message
}

async fn by_udp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Message, AskError> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From now on only this server is heard.
    socket.connect(server).await?;
    for _ in 0..DATAGRAMS {
        socket.send(bytes).await?;
        if let Ok(message) = timeout(UDP_PATIENCE, receive(&socket, question)).await {
            return message;
        }
    }
    Err(AskError::Silent)
}

/// Waits for the answer to this question; what answers another is ignored.
async fn receive(socket: &UdpSocket, question: &Message) -> Result<Message, AskError> {
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(message) = read(&buffer[..length], question) {
            return Ok(message);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &Message, bytes: &[u8]) -> Result<Message, AskError> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(bytes.len()).map_err(|_| AskError::Nonsense)?;
    stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
    let length = stream.read_u16().await?;
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await?;
    read(&buffer, question).ok_or(AskError::Nonsense)
}

/// Reads the answer to this question, and nothing else (RFC 5452 §4).
fn read(bytes: &[u8], question: &Message) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    let answers = message.metadata.message_type == MessageType::Response
        && message.metadata.id == question.metadata.id
        // Some errors come without the question (RFC 1035 §4.1.1).
        && (message.queries.is_empty() && message.answers.is_empty()
            || message.queries == question.queries);
    answers.then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_is_read() {
        let name = Name::from_ascii("a.example.").unwrap();
        let asked = question(&name, Kind::A, Manner::Iterative);
        assert!(!asked.metadata.recursion_desired && !asked.metadata.checking_disabled);
        let unchecked = question(&name, Kind::A, Manner::Unchecked).metadata;
        assert!(unchecked.recursion_desired && unchecked.checking_disabled);
        type Change = fn(&mut Message);
        let table: [(Change, bool); 6] = [
            (|_| {}, true),
            (|message| message.queries.clear(), true),
            (|message| message.metadata.id ^= 1, false),
            (|message| message.metadata.message_type = MessageType::Query, false),
            (|message| _ = message.queries[0].set_name(Name::root()), false),
            (|message| _ = message.queries[0].set_query_type(Kind::Txt.record_type()), false),
        ];
        for (index, (change, answers)) in table.into_iter().enumerate() {
            let mut message = asked.clone().into_response();
            change(&mut message);
            let bytes = message.to_vec().unwrap();
            assert_eq!(read(&bytes, &asked).is_some(), answers, "{index}");
            assert!(read(&bytes[..bytes.len() - 1], &asked).is_none(), "{index}");
        }
    }
}
