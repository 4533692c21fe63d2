//! What `renew --loop` answers over HTTP: `/metrics` for Prometheus, `/healthz` for whoever restarts
//! what is ill.
//!
//! Nothing else is answered, and nobody is asked who they are: it is meant for loopback, or for a
//! network in which everybody may know how certificates stand. Connections are few and short.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::health::Health;
use super::prometheus;
use crate::model::outlook::Outlook;

/// Connections at a time; more wait.
const MOST_VISITS: usize = 16;
/// For one connection, from its beginning to its end.
const LONGEST_VISIT: Duration = Duration::from_secs(30);
/// For the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// What the head of a request may take.
const LARGEST_HEAD: usize = 16 * 1024;
/// After a failure to take a connection, which no connection is to blame for.
const PAUSE: Duration = Duration::from_millis(100);

/// Finds out how things stand, or why that cannot be told.
pub(crate) type Look =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Arc<Outlook>, String>> + Send + Sync>;

/// Opens the port.
pub(crate) async fn open(at: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(at).await
}

/// Answers until it is dropped.
pub(crate) async fn serve(listener: TcpListener, look: Look) -> Infallible {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .with_state(look);
    let visits = Arc::new(Semaphore::new(MOST_VISITS));
    loop {
        let visit = Arc::clone(&visits).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let conversation = converse(stream, router.clone());
                tokio::spawn(async move {
                    // Whoever takes too long, or goes away, has no answer.
                    let _ = timeout(LONGEST_VISIT, conversation).await;
                    drop(visit);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}

async fn metrics(State(look): State<Look>) -> Response {
    match look().await {
        Ok(outlook) => {
            ([(CONTENT_TYPE, prometheus::MEDIA_TYPE)], prometheus::text(&outlook)).into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn healthz(State(look): State<Look>) -> Response {
    let health = match look().await {
        Ok(outlook) => Health::of(&outlook),
        Err(why) => Health::Ill(why),
    };
    let status = StatusCode::from_u16(health.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    (status, format!("{health}\n")).into_response()
}

#[cfg(test)]
mod tests;
