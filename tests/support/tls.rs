//! TLS in the process of the tests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves the certificate that lies in a folder, read anew for every client.
pub struct FileServer {
    pub port: u16,
    is_over: Arc<AtomicBool>,
}

impl FileServer {
    pub fn start(folder: PathBuf) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_over = Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                if let (Ok(client), Some(config)) = (client, config(&folder)) {
                    std::thread::spawn(move || serve(client, config));
                }
            }
        });
        Self { port, is_over }
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// Nothing while there is no pair: the client is hung up on.
fn config(folder: &Path) -> Option<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(folder.join("fullchain.pem")).ok()?;
    let chain = chain.collect::<Result<Vec<_>, _>>().ok()?;
    let key = PrivateKeyDer::from_pem_file(folder.join("privkey.pem")).ok()?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    config.with_no_client_auth().with_single_cert(chain, key).ok()
}

fn serve(client: TcpStream, config: ServerConfig) {
    let _ = client.set_read_timeout(Some(Duration::from_secs(5)));
    let connection = ServerConnection::new(Arc::new(config)).unwrap();
    let mut stream = StreamOwned::new(connection, client);
    // The handshake is all that is wanted.
    let _ = stream.flush();
    let _ = stream.read(&mut [0; 1]);
}
