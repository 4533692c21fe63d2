//! `renew --loop` asked from outside how things stand: `[metrics] listen`.

use std::sync::Arc;

use crate::agent::metrics::Watch;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::report::Failure;
use crate::observe::scrape;

/// Who answers those that ask; nobody where that is not wanted.
pub(super) struct Scraped<'a> {
    context: &'a Context,
    watch: Option<Arc<Watch>>,
}

impl<'a> Scraped<'a> {
    /// Answers nobody.
    pub(super) fn nowhere(context: &'a Context) -> Self {
        Self { context, watch: None }
    }

    /// Opens the port that the settings name, and answers there until the runtime ends.
    ///
    /// Settings that cannot be read are told of by the first pass.
    pub(super) async fn open(context: &'a Context) -> Result<Self, Failure> {
        let Ok(reader) = context.reader() else { return Ok(Self::nowhere(context)) };
        let Some(at) = reader.authorities.main().metrics().listen else {
            return Ok(Self::nowhere(context));
        };
        let listener = scrape::open(at).await.map_err(|error| Failure {
            causes: vec![error.to_string()],
            ..Failure::new(Exit::Config, format!("cannot listen for scrapes on {at}"))
                .hint("name an address that is free as `listen` below [metrics] in acmeagent.toml")
        })?;
        let watch = Watch::new(reader);
        let asked = Arc::clone(&watch);
        tokio::spawn(scrape::serve(listener, Arc::new(move || Arc::clone(&asked).look())));
        Ok(Self { context, watch: Some(watch) })
    }

    /// Goes by the settings as they are now.
    pub(super) fn read_settings_anew(&self) {
        if let Some(watch) = &self.watch
            && let Ok(reader) = self.context.reader()
        {
            watch.look_with(reader);
        }
    }
}
