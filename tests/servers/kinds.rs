//! What differs from server to server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Place, as_user};
use crate::support::tools;

/// A server, and how it is tried.
pub struct Kind {
    /// The name of its hook.
    pub hook: &'static str,
    /// The option that tells the hook of the configuration, and where that lies in the folder.
    pub told: (&'static str, &'static str),
    /// Writes the configuration.
    pub configure: fn(&Place),
    /// Serves in the foreground.
    pub serve: fn(&Place) -> Command,
    pub starttls: Option<&'static str>,
    pub pid_file: Option<&'static str>,
    /// Where the hook puts key and chain, for a server that cannot read the live certificate.
    pub copy: Option<Copied>,
    /// A file of the configuration, and a line that breaks it.
    pub broken: (&'static str, &'static str),
    /// What the server says of that line.
    pub says: &'static str,
}

#[derive(Clone, Copy)]
pub struct Copied {
    pub file: &'static str,
    pub owner: &'static str,
}

pub fn apache() -> Kind {
    let modules = "/usr/lib/apache2/modules";
    assert!(PathBuf::from(modules).is_dir(), "{modules} is not there");
    Kind {
        hook: "apache",
        told: ("--config", ""),
        configure: |place| {
            place.make("run", "www-data");
            place.write(
                "envvars",
                "export APACHE_RUN_DIR=@DIR/run APACHE_LOCK_DIR=@DIR/run\n\
                 export APACHE_RUN_USER=www-data APACHE_ULIMIT_MAX_FILES=true\n",
            );
            place.write(
                "apache2.conf",
                "ServerName localhost\nListen 127.0.0.1:@PORT\nUser www-data\nGroup www-data\n\
                 PidFile @DIR/apache2.pid\nDefaultRuntimeDir @DIR/run\nErrorLog @DIR/error.log\n\
                 LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
                 LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
                 LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n\
                 SSLEngine on\nSSLCertificateFile @LIVE/fullchain.pem\n\
                 SSLCertificateKeyFile @LIVE/privkey.pem\n",
            );
        },
        serve: |place| {
            let mut apache = Command::new(tools::find("apache2").unwrap());
            apache.args(["-D", "FOREGROUND", "-d"]).arg(place.path(""));
            apache
        },
        starttls: None,
        pid_file: Some("apache2.pid"),
        copy: None,
        broken: ("apache2.conf", "Nonsense"),
        says: "Invalid command 'Nonsense'",
    }
}

pub fn postfix() -> Kind {
    Kind {
        hook: "postfix",
        told: ("--config", "etc"),
        configure: |place| {
            place.make("etc", "root");
            // Its servers live on (`max_use`): who takes the new certificate is told to.
            place.make("queue", "root");
            place.make("data", "postfix");
            place.write(
                "etc/main.cf",
                "compatibility_level = 3.6\nqueue_directory = @DIR/queue\n\
                 data_directory = @DIR/data\nmyhostname = localhost\nmynetworks_style = host\n\
                 inet_protocols = ipv4\nalias_maps =\nalias_database =\nmax_use = 100000\n\
                 maillog_file = @DIR/log\nmaillog_file_prefixes = @DIR\n\
                 smtpd_tls_security_level = may\n\
                 smtpd_tls_chain_files = @LIVE/privkey.pem, @LIVE/fullchain.pem\n",
            );
            place.write(
                "etc/master.cf",
                "127.0.0.1:@PORT inet n - n - - smtpd\n\
                 postlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\n\
                 rewrite unix - - n - - trivial-rewrite\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
                 proxymap unix - - n - - proxymap\ncleanup unix n - n - 0 cleanup\n",
            );
        },
        serve: |place| {
            // What `postfix start-fg` starts, without the scripts around it; debugged it does not
            // ask for a session of its own, which the leader of a process group cannot have.
            let mut master = Command::new("/usr/lib/postfix/sbin/master");
            master.arg("-d").env("MAIL_CONFIG", place.path("etc"));
            master
        },
        starttls: Some("smtp"),
        pid_file: Some("queue/pid/master.pid"),
        copy: None,
        broken: ("etc/master.cf", "smtps inet"),
        says: "bad field count",
    }
}

pub fn dovecot() -> Kind {
    Kind {
        hook: "dovecot",
        told: ("--config", "dovecot.conf"),
        configure: |place| {
            place.write(
                "dovecot.conf",
                "base_dir = @DIR/run\nstate_dir = @DIR/state\nlog_path = @DIR/log\n\
                 protocols = imap\nlisten = 127.0.0.1\nssl = yes\n\
                 ssl_cert = <@LIVE/fullchain.pem\nssl_key = <@LIVE/privkey.pem\n\
                 service imap-login {\ninet_listener imap {\nport = @PORT\n}\n\
                 inet_listener imaps {\nport = 0\n}\n}\n\
                 passdb {\ndriver = static\nargs = nopassword=y\n}\n\
                 userdb {\ndriver = static\nargs = uid=nobody gid=nogroup home=@DIR\n}\n",
            );
        },
        serve: |place| {
            let mut dovecot = Command::new(tools::find("dovecot").unwrap());
            dovecot.arg("-F").arg("-c").arg(place.path("dovecot.conf"));
            dovecot
        },
        starttls: Some("imap"),
        pid_file: Some("run/master.pid"),
        copy: None,
        broken: ("dovecot.conf", "ssl_key = <@DIR/nowhere"),
        says: "Can't open file",
    }
}

/// `None` where it is not installed: its programs lie outside `PATH`.
pub fn postgresql() -> Option<Kind> {
    let _ = postgresql_program("initdb")?;
    Some(Kind {
        hook: "postgresql",
        told: ("--data", "own/data"),
        configure: |place| {
            let own = place.make("own", "postgres");
            let mut init = Command::new(postgresql_program("initdb").unwrap());
            init.args(["--no-sync", "--auth=trust", "-D"]).arg(own.join("data"));
            let made = as_user("postgres", init).current_dir("/").output().unwrap();
            assert!(made.status.success(), "{made:?}");
            place.write(
                "own/data/postgresql.conf",
                "port = @PORT\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
                 fsync = off\nssl = on\nssl_cert_file = 'a.example.pem'\n\
                 ssl_key_file = 'a.example.pem'\n",
            );
        },
        serve: |place| {
            let mut postgres = Command::new(postgresql_program("postgres").unwrap());
            postgres.arg("-D").arg(place.path("own/data"));
            as_user("postgres", postgres)
        },
        starttls: Some("postgres"),
        pid_file: Some("own/data/postmaster.pid"),
        copy: Some(Copied { file: "own/data/a.example.pem", owner: "postgres" }),
        broken: ("own/data/postgresql.conf", "nonsense"),
        says: "syntax error",
    })
}

/// A program of the newest version, as Debian keeps them.
fn postgresql_program(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let programs = versions.map(|version| version.unwrap().path().join("bin").join(name));
    programs.filter(|program| program.is_file()).max()
}

pub fn mosquitto() -> Kind {
    Kind {
        hook: "mosquitto",
        told: ("--config", "mosquitto.conf"),
        configure: |place| {
            place.make("own", "mosquitto");
            place.make("conf.d", "root");
            place.write(
                "mosquitto.conf",
                "user mosquitto\npid_file @DIR/own/pid\ninclude_dir @DIR/conf.d\n",
            );
            place.write(
                "conf.d/tls.conf",
                "listener @PORT 127.0.0.1\nallow_anonymous true\n\
                 certfile @DIR/own/a.example.pem\nkeyfile @DIR/own/a.example.pem\n",
            );
        },
        serve: |place| {
            let mut mosquitto = Command::new(tools::find("mosquitto").unwrap());
            mosquitto.arg("-c").arg(place.path("mosquitto.conf"));
            mosquitto
        },
        starttls: None,
        pid_file: Some("own/pid"),
        copy: Some(Copied { file: "own/a.example.pem", owner: "mosquitto" }),
        broken: ("conf.d/tls.conf", "nonsense 1"),
        says: "Unknown configuration variable",
    }
}

pub fn caddy() -> Kind {
    Kind {
        hook: "caddy",
        told: ("--config", "Caddyfile"),
        configure: |place| {
            place.make("own", "caddy");
            place.write(
                "Caddyfile",
                "{\nadmin 127.0.0.1:@ADMIN\nauto_https disable_redirects\n\
                 default_bind 127.0.0.1\n}\nhttps://a.example:@PORT {\n\
                 tls @DIR/own/a.example.pem @DIR/own/a.example.pem\nrespond hello\n}\n",
            );
        },
        serve: |place| {
            let mut caddy = Command::new(tools::find("caddy").unwrap());
            caddy.args(["run", "--adapter", "caddyfile", "--config"]);
            caddy.arg(place.path("Caddyfile")).env("HOME", place.path("own"));
            as_user("caddy", caddy)
        },
        starttls: None,
        pid_file: None,
        copy: Some(Copied { file: "own/a.example.pem", owner: "caddy" }),
        broken: ("Caddyfile", "nonsense {"),
        says: "Syntax error",
    }
}
