//! A sign of life after each good run: who waits for it notices when it stops.
//!
//! The URL is a secret, for whoever knows it can feign good runs: messages name its host only.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};
use thiserror::Error;
use url::Url;

/// For all of it, connecting and redirections included.
const LIMIT: Duration = Duration::from_secs(5);
/// More are a loop.
const MOST_REDIRECTIONS: usize = 3;

/// Why nobody heard.
#[derive(Debug, Error)]
pub(crate) enum Unheard {
    #[error("its URL does not begin with https:// or http://")]
    NoUrl,
    #[error("{host} gave no answer within {} s", LIMIT.as_secs())]
    Silent { host: String },
    #[error("{host} could not be reached: {why}")]
    Unreachable { host: String, why: String },
    #[error("{host} answered {status}")]
    Refused { host: String, status: StatusCode },
}

/// Asks for the URL by GET. Any success will do; what is answered is not read.
///
/// Redirections are followed at the same server only: to another the secret would be told.
pub(crate) async fn ping(url: &str) -> Result<(), Unheard> {
    let url = Url::parse(url).map_err(|_| Unheard::NoUrl)?;
    let host = url.host_str().filter(|_| matches!(url.scheme(), "https" | "http"));
    let host = host.ok_or(Unheard::NoUrl)?.to_owned();
    let answer = match client(&url) {
        Ok(client) => client.get(url).send().await,
        Err(error) => Err(error),
    };
    match answer.map(|answer| answer.status()) {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => Err(Unheard::Refused { host, status }),
        Err(error) if error.is_timeout() => Err(Unheard::Silent { host }),
        Err(error) => Err(Unheard::Unreachable { host, why: last_cause(error.without_url()) }),
    }
}

fn client(url: &Url) -> reqwest::Result<Client> {
    // Fails only when a provider is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let origin = url.origin();
    let same_server = redirect::Policy::custom(move |attempt| {
        let again = attempt.previous().len() > MOST_REDIRECTIONS;
        if again || attempt.url().origin() != origin { attempt.stop() } else { attempt.follow() }
    });
    Client::builder()
        .user_agent(concat!("acmeagent/", env!("CARGO_PKG_VERSION")))
        .redirect(same_server)
        .referer(false)
        .retry(reqwest::retry::never())
        .timeout(LIMIT)
        .build()
}

/// The innermost reason, for people.
pub(super) fn last_cause(error: reqwest::Error) -> String {
    let causes =
        std::iter::successors(Some(&error as &(dyn StdError + 'static)), |cause| (*cause).source());
    causes.last().map(ToString::to_string).unwrap_or_default().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::extract::State;
    use axum::http::Uri;
    use axum::response::{IntoResponse, Redirect, Response};

    use super::*;

    type Asked = Arc<Mutex<Vec<String>>>;

    async fn answer(State((asked, elsewhere)): State<(Asked, String)>, uri: Uri) -> Response {
        asked.lock().unwrap().push(uri.to_string());
        match uri.path() {
            "/moved" => Redirect::temporary("/here?k=1").into_response(),
            "/loop" => Redirect::temporary("/loop").into_response(),
            "/away" => Redirect::temporary(&elsewhere).into_response(),
            "/gone" => StatusCode::GONE.into_response(),
            "/long" => vec![b'x'; 64 << 20].into_response(),
            _ => "OK".into_response(),
        }
    }

    /// A server, where its `/away` leads, and what it was asked for.
    async fn serve(elsewhere: &str) -> (String, Asked) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let state = (Arc::clone(&asked), elsewhere.to_owned());
        let server = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, server).await });
        (url, asked)
    }

    #[tokio::test]
    async fn a_success_of_any_kind_will_do_and_no_other_server_is_asked() {
        let (elsewhere, other_asked) = serve("").await;
        let (url, asked) = serve(&elsewhere).await;
        let table = [
            ("/secret", "", &["/secret"][..]),
            ("/moved", "", &["/moved", "/here?k=1"]),
            ("/long", "", &["/long"]),
            ("/gone", "127.0.0.1 answered 410 Gone", &["/gone"]),
            ("/away", "127.0.0.1 answered 307 Temporary Redirect", &["/away"]),
            ("/loop", "127.0.0.1 answered 307 Temporary Redirect", &["/loop"; 4]),
        ];
        for (path, says, expected) in table {
            let heard = ping(&format!("{url}{path}")).await;
            assert_eq!(heard.err().map_or(String::new(), |error| error.to_string()), says);
            assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), expected, "{path}");
        }
        assert!(other_asked.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_said_of_a_failure_tells_no_secret() {
        let [nobody] = crate::ports::free_ports();
        for (url, says) in [
            (
                format!("http://127.0.0.1:{nobody}/secret"),
                "127.0.0.1 could not be reached: Connection refused",
            ),
            ("http://secret.invalid:0/secret".to_owned(), "secret.invalid could not be reached: "),
            ("file:///secret".to_owned(), "its URL does not begin with https:// or http://"),
            ("secret".to_owned(), "its URL does not begin with https:// or http://"),
        ] {
            let error = ping(&url).await.unwrap_err().to_string();
            assert!(error.starts_with(says) && !error.contains("/secret"), "{error}");
        }
    }
}
