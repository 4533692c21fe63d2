//! Updates to real servers, to sockets that misbehave, and the settings as a table.

mod servers;

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::challenge::dns01::conformance::{conforms, txt, value};
use crate::model::fault::Fault;
use crate::ports::free_ports;
use servers::{CLOSED, KEYLESS, Make, NARROW, OTHER_SECRET, SECRET, Server, WIDE};

fn made(text: &str) -> Result<Rfc2136, DnsError> {
    Rfc2136::new("rfc2136", &Credentials::parse(text).unwrap())
}

fn signed(at: SocketAddr, key: &str, secret: &str, algorithm: &str) -> Rfc2136 {
    let text = format!(
        "server = \"{at}\"\nkey = \"{key}\"\nsecret = \"{secret}\"\nalgorithm = \"{algorithm}\""
    );
    made(&text).unwrap()
}

fn zone(at: SocketAddr) -> Rfc2136 {
    signed(at, "acme", SECRET, "hmac-sha256")
}

fn said(error: &DnsError) -> String {
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && !text.contains(SECRET), "{text:?}");
    format!("{text} [{:?}]", error.fault())
}

async fn servers() -> [Server; 2] {
    [Server::start(Make::Bind).await, Server::start(Make::Knot).await]
}

#[tokio::test]
async fn bind_conforms() {
    let mut server = Server::start(Make::Bind).await;
    conforms(&zone(server.at), &mut server).await;
}

#[tokio::test]
async fn knot_conforms() {
    let mut server = Server::start(Make::Knot).await;
    conforms(&zone(server.at), &mut server).await;
}

#[tokio::test]
async fn a_check_writes_nothing() {
    for server in servers().await {
        let before = server.serial(WIDE).await;
        zone(server.at).check(WIDE).await.unwrap();
        assert_eq!(server.serial(WIDE).await, before, "{:?}", server.make);
    }
}

/// Whoever does not get in learns why, by `check` as by `add`.
#[tokio::test]
async fn refusals_are_told_apart() {
    let mut wrong = Vec::new();
    for server in servers().await {
        let at = server.at;
        let mut late = zone(at);
        late.clock = || seconds() - 1000;
        let mut keyless = made(&format!("server = \"{at}\"")).unwrap();
        keyless.label = "keyless".to_owned();
        let table = [
            (signed(at, "acme", OTHER_SECRET, "hmac-sha256"), WIDE, "BADSIG"),
            (signed(at, "acne", SECRET, "hmac-sha256"), WIDE, "BADKEY"),
            (signed(at, "acme", SECRET, "hmac-sha512"), WIDE, "BADKEY"),
            (late, WIDE, "its clock is 1000 s ahead of that of this host (BADTIME) [Permanent]"),
            (zone(at), "other.example", "has no zone other.example"),
            (zone(at), "sub.wide.example", "has no zone sub.wide.example"),
            (zone(at), CLOSED, if server.make == Make::Bind { "(REFUSED)" } else { "(BADKEY)" }),
            (keyless, WIDE, "keyless at"),
        ];
        for (zone, apex, expected) in table {
            let check = said(&zone.check(apex).await.expect_err(expected));
            let add = said(&zone.add(&[txt(apex, "", &value(1))]).await.expect_err(expected));
            if !(check.contains(expected) && add.contains(expected)) {
                wrong.push(format!("{:?}: {expected}: {check}; {add}", server.make));
            }
            assert!(add.contains(&at.to_string()), "{add}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn the_right_to_one_name_suffices() {
    for server in servers().await {
        let zone = zone(server.at);
        let ours = txt(NARROW, "", &value(1));
        zone.check(NARROW).await.unwrap();
        zone.add(std::slice::from_ref(&ours)).await.unwrap();
        assert_eq!(server.texts(&ours.owner).await, [value(1)]);
        let both = [txt(NARROW, "", &value(2)), txt(NARROW, "www", &value(3))];
        let error = said(&zone.add(&both).await.unwrap_err());
        let expected = match server.make {
            Make::Bind => "its policy forbids this to the key acme (REFUSED)",
            Make::Knot => "or that key has no right to this (BADKEY)",
        };
        assert!(error.contains(expected), "{error}");
        // A message is done whole or not at all.
        assert_eq!(server.texts(&ours.owner).await, [value(1)]);
        zone.remove(std::slice::from_ref(&ours)).await.unwrap();
        assert!(server.texts(&ours.owner).await.is_empty());
    }
}

#[tokio::test]
async fn without_a_key_where_the_server_lets_this_host() {
    for server in servers().await {
        let zone = made(&format!("server = \"{}\"", server.at)).unwrap();
        zone.check(KEYLESS).await.unwrap();
        let ours = [txt(KEYLESS, "", &value(1))];
        zone.add(&ours).await.unwrap();
        assert_eq!(server.texts(&ours[0].owner).await, [value(1)]);
    }
}

/// Some 10 KB go in one message, and 400 records in as many as they need.
#[tokio::test]
async fn many_records_take_few_messages() {
    for server in servers().await {
        let zone = zone(server.at);
        for (count, messages) in [(100, 1), (400, 3)] {
            let before = server.serial(WIDE).await;
            let records: Vec<Txt> =
                (0..count).map(|n| txt(WIDE, &format!("h{}", n % 50), &value(n))).collect();
            zone.add(&records).await.unwrap();
            assert_eq!(server.serial(WIDE).await, before + messages, "{:?}", server.make);
            assert_eq!(server.texts(&records[7].owner).await.len(), count / 50);
            zone.remove(&records).await.unwrap();
            assert!(server.texts(&records[7].owner).await.is_empty());
        }
    }
}

#[tokio::test]
async fn names_outside_the_zone_are_never_sent() {
    let [port] = free_ports();
    let zone = zone((Ipv4Addr::LOCALHOST, port).into());
    for owner in ["_acme-challenge.b.example", "example", "a..wide.example", &"a".repeat(300)] {
        let stray = Txt { owner: owner.to_owned(), ..txt(WIDE, "", &value(1)) };
        let error = zone.add(&[stray]).await.unwrap_err();
        assert!(matches!(error, DnsError::Unwritable { .. }), "{error}");
    }
}

#[tokio::test]
async fn where_nothing_listens() {
    let [port] = free_ports();
    let error = zone((Ipv4Addr::LOCALHOST, port).into()).check(WIDE).await.unwrap_err();
    let expected = format!("rfc2136 at 127.0.0.1:{port} cannot be reached: nothing listens there");
    assert_eq!((error.to_string(), error.fault()), (expected, Fault::Passing));
}

/// What a socket of the test's own answers, to a message and to nobody in particular.
type Reply = fn(&[u8]) -> Option<Vec<u8>>;

async fn misbehaving(reply: Reply) -> SocketAddr {
    let [port] = free_ports();
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let at = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(at).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            if let Some(answer) = reply(&buffer[..length]) {
                udp.send_to(&answer, from).await.unwrap();
            }
        }
    });
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let mut message = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut message).await.unwrap();
            match reply(&message) {
                Some(answer) => {
                    let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&length, answer.as_slice()].concat()).await.unwrap();
                }
                None => silent.push(stream),
            }
        }
    });
    at
}

fn answer(message: &[u8]) -> Message {
    let asked = Message::from_vec(message).unwrap();
    Message::response(asked.metadata.id, OpCode::Update)
}

#[tokio::test]
async fn answers_nobody_vouches_for_are_not_believed() {
    let table: [(Reply, &str); 6] = [
        (|message| Some(answer(message).to_vec().unwrap()), "(NOERROR) is not signed and"),
        (
            |message| {
                let mut answer = answer(message);
                answer.metadata.response_code = ResponseCode::Refused;
                Some(answer.to_vec().unwrap())
            },
            "(REFUSED) is not signed and",
        ),
        (
            |message| {
                let mut answer = answer(message);
                let liar =
                    signed((Ipv4Addr::LOCALHOST, 1).into(), "acme", OTHER_SECRET, "hmac-sha256");
                answer.finalize(liar.settings.key.as_ref().unwrap(), seconds()).unwrap();
                Some(answer.to_vec().unwrap())
            },
            "a signature that is not by our key",
        ),
        // Our own signature does not make an answer of what it was not made for.
        (
            |message| {
                let mut answer = Message::from_vec(message).unwrap();
                answer.metadata.message_type = MessageType::Response;
                Some(answer.to_vec().unwrap())
            },
            "a signature that is not by our key",
        ),
        (|_| Some(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "what it sends is no DNS"),
        (|_| None, "no answer by UDP or TCP"),
    ];
    let tried = table.map(|(reply, expected)| async move {
        let error = zone(misbehaving(reply).await).add(&[txt(WIDE, "", &value(1))]).await;
        (error.unwrap_err(), expected)
    });
    for (error, expected) in futures_util::future::join_all(tried).await {
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.fault(), Fault::Passing, "{error}");
    }
}

#[test]
fn credentials_are_read_or_refused() {
    let good = "key = 'acme.'\nsecret = 'c2VjcmV0'";
    let table = [
        (good.to_owned(), None, Ok(())),
        (format!("{good}\nserver = '192.0.2.1'"), Some("192.0.2.1:53"), Ok(())),
        (format!("{good}\nserver = '[2001:db8::1]:5300'"), Some("[2001:db8::1]:5300"), Ok(())),
        (format!("{good}\nserver = '2001:db8::1'"), Some("[2001:db8::1]:53"), Ok(())),
        (format!("{good}\nserver = 'ns.a.example:54'"), Some("ns.a.example:54"), Ok(())),
        (format!("{good}\nalgorithm = 'HMAC-SHA512'"), None, Ok(())),
        ("key = 'a'\nsecret = 'c2Vj cmV0'".to_owned(), None, Ok(())),
        ("server = 'ns'".to_owned(), Some("ns:53"), Ok(())),
        (
            String::new(),
            None,
            Err("key and secret are missing; known are server, key, secret, algorithm"),
        ),
        ("key = 'a'".to_owned(), None, Err("there is a key, but no secret")),
        ("secret = 'YQ=='".to_owned(), None, Err("there is a secret, but no key")),
        ("algorithm = 'hmac-sha256'".to_owned(), None, Err("no key and no secret")),
        (format!("{good}\nsever = '192.0.2.1'"), None, Err("did you mean `server`?")),
        (format!("{good}\nport = '53'"), None, Err("`port` is unknown; known are server, key")),
        ("key = 'a'\nsecret = 'hunter2!'".to_owned(), None, Err("secret: it is no base64")),
        ("key = 'a'\nsecret = ''".to_owned(), None, Err("secret: it is no base64")),
        ("key = 'a..b'\nsecret = 'YQ=='".to_owned(), None, Err("key: ")),
        (format!("{good}\nalgorithm = 'hmac-md5'"), None, Err("\"hmac-md5\" cannot be used")),
        (format!("{good}\nserver = 'ns:0'"), None, Err("server: ")),
        (format!("{good}\nserver = 'a b'"), None, Err("server: ")),
    ];
    for (text, server, expected) in table {
        match (made(&text), expected) {
            (Ok(zone), Ok(())) => {
                let read = zone.settings.server.map(|server| server.to_string());
                assert_eq!(read.as_deref(), server, "{text}");
            }
            (Err(error), Err(expected)) => {
                let said = error.to_string();
                assert!(said.contains(expected) && !said.contains("hunter2"), "{said}");
            }
            (Ok(_), Err(expected)) => panic!("{text} was taken: {expected}"),
            (Err(error), Ok(())) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn parts_fit_into_messages() {
    let record = |n: usize| {
        let owner = dns::name(&format!("_acme-challenge.h{n}.wide.example")).unwrap();
        Record::from_rdata(owner, TTL, RData::TXT(text(&value(n))))
    };
    for (count, expected) in [(1, 1), (100, 1), (400, 3), (1000, 6)] {
        let records: Vec<Record> = (0..count).map(record).collect();
        let parts = parts(&records);
        assert_eq!(parts.concat(), records);
        for part in &parts {
            let mut message = update(&dns::name(WIDE).unwrap());
            message.add_updates(part.iter().cloned());
            assert!(message.to_vec().unwrap().len() <= LARGEST + 100);
        }
        assert_eq!(parts.len(), expected, "{count}");
    }
}
