//! TLS material that is kept and can be replaced: by other files, or by what is new in the same ones. Handshakes take what is in
//! force when they begin; a bad file leaves what is there.

use super::expiry::{Expiry, now};
use super::material::Files;
use super::problem::TlsProblem;
use super::survey::expiring;
use super::{Part, Reload};
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What says where material is: `tls` of a listener, of the admin address, or of a cluster.
pub trait Settings: Clone + PartialEq + fmt::Debug {
    /// What handshakes need.
    type Config: fmt::Debug;

    /// The file that a part stands in; `None`: it is the system's.
    fn file(&self, part: Part) -> Option<PathBuf>;

    /// All files that it takes.
    fn files(&self) -> Vec<PathBuf>;

    /// Sets up what handshakes need of what these files say, and tells until when it holds.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    fn set_up(&self, files: &Files) -> Result<(Self::Config, Vec<Expiry>), TlsProblem>;
}

/// What was set up of files.
#[derive(Debug)]
pub(super) struct Loaded<S: Settings> {
    pub(super) from: S,
    /// Of the files' contents.
    sum: u64,
    config: Arc<S::Config>,
    expiries: Vec<Expiry>,
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
        Ok(Self { now: ArcSwap::from_pointee(Loaded::of(settings, &Files::read(settings.files()))?) })
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
        let is = self.now.load_full();
        Ok(match Self::renewed(&is, &is.from)? {
            None => Reload::Unchanged,
            Some(then) => {
                // Where other settings came meanwhile, these are old.
                self.now.compare_and_swap(&is, then);
                Reload::Changed
            }
        })
    }

    /// Whether it could [become](Kept::become_as) so.
    ///
    /// # Errors
    /// What is wrong.
    pub fn may_become(&self, settings: &S) -> Result<(), TlsProblem> {
        Self::renewed(&self.now(), settings).map(drop)
    }

    /// Takes other files, or the same ones again. Files that say what they said are read and no more: setting up is what costs.
    ///
    /// # Errors
    /// What is wrong with them; what was in force stays so.
    pub fn become_as(&self, settings: &S) -> Result<Reload, TlsProblem> {
        let Some(then) = Self::renewed(&self.now(), settings)? else { return Ok(Reload::Unchanged) };
        self.now.store(then);
        Ok(Reload::Changed)
    }

    /// What these settings and their files say, where that is something else.
    fn renewed(is: &Loaded<S>, settings: &S) -> Result<Option<Arc<Loaded<S>>>, TlsProblem> {
        let files = Files::read(settings.files());
        if files.sum() == is.sum && *settings == is.from {
            return Ok(None);
        }
        let then = Loaded::of(settings, &files)?;
        match then.lapsed(now()) {
            // Not worse than what is there.
            Some(problem) if is.lapsed(now()).is_none() => Err(problem),
            _ => Ok(Some(Arc::new(then))),
        }
    }
}

impl<S: Settings> Loaded<S> {
    fn of(settings: &S, files: &Files) -> Result<Self, TlsProblem> {
        let (config, expiries) = settings.set_up(files)?;
        Ok(Self { from: settings.clone(), sum: files.sum(), config: Arc::new(config), expiries })
    }

    /// What of it does not hold then.
    fn lapsed(&self, now: i64) -> Option<TlsProblem> {
        let lapsed = self.expiries.iter().find(|one| !one.holds(now))?;
        Some(lapsed.lapsed(&self.from.file(lapsed.part)?, now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::Trouble;
    use super::*;
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A file of text, which is wrong where it says so; counts how often it is set up.
    #[derive(Clone, Debug)]
    struct Counted(PathBuf, Arc<AtomicUsize>);

    impl PartialEq for Counted {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Settings for Counted {
        type Config = ();

        fn file(&self, _: Part) -> Option<PathBuf> {
            Some(self.0.clone())
        }

        fn files(&self) -> Vec<PathBuf> {
            vec![self.0.clone()]
        }

        fn set_up(&self, files: &Files) -> Result<((), Vec<Expiry>), TlsProblem> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let text = files.of(&self.0)?;
            if text == b"wrong" { Err(TlsProblem::of(&self.0, Trouble::NoKey(None))) } else { Ok(((), Vec::new())) }
        }
    }

    #[test]
    fn what_says_what_it_said_is_not_set_up_again() {
        let file = std::env::temp_dir().join(format!("fishplate-kept-{}", std::process::id()));
        let counted = Counted(file.clone(), Arc::default());
        let times = || counted.1.load(Ordering::Relaxed);
        fs::write(&file, "one").expect("a file");
        let kept = Kept::load(&counted).expect("loaded");
        for _ in 0..100 {
            assert_eq!(kept.reload(), Ok(Reload::Unchanged));
        }
        assert_eq!(times(), 1);
        // Written anew with the same in it, as by what renews without need
        fs::write(&file, "one").expect("a file");
        assert_eq!((kept.reload(), times()), (Ok(Reload::Unchanged), 1));
        fs::write(&file, "two").expect("a file");
        assert_eq!((kept.reload(), kept.reload(), times()), (Ok(Reload::Changed), Ok(Reload::Unchanged), 2));
        // What cannot be used is looked at each time: what was there stays
        fs::write(&file, "wrong").expect("a file");
        assert!(kept.reload().is_err() && kept.reload().is_err() && times() == 4);
        fs::write(&file, "two").expect("a file");
        assert_eq!((kept.reload(), times()), (Ok(Reload::Unchanged), 4));
        fs::remove_file(&file).expect("gone");
        assert_eq!(kept.reload(), Err(TlsProblem::of(&file, Trouble::Missing)));
    }
}
