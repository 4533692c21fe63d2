//! One signed message and its answer: by UDP where it is short, else by TCP (RFC 2136 §6.2).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_net::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_net::proto::rr::TSigner;
use hickory_net::proto::rr::rdata::tsig::TsigError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long each datagram waits for its answer, and how many are sent.
const UDP_PATIENCE: Duration = Duration::from_millis(2500);
const DATAGRAMS: usize = 2;
/// From the first packet of a connection to the last byte of the answer.
const TCP_PATIENCE: Duration = Duration::from_secs(5);

/// The largest datagram that passes everywhere unfragmented (RFC 9715 §3.2).
const LARGEST_DATAGRAM: usize = 1232;

/// What came of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    /// The answer, signed by our key if there is one.
    Code(ResponseCode),
    /// An answer that nobody vouches for.
    Unsigned(ResponseCode),
    /// An answer whose signature is wrong.
    Forged,
    /// What the server has against our signature (RFC 8945 §3). It cannot sign that itself unless
    /// only the time is wrong; then it says how far its clock is ahead of ours, in seconds.
    Tsig {
        error: TsigError,
        ahead: Option<i64>,
    },
    Nonsense,
    Io(ErrorKind),
    Silence,
}

/// A message ready to be sent, as often as need be: servers take the same update twice.
pub(super) struct Exchange {
    message: Message,
    bytes: Vec<u8>,
    time: u64,
    key: Option<TSigner>,
}

impl Heard {
    /// Whether there is a server that understood.
    pub(super) fn is_answer(self) -> bool {
        !matches!(self, Self::Nonsense | Self::Io(_) | Self::Silence)
    }
}

impl From<io::Error> for Heard {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

impl Exchange {
    /// Signs the message as of `time`, in seconds since 1970.
    pub(super) fn prepare(
        mut message: Message,
        key: Option<&TSigner>,
        time: u64,
    ) -> Result<Self, String> {
        if let Some(key) = key {
            message.finalize(key, time).map_err(|error| error.to_string())?;
        }
        let bytes = message.to_vec().map_err(|error| error.to_string())?;
        Ok(Self { message, bytes, time, key: key.cloned() })
    }

    /// Sends it to this address and hears the answer.
    ///
    /// An answer by UDP that proves nothing may be anybody's: it is asked for again by TCP.
    pub(super) async fn with(&self, server: SocketAddr) -> Heard {
        let by_udp = match self.bytes.len() {
            ..=LARGEST_DATAGRAM => self.by_udp(server).await.unwrap_or_else(Heard::from),
            _ => Heard::Silence,
        };
        if matches!(by_udp, Heard::Code(_)) {
            return by_udp;
        }
        let by_tcp = timeout(TCP_PATIENCE, self.by_tcp(server)).await;
        let by_tcp = by_tcp.map_or(Heard::Silence, |heard| heard.unwrap_or_else(Heard::from));
        if by_udp.is_answer() && !by_tcp.is_answer() { by_udp } else { by_tcp }
    }

    async fn by_udp(&self, server: SocketAddr) -> io::Result<Heard> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        // From now on only this server is heard.
        socket.connect(server).await?;
        let mut buffer = [0; 4096];
        for _ in 0..DATAGRAMS {
            socket.send(&self.bytes).await?;
            let answer = timeout(UDP_PATIENCE, async {
                loop {
                    let length = socket.recv(&mut buffer).await?;
                    match self.read(&buffer[..length]) {
                        Heard::Nonsense => {}
                        heard => return io::Result::Ok(heard),
                    }
                }
            });
            if let Ok(heard) = answer.await {
                return heard;
            }
        }
        Ok(Heard::Silence)
    }

    async fn by_tcp(&self, server: SocketAddr) -> io::Result<Heard> {
        let mut stream = TcpStream::connect(server).await?;
        let Ok(length) = u16::try_from(self.bytes.len()) else {
            return Err(ErrorKind::FileTooLarge.into());
        };
        stream.write_all(&[&length.to_be_bytes(), self.bytes.as_slice()].concat()).await?;
        let length = stream.read_u16().await?;
        let mut buffer = vec![0; length.into()];
        stream.read_exact(&mut buffer).await?;
        Ok(self.read(&buffer))
    }

    /// Reads the answer to this message, and nothing else.
    fn read(&self, bytes: &[u8]) -> Heard {
        let Ok(answer) = Message::from_vec(bytes) else { return Heard::Nonsense };
        let metadata = &answer.metadata;
        let code = metadata.response_code;
        if metadata.message_type != MessageType::Response
            || metadata.op_code != OpCode::Update
            || metadata.id != self.message.metadata.id
        {
            return Heard::Nonsense;
        }
        let (Some(key), Some(asked)) = (&self.key, &self.message.signature) else {
            // What was cut off may have been anything: it is asked for again by TCP.
            return if metadata.truncation { Heard::Unsigned(code) } else { Heard::Code(code) };
        };
        let Some(signature) = &answer.signature else { return Heard::Unsigned(code) };
        let signature = &signature.data;
        match (key.verify_message_byte(bytes, Some(&asked.data.mac), true), signature.error) {
            (Ok(_), Some(error)) => Heard::Tsig { error, ahead: self.ahead(&signature.other) },
            (Ok((_, _, when)), None) if when.contains(&self.time) => Heard::Code(code),
            (Err(_), Some(error)) if signature.mac.is_empty() => Heard::Tsig { error, ahead: None },
            _ => Heard::Forged,
        }
    }

    /// How far a server's clock is ahead, from the 48 bits it writes (RFC 8945 §5.2.3).
    fn ahead(&self, other: &[u8]) -> Option<i64> {
        let bytes: [u8; 6] = other.try_into().ok()?;
        let theirs = bytes.iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
        Some(theirs - i64::try_from(self.time).ok()?)
    }
}
