//! Notices that certificates, keys or trust have changed in their files, and has them read again: as the system tells it, and
//! every few seconds whatever it tells. A mounted Kubernetes secret changes by a link in the files' directory. What cannot be
//! used is told once, and what was there before goes on.

use super::watch::Directories;
use crate::security::tls::{Look, Part, Reload, Shelf, Side, TlsProblem};
use crate::telemetry::Telemetry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// A certificate and its key are rarely replaced at one moment.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// Where the system tells nothing, as over NFS.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What does not fit may be half replaced: it is told only if it still does not fit then.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Who is about to lose its certificate is told so once in this time.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// What was told of one side.
#[derive(Default)]
struct Told {
    /// What stood against its files at the last look.
    problem: Option<TlsProblem>,
    /// It was told.
    said: bool,
    warned: Option<Instant>,
}

/// Looks at the files of a shelf for as long as it is polled.
pub(super) async fn run(shelf: Arc<Shelf>, telemetry: Arc<Telemetry>) {
    let changed = Arc::new(Notify::new());
    let mut directories = Directories::new(&changed);
    let mut told: BTreeMap<Side, Told> = BTreeMap::new();
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut again = false;
    loop {
        tokio::select! {
            () = changed.notified() => sleep(DEBOUNCE).await,
            _ = every.tick() => {}
            () = sleep(AGAIN_AFTER), if again => {}
        }
        directories.watch(&shelf.directories());
        let shelf = Arc::clone(&shelf);
        // It reads files.
        let Ok(looks) = tokio::task::spawn_blocking(move || shelf.look()).await else { return };
        told.retain(|side, _| looks.iter().any(|look| look.side == *side) || gone(side, &telemetry));
        again = false;
        for look in looks {
            let of = told.entry(look.side.clone()).or_default();
            of.take(&look, &telemetry, Instant::now());
            again |= of.problem.is_some() && !of.said;
        }
    }
}

/// Nobody has these any more.
fn gone(side: &Side, telemetry: &Telemetry) -> bool {
    for part in [Part::Certificate, Part::Ca] {
        telemetry.certificates().has_none(side.as_str(), side.name(), part.as_str());
    }
    false
}

impl Told {
    fn take(&mut self, look: &Look, telemetry: &Telemetry, now: Instant) {
        let Look { side, reload, expiries, warning } = look;
        let meter = telemetry.certificates();
        match reload {
            Ok(reload) => {
                if *reload == Reload::Changed {
                    meter.reloaded(side.as_str(), side.name(), "applied");
                    tracing::info!(of = %side, "certificates have changed: new connections use what the files say now");
                } else if self.said {
                    tracing::info!(of = %side, "the files of certificates are again what is in use");
                }
                (self.problem, self.said) = (None, false);
            }
            Err(problem) => self.refused(side, problem, telemetry),
        }
        for part in [Part::Certificate, Part::Ca] {
            match expiries.iter().find(|one| one.part == part) {
                Some(one) => meter.holds_until(side.as_str(), side.name(), part.as_str(), one.until),
                None => meter.has_none(side.as_str(), side.name(), part.as_str()),
            }
        }
        self.warn(side, warning.as_ref(), now);
    }

    /// The second time that the same stands against the files, it is told; and then no more.
    fn refused(&mut self, side: &Side, problem: &TlsProblem, telemetry: &Telemetry) {
        if self.problem.as_ref() != Some(problem) {
            (self.problem, self.said) = (Some(problem.clone()), false);
        } else if !self.said {
            self.said = true;
            telemetry.certificates().reloaded(side.as_str(), side.name(), "refused");
            tracing::error!(
                of = %side, reason = %problem, instead = problem.instead(),
                "files of certificates have changed and cannot be used; what was there before goes on"
            );
        }
    }

    fn warn(&mut self, side: &Side, warning: Option<&TlsProblem>, now: Instant) {
        let Some(problem) = warning else {
            self.warned = None;
            return;
        };
        if self.warned.is_none_or(|at| now >= at + WARN_EVERY) {
            self.warned = Some(now);
            tracing::warn!(of = %side, reason = %problem, instead = problem.instead(), "a certificate needs somebody");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Identity, Tls, TlsVersion};
    use crate::security::tls::testing::{Authority, Validity};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use tokio::time::timeout;

    /// A directory as Kubernetes mounts a secret: `tls.crt` leads to `..data/tls.crt`, and `..data` to a folder of one version.
    struct Mount(PathBuf);

    impl Mount {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("fishplate-mount-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            for file in ["tls.crt", "tls.key"] {
                symlink(Path::new("..data").join(file), root.join(file)).unwrap();
            }
            Self(root)
        }

        fn swap(&self, version: &str, certificate: &str, key: &str) {
            let folder = self.0.join(version);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("tls.crt"), certificate).unwrap();
            fs::write(folder.join("tls.key"), key).unwrap();
            symlink(version, self.0.join("..new")).unwrap();
            fs::rename(self.0.join("..new"), self.0.join("..data")).unwrap();
        }

        fn tls(&self) -> Tls {
            let identity = Identity { certificate: self.0.join("tls.crt"), key: self.0.join("tls.key") };
            Tls { identity, clients: None, min_version: TlsVersion::Tls12 }
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    async fn until(what: &str, holds: impl Fn() -> bool) {
        let wait = async {
            while !holds() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LOOK_EVERY * 3, wait).await.expect(what);
    }

    #[tokio::test]
    async fn a_secret_that_is_swapped_is_in_use_and_a_bad_one_is_told_and_not() {
        // Given a listener whose certificate is mounted
        let (authority, mount) = (Authority::new("Test CA"), Mount::new("swap"));
        let first = authority.server(&["kafka.example"], Validity::Good);
        mount.swap("..one", &first.certificate, &first.key);
        let shelf = Arc::new(Shelf::default());
        let server = shelf.server(Side::Listener("127.0.0.1:9093".into()), &mount.tls()).unwrap();
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let watching = tokio::spawn(run(Arc::clone(&shelf), Arc::clone(&telemetry)));
        let shown = |family: &str, labels: &[(&str, &str)]| telemetry.shown(family, labels);
        let expiry =
            || shown("fishplate_certificate_expiry_time_seconds", &[("side", "listener"), ("part", "certificate")]);
        until("the expiry", || expiry() == Some(4_102_444_800.0)).await;
        // When the whole secret is swapped by its link
        let before = server.current();
        let second = authority.server(&["kafka.example"], Validity::For(Duration::from_secs(86_400)));
        mount.swap("..two", &second.certificate, &second.key);
        // Then it is in use
        let count = |result| shown("fishplate_certificate_reloads_total", &[("result", result)]);
        until("the second certificate", || count("applied") == Some(1.0)).await;
        assert!(!Arc::ptr_eq(&before, &server.current()));
        assert!(expiry().is_some_and(|until| until < 4_102_444_800.0));
        // And one whose key does not fit is told once, and is not
        let before = server.current();
        mount.swap("..three", &first.certificate, &second.key);
        until("the refusal", || count("refused") == Some(1.0)).await;
        assert!(Arc::ptr_eq(&before, &server.current()));
        mount.swap("..four", &first.certificate, &first.key);
        until("the third certificate", || count("applied") == Some(2.0)).await;
        assert_eq!(count("refused"), Some(1.0));
        watching.abort();
    }

    #[test]
    fn what_is_half_replaced_is_not_told() {
        let telemetry = Telemetry::new().unwrap();
        let side = Side::Listener("127.0.0.1:9093".into());
        let look = |reload| Look { side: side.clone(), reload, expiries: Vec::new(), warning: None };
        let missing = |name: &str| TlsProblem::of(Path::new(name), crate::security::tls::Trouble::Missing);
        let mut told = Told::default();
        let refusals = || telemetry.shown("fishplate_certificate_reloads_total", &[("result", "refused")]);
        for (reload, refused) in [
            (Err(missing("a")), None),
            (Ok(Reload::Changed), None),
            (Err(missing("a")), None),
            (Err(missing("b")), None),
            (Err(missing("b")), Some(1.0)),
            (Err(missing("b")), Some(1.0)),
            (Ok(Reload::Unchanged), Some(1.0)),
            (Err(missing("b")), Some(1.0)),
            (Err(missing("b")), Some(2.0)),
        ] {
            told.take(&look(reload), &telemetry, Instant::now());
            assert_eq!(refusals(), refused);
        }
    }
}
