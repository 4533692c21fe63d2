//! Passing requests on and responses back (RFC 9110 §7).
//!
//! Each connection of a visitor has one of its own to the application, so requests of two visitors
//! never share one. Bodies stream; nothing is kept but what one read holds.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use http::{Method, Request, Response, StatusCode, Uri, Version, header};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::ext::on_informational;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::Upstream;

/// What is sent back: the application's body, or a few words of our own.
pub(super) type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// For reaching the application.
const CONNECT: Duration = Duration::from_secs(5);
/// For the application to begin its answer, once it has all of the request.
const THINK: Duration = Duration::from_secs(120);
/// How often it is looked whether an answer can still come.
const GLANCE: Duration = Duration::from_secs(1);
/// For the application to ask for a body that was announced; not all do (RFC 9110 §10.1.1).
const ASK: Duration = Duration::from_secs(1);
/// What the head of a response may take.
const LARGEST_HEAD: usize = 64 * 1024;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Headers about one connection, which go no further (RFC 9110 §7.6.1).
const HOP_BY_HOP: [HeaderName; 6] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    UPGRADE,
];

/// The way of one connection to the application.
pub(super) struct Passage {
    upstream: Upstream,
    visitor: IpAddr,
    sender: Option<SendRequest<Passing>>,
    tunnel: Option<(OnUpgrade, OnUpgrade)>,
}

/// Why there is no response.
enum Failed {
    Unreachable,
    TooLate,
    Broken(hyper::Error),
}

impl Passage {
    pub(super) fn new(upstream: Upstream, visitor: IpAddr) -> Self {
        Self { upstream, visitor, sender: None, tunnel: None }
    }

    /// Passes a request on and the response back.
    ///
    /// # Errors
    /// The application ended a connection that had served before just as it was used again, and the
    /// request is none to be repeated unasked. The visitor's is to end likewise: it knows best.
    pub(super) async fn pass(
        &mut self,
        mut request: Request<Incoming>,
    ) -> Result<Answer, hyper::Error> {
        if let Some(refused) = refusal(&request) {
            return Ok(refused);
        }
        let near = self.prepare(&mut request);
        let (request, moved) = watched(request);
        let sent = if self.is_open().await {
            let again = repeatable(&request);
            match (self.send(request, &moved).await, again) {
                (Err(Failed::Broken(_)), Some(again)) => self.send_anew(again, &moved).await,
                (Err(Failed::Broken(error)), None) => return Err(error),
                (sent, _) => sent,
            }
        } else {
            self.send_anew(request, &moved).await
        };
        Ok(match sent {
            Ok(response) => self.pass_back(response, near),
            Err(Failed::TooLate) => plain(StatusCode::GATEWAY_TIMEOUT),
            Err(Failed::Unreachable | Failed::Broken(_)) => plain(StatusCode::BAD_GATEWAY),
        })
    }

    /// Sends over a new connection.
    async fn send_anew(
        &mut self,
        request: Request<Passing>,
        moved: &AtomicU64,
    ) -> Result<Response<Incoming>, Failed> {
        self.connect().await?;
        self.send(request, moved).await
    }

    /// Sends over the connection there is.
    async fn send(
        &mut self,
        request: Request<Passing>,
        moved: &AtomicU64,
    ) -> Result<Response<Incoming>, Failed> {
        let sender = self.sender.as_mut().ok_or(Failed::Unreachable)?;
        let mut sending = pin!(sender.send_request(request));
        let (mut before, mut still) = (moved.load(Ordering::Relaxed), Duration::ZERO);
        while still < THINK {
            if let Ok(sent) = timeout(GLANCE, sending.as_mut()).await {
                return sent.map_err(Failed::Broken);
            }
            // A request that meets the end of the connection can be left lying in between, heard by
            // nobody: it comes back when the sender goes.
            if self.sender.as_ref().is_some_and(SendRequest::is_closed) {
                self.sender = None;
            }
            let now = moved.load(Ordering::Relaxed);
            // Or a long upload is under way.
            still = if now == before { still + GLANCE } else { Duration::ZERO };
            before = now;
        }
        // What may still come is nobody's answer any more.
        self.sender = None;
        Err(Failed::TooLate)
    }

    /// Makes of the request as it came what is sent on; where it asks to become something else than
    /// HTTP, the visitor's end of that.
    fn prepare(&self, request: &mut Request<Incoming>) -> Option<OnUpgrade> {
        let protocol = upgrade(request.headers());
        let near = protocol.is_some().then(|| hyper::upgrade::on(&mut *request));
        // Where the target names the host, that counts (RFC 9112 §3.2.2).
        let named = request.uri().authority().and_then(|authority| {
            let host = authority.as_str().rsplit('@').next()?;
            HeaderValue::from_str(host).ok()
        });
        let target = request.uri().path_and_query().cloned().map(Uri::from);
        *request.uri_mut() = target.unwrap_or_default();
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        strip(headers, protocol);
        if let Some(host) = named {
            headers.insert(HOST, host);
        }
        let unnamed = || HeaderValue::from_str(&self.upstream.authority());
        if !headers.contains_key(HOST)
            && let Ok(own) = unnamed()
        {
            headers.insert(HOST, own);
        }
        self.add_visitor(headers);
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
        near
    }

    /// In one line, since some read only the first: what a visitor says of itself.
    fn add_visitor(&self, headers: &mut HeaderMap) {
        let before = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|list| list.to_str().ok());
        let visitor = self.visitor.to_string();
        let all: Vec<&str> = before.chain([visitor.as_str()]).collect();
        if let Ok(all) = HeaderValue::from_str(&all.join(", ")) {
            headers.insert(X_FORWARDED_FOR, all);
        }
    }

    fn pass_back(&mut self, mut response: Response<Incoming>, near: Option<OnUpgrade>) -> Answer {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        let protocol = match (switches, near) {
            (true, Some(near)) => {
                let far = hyper::upgrade::on(&mut response);
                self.tunnel = Some((near, far));
                upgrade(response.headers())
            }
            // Nobody asked for that.
            (true, None) => return plain(StatusCode::BAD_GATEWAY),
            (false, _) => None,
        };
        *response.version_mut() = Version::HTTP_11;
        strip(response.headers_mut(), protocol);
        response.map(Either::Left)
    }

    /// Whether the connection can take another request.
    async fn is_open(&mut self) -> bool {
        match &mut self.sender {
            // What still goes the old way, as a body nobody wants, need not be waited for.
            Some(sender) => matches!(timeout(CONNECT, sender.ready()).await, Ok(Ok(()))),
            None => false,
        }
    }

    async fn connect(&mut self) -> Result<(), Failed> {
        let connected = timeout(CONNECT, self.upstream.connect()).await;
        let stream = connected.map_err(|_| Failed::TooLate)?.map_err(|_| Failed::Unreachable)?;
        let mut client = http1::Builder::new();
        client.preserve_header_case(true).max_buf_size(LARGEST_HEAD);
        let shaken = client.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(Failed::Broken)?;
        // Ends with the sender, or with the tunnel.
        tokio::spawn(connection.with_upgrades());
        self.sender = Some(sender);
        Ok(())
    }

    /// Carries bytes both ways where a request became a tunnel, until either end closes.
    pub(super) async fn tunnel(self) {
        let Some((near, far)) = self.tunnel else { return };
        if let (Ok(near), Ok(far)) = tokio::join!(near, far) {
            // Either end may break off.
            let _ = copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
        }
    }
}

/// What is not passed on: tunnels to anywhere, and requests for more than one host (RFC 9112 §3.2).
fn refusal<B>(request: &Request<B>) -> Option<Answer> {
    let hosts = request.headers().get_all(HOST).iter().count();
    if request.method() == Method::CONNECT {
        return Some(plain(StatusCode::NOT_IMPLEMENTED));
    }
    let ambiguous = hosts > 1 || hosts == 0 && request.version() == Version::HTTP_11;
    ambiguous.then(|| plain(StatusCode::BAD_REQUEST))
}

/// The protocol a message wants to change to.
fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let named = |option: &str| option.eq_ignore_ascii_case("upgrade");
    let protocol = headers.get(UPGRADE)?;
    options(headers).any(named).then(|| protocol.clone())
}

/// What `Connection` lists.
fn options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(CONNECTION).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Removes what concerns one connection only, but for a change of protocol that is wanted.
fn strip(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    let listed = options(headers).filter_map(|name| name.parse().ok());
    // Nobody may make the application believe it was asked for under another name.
    let listed: Vec<HeaderName> = listed.filter(|name| *name != HOST).collect();
    for name in listed.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}

/// A few words in the application's stead; they end the connection.
fn plain(status: StatusCode) -> Answer {
    let text = match status {
        StatusCode::BAD_GATEWAY => "the application behind this server cannot be reached\n",
        StatusCode::GATEWAY_TIMEOUT => {
            "the application behind this server did not answer in time\n"
        }
        StatusCode::NOT_IMPLEMENTED => "this server is no way to others\n",
        _ => "a request names exactly one host\n",
    };
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=us-ascii");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body on its way to the application.
struct Passing {
    /// `None` for none.
    body: Option<Incoming>,
    /// While the visitor waits to be asked for it.
    held: Option<BoxFuture<'static, ()>>,
    /// Counts what passes.
    moved: Arc<AtomicU64>,
}

/// The request with a body whose progress can be seen; one that is announced by
/// `Expect: 100-continue` is not asked for before the application does.
fn watched(request: Request<Incoming>) -> (Request<Passing>, Arc<AtomicU64>) {
    let expects = request.headers().get(EXPECT).map(HeaderValue::as_bytes);
    let announced = expects.is_some_and(|what| what.eq_ignore_ascii_case(b"100-continue"));
    let moved = Arc::<AtomicU64>::default();
    let seen = Arc::clone(&moved);
    let mut request = request.map(|body| Passing { body: Some(body), held: None, moved: seen });
    if announced {
        let asked = Arc::<Notify>::default();
        let word = Arc::clone(&asked);
        on_informational(&mut request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                word.notify_one();
            }
        });
        request.body_mut().held = Some(Box::pin(async move {
            let _ = timeout(ASK, asked.notified()).await;
        }));
    }
    (request, moved)
}

/// The same request once more, if nothing can come of its being heard twice (RFC 9110 §9.2.2).
fn repeatable(request: &Request<Passing>) -> Option<Request<Passing>> {
    let is_safe = request.method().is_safe() && request.body().is_end_stream();
    is_safe.then(|| {
        let mut again = Request::new(());
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        let moved = Arc::clone(&request.body().moved);
        again.map(|()| Passing { body: None, held: None, moved })
    })
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(held) = &mut self.held {
            ready!(held.as_mut().poll(cx));
            self.held = None;
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        self.moved.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
