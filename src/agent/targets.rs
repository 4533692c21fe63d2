//! From the targets of the settings to the hands that serve them.

use std::path::PathBuf;
use std::sync::Arc;

use super::Trouble;
use crate::config::cert::CertSettings;
use crate::config::choice::AbsolutePath;
use crate::config::main_settings::MainSettings;
use crate::config::target::{CopyFormat, SocketPlace, TargetChoice, TargetKind};
use crate::deploy::Target;
use crate::deploy::copy::{self, Account, Copy, FileName, Format, Password};
use crate::deploy::haproxy::{self, Haproxy, SocketAddress};
use crate::deploy::hook::HookTarget;
use crate::deploy::nginx::{self, Nginx};
use crate::deploy::rustls::{self, Rustls};
use crate::deploy::systemd::{self, Systemd, UnitName};
use crate::hook::Hook;
use crate::pipeline::Verification;
use crate::probe::judge::traffic::Thresholds;

/// The targets of a certificate, in order.
pub(crate) fn targets(
    settings: &CertSettings,
    main: &MainSettings,
) -> Result<Vec<Arc<dyn Target>>, Trouble> {
    settings.targets.iter().map(|choice| build(choice, main)).collect()
}

/// How it is judged whether they serve it.
pub(crate) fn verification(settings: &CertSettings, main: &MainSettings) -> Verification {
    let wanted = &settings.verify;
    let own = |choice: &TargetChoice| match choice {
        TargetChoice::Short(..) => None,
        TargetChoice::Named(name) => {
            let named = &main.target(name).ok()?.verify;
            (!named.is_empty()).then(|| (name.clone(), named.clone()))
        }
    };
    Verification {
        endpoints: wanted.endpoints.clone(),
        of_targets: settings.targets.iter().filter_map(own).collect(),
        attempts: usize::from(wanted.attempts),
        needed: usize::from(wanted.needed),
        within: wanted.within,
        thresholds: Thresholds {
            handshake_failures: wanted.handshake_failures,
            verification_errors: wanted.verification_errors,
            ocsp_failures: wanted.ocsp_failures,
            latency: wanted.latency,
            latency_share: wanted.latency_share,
            sample: u64::from(wanted.sample),
        },
    }
}

fn build(choice: &TargetChoice, main: &MainSettings) -> Result<Arc<dyn Target>, Trouble> {
    let label = choice.label().to_owned();
    let kind = match choice {
        TargetChoice::Short(kind, _) => kind,
        TargetChoice::Named(name) => &main.target(name)?.kind,
    };
    let path = |path: &Option<AbsolutePath>| path.as_ref().map(own);
    Ok(match kind {
        TargetKind::Nginx { program, config, prefix, pid } => {
            let (program, config, prefix, pid) =
                (path(program), path(config), path(prefix), path(pid));
            Arc::new(Nginx::new(label, nginx::Settings { program, config, prefix, pid }))
        }
        TargetKind::Haproxy { socket, file, reload } => {
            let socket = match socket {
                SocketPlace::Path(path) => SocketAddress::Unix(own(path)),
                SocketPlace::Loopback(address) => SocketAddress::Loopback(*address),
            };
            let settings = haproxy::Settings { socket, file: path(file), reload: reload.clone() };
            Arc::new(Haproxy::new(label, settings))
        }
        TargetKind::Rustls { socket, certificate } => {
            let certificate = certificate.clone();
            Arc::new(Rustls::new(label, rustls::Settings { socket: own(socket), certificate }))
        }
        TargetKind::Copy { dir, owner, group, mode, format } => {
            let account = |name: &Option<String>| name.as_deref().map(Account::parse).transpose();
            let settings = copy::Settings {
                dir: own(dir),
                owner: account(owner)?,
                group: account(group)?,
                mode: *mode,
                format: to_format(format)?,
            };
            Arc::new(Copy::new(label, settings))
        }
        TargetKind::Systemd { unit } => {
            Arc::new(Systemd::new(label, systemd::Settings { unit: UnitName::parse(unit)? }))
        }
        TargetKind::Hook { command, timeout } => {
            let hook = Hook::from(command);
            let hook = timeout.map_or(hook.clone(), |limit| hook.within(limit));
            Arc::new(HookTarget::new(hook, label))
        }
    })
}

fn own(path: &AbsolutePath) -> PathBuf {
    path.as_path().to_owned()
}

fn to_format(format: &CopyFormat) -> Result<Format, Trouble> {
    let file = |name: &Option<String>| name.as_deref().map(FileName::parse).transpose();
    Ok(match format {
        CopyFormat::Pem => Format::Pem,
        CopyFormat::Combined { file: name } => Format::Combined { file: file(name)? },
        CopyFormat::Pkcs12 { file: name, password_file } => {
            let password =
                password_file.as_ref().map_or(Password::Empty, |path| Password::File(own(path)));
            Format::Pkcs12 { file: file(name)?, password }
        }
    })
}
