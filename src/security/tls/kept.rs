//! TLS material that is kept and can be replaced: by other files, or by what is new in the same ones. Handshakes take what is in
//! force when they begin; a bad file leaves what is there.

use super::expiry::{Expiry, now};
use super::problem::TlsProblem;
use super::survey::expiring;
use super::{Part, Reload};
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What says where material is: a listener's `tls`, or a cluster's.
pub trait Settings: Clone + PartialEq + fmt::Debug {
    /// What handshakes need.
    type Config: fmt::Debug;

    /// The file that a part stands in; `None`: it is the system's.
    fn file(&self, part: Part) -> Option<PathBuf>;

    /// Reads all files.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    fn read(&self) -> Result<Loaded<Self>, TlsProblem>;
}

/// What was read of files.
#[derive(Debug)]
pub struct Loaded<S: Settings> {
    pub(super) from: S,
    /// Of the files' contents.
    pub(super) sum: u64,
    pub(super) config: Arc<S::Config>,
    pub(super) expiries: Vec<Expiry>,
}

/// See the module's text.
#[derive(Debug)]
pub struct Kept<S: Settings> {
    now: ArcSwap<Loaded<S>>,
}

impl<S: Settings> Kept<S> {
    /// What the files say, or the system. Certificates whose time is over are taken: [`Kept::lapsed`] tells.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub fn load(settings: &S) -> Result<Self, TlsProblem> {
        Ok(Self { now: ArcSwap::from_pointee(settings.read()?) })
    }

    /// What is in force.
    pub(super) fn now(&self) -> Guard<Arc<Loaded<S>>> {
        self.now.load()
    }

    /// For a handshake that begins.
    #[must_use]
    pub fn current(&self) -> Arc<S::Config> {
        Arc::clone(&self.now().config)
    }

    /// What it was loaded by.
    pub(super) fn settings(&self) -> S {
        self.now().from.clone()
    }

    /// Until when what is in force holds.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        self.now().expiries.clone()
    }

    /// What does not hold at this moment, so that handshakes fail.
    #[must_use]
    pub fn lapsed(&self) -> Option<TlsProblem> {
        self.now().lapsed(now())
    }

    /// What ends within so many days.
    #[must_use]
    pub fn expiring(&self, days: i64) -> Option<TlsProblem> {
        let loaded = self.now();
        expiring(&loaded.expiries, days, |one| loaded.from.file(one.part))
    }

    /// Looks at the files again.
    ///
    /// # Errors
    /// What is wrong with them; what was in force stays so.
    pub fn reload(&self) -> Result<Reload, TlsProblem> {
        self.become_as(&self.settings())
    }

    /// Takes other files, or the same ones again.
    ///
    /// # Errors
    /// What is wrong with them; what was in force stays so.
    pub fn become_as(&self, settings: &S) -> Result<Reload, TlsProblem> {
        let (then, is) = (settings.read()?, self.now());
        if then.sum == is.sum && then.from == is.from {
            return Ok(Reload::Unchanged);
        }
        match then.lapsed(now()) {
            // Not worse than what is there.
            Some(problem) if is.lapsed(now()).is_none() => return Err(problem),
            _ => self.now.store(Arc::new(then)),
        }
        Ok(Reload::Changed)
    }
}

impl<S: Settings> Loaded<S> {
    /// What of it does not hold then.
    fn lapsed(&self, now: i64) -> Option<TlsProblem> {
        let lapsed = self.expiries.iter().find(|one| !one.holds(now))?;
        Some(lapsed.lapsed(&self.from.file(lapsed.part)?, now))
    }
}
