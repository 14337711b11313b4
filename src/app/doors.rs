//! How clusters are entered and listeners kept, as the config says: TLS material out of its files, and who we are.

use crate::config::{self, Config, Mapped};
use crate::security::client::Credentials;
use crate::security::tls::{Shelf, Side, TlsProblem};
use crate::telemetry::Telemetry;
use crate::types::{Guise, Name};
use crate::upstream::connect::Shared;
use crate::upstream::door::Door;
use std::collections::BTreeSet;
use std::sync::Arc;

/// See the module's text.
#[derive(Clone)]
pub(super) struct Doors {
    shelf: Arc<Shelf>,
    shared: Arc<Shared>,
    telemetry: Arc<Telemetry>,
}

impl Doors {
    pub(super) fn new(shared: &Arc<Shared>, telemetry: &Arc<Telemetry>) -> Self {
        Self { shelf: Arc::default(), shared: Arc::clone(shared), telemetry: Arc::clone(telemetry) }
    }

    /// All TLS material.
    pub(super) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// From now on a cluster is entered as its config says, by everybody who comes to it.
    ///
    /// # Errors
    /// Which file is wrong, and how: who was to enter by it enters as before.
    pub(super) fn open(&self, cluster: &config::Cluster) -> Result<(), TlsProblem> {
        self.open_own(cluster)?;
        cluster.identities.all().iter().try_for_each(|one| self.open_for(None, cluster, one))
    }

    fn open_own(&self, cluster: &config::Cluster) -> Result<(), TlsProblem> {
        let door = self.door(cluster, Guise::OWN, (cluster.tls.as_ref(), cluster.login.as_ref()), &cluster.name)?;
        if door.tls.is_none() {
            self.shelf.forget(&Side::towards(&cluster.name, Guise::OWN));
        }
        self.shared.doors.set(cluster.slot, Guise::OWN, door);
        Ok(())
    }

    /// Who was not there before takes nothing over from another one of the same name, who may be about to open a link by what he has.
    fn open_for(
        &self,
        before: Option<&config::Cluster>,
        cluster: &config::Cluster,
        one: &Mapped,
    ) -> Result<(), TlsProblem> {
        if let Some(tls) = one.tls.as_ref().filter(|_| before.is_none_or(|before| !before.identities.has(&one.guise))) {
            let side = Side::towards(&cluster.name, &one.guise);
            self.shelf.may_be_client(&side, tls)?;
            self.shelf.forget(&side);
        }
        let whose = one.whose(&cluster.name);
        let mut door = self.door(cluster, &one.guise, (one.tls.as_ref(), one.login.as_ref()), &whose)?;
        if door.tls.is_none() {
            // Without a certificate of its own it comes by the same TLS as we, and shares what that learns of its files.
            self.shelf.forget(&Side::towards(&cluster.name, &one.guise));
            door.tls = self.shared.doors.of(cluster.slot, Guise::OWN).and_then(|own| own.tls.clone());
        }
        self.shared.doors.set(cluster.slot, &one.guise, door);
        Ok(())
    }

    /// New clusters are entered from now on as the config says; of those that are there nothing is changed yet, but what would be is
    /// looked at.
    pub(super) fn begin(&self, now: &Config, then: &Config) -> Result<(), TlsProblem> {
        then.clusters.iter().try_for_each(|one| match now.cluster(one.slot) {
            None => self.open(one),
            Some(before) => {
                let own = one.tls.as_ref().filter(|_| is_other(before, one)).map(|tls| (Guise::OWN, tls));
                let theirs = others(before, one).filter_map(|one| Some((&one.guise, one.tls.as_ref()?)));
                let look = |(guise, tls)| self.shelf.may_be_client(&Side::towards(&one.name, guise), tls);
                own.into_iter().chain(theirs).try_for_each(look)
            }
        })
    }

    /// What has [begun](Doors::begin) is not to be.
    pub(super) fn withdraw(&self, now: &Config, then: &Config) {
        self.forget(now, then);
    }

    /// A [change](Doors::change) that has failed, since a file was written in between, is undone. What cannot be entered as before
    /// either, since that file is among its own, stays as it is.
    pub(super) fn undo(&self, now: &Config, then: &Config) {
        for (before, one) in then.clusters.iter().filter_map(|one| Some((now.cluster(one.slot)?, one))) {
            if is_other(before, one) {
                let _as_it_is = self.open_own(before);
            }
            let _as_they_are = others(one, before).try_for_each(|identity| self.open_for(Some(one), before, identity));
        }
    }

    /// What has begun is taken whole. Who comes no more does so until [`Doors::leave`].
    pub(super) fn change(&self, now: &Config, then: &Config) -> Result<(), TlsProblem> {
        for (before, one) in then.clusters.iter().filter_map(|one| Some((now.cluster(one.slot)?, one))) {
            if is_other(before, one) {
                self.open_own(one)?;
            }
            others(before, one).try_for_each(|identity| self.open_for(Some(before), one, identity))?;
        }
        self.forget(then, now);
        Ok(())
    }

    /// Nobody comes to a cluster any more whom its config does not name.
    pub(super) fn leave(&self, before: &config::Cluster, cluster: &config::Cluster) {
        self.shared.doors.keep(cluster.slot, |guise| cluster.identities.has(guise));
        let name_of = |one: &Mapped| one.guise.name().to_owned();
        let names: BTreeSet<_> = cluster.identities.all().iter().map(name_of).collect();
        let gone = before.identities.all().iter().map(name_of).filter(|name| !names.contains(name));
        gone.for_each(|name| self.telemetry.cluster(&before.name).forget_identity(&name));
    }

    /// Keeps no files in sight that only the other config names.
    fn forget(&self, kept: &Config, other: &Config) {
        let kept = sides(kept);
        sides(other).difference(&kept).for_each(|side| self.shelf.forget(side));
    }

    fn door(
        &self,
        cluster: &config::Cluster,
        guise: &Guise,
        (tls, login): (Option<&config::ClientTls>, Option<&config::Login>),
        whose: &Name,
    ) -> Result<Door, TlsProblem> {
        let tls = tls.map(|tls| self.shelf.client(Side::towards(&cluster.name, guise), tls)).transpose()?;
        let meter = self.telemetry.cluster(&cluster.name);
        let told = move |came| meter.token_fetched(came);
        Ok(Door { tls, login: login.map(|login| Credentials::of(login, whose, Box::new(told))), barred: None })
    }
}

/// Whose files of clusters are kept in sight.
fn sides(config: &Config) -> BTreeSet<Side> {
    let of = |one: &config::Cluster| {
        let guises = one.identities.all().iter().map(|one| &one.guise).chain([Guise::OWN]);
        guises.map(|guise| Side::towards(&one.name, guise)).collect::<Vec<_>>()
    };
    config.clusters.iter().flat_map(of).collect()
}

/// Whether we enter a cluster otherwise than before.
fn is_other(before: &config::Cluster, one: &config::Cluster) -> bool {
    (&before.tls, &before.login) != (&one.tls, &one.login)
}

/// Who is to enter it otherwise than before: by what is its own, or by what it shares with us.
fn others<'c>(before: &'c config::Cluster, one: &'c config::Cluster) -> impl Iterator<Item = &'c Mapped> {
    let shared_is_same = before.tls == one.tls;
    let way = |one: &Mapped| (one.guise.clone(), one.login.clone(), one.tls.clone());
    one.identities.all().iter().filter(move |one| {
        let is_same = before.identities.all().iter().any(|before| way(before) == way(one));
        !(is_same && shared_is_same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::tls::testing::{Authority, Validity};
    use std::fs;
    use std::path::{Path, PathBuf};

    struct Stage {
        directory: PathBuf,
        doors: Doors,
    }

    impl Stage {
        fn new(name: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("fishplate-doors-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("ca.crt"), Authority::new("Test CA").certificate()).unwrap();
            let telemetry = Arc::new(Telemetry::new().unwrap());
            Self { directory, doors: Doors::new(&Shared::new(0, 1 << 20), &telemetry) }
        }

        /// Clusters a, and those too that enter by such an authority.
        fn config(&self, more: &[(&str, &str)]) -> Config {
            let cluster = |(slot, (name, ca)): (usize, &(&str, &str))| {
                let ca = self.directory.join(ca);
                format!(
                    "  {name}: {{ slot: {}, bootstrap: ['{name}:1'], tls: {{ ca: '{}' }} }}\n",
                    slot + 1,
                    ca.display()
                )
            };
            let more: String = more.iter().enumerate().map(cluster).collect();
            let text = format!(
                "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\nclusters:\n  \
                 a: {{ slot: 0, bootstrap: ['a:1'] }}\n{more}"
            );
            Config::from_text("doors.yaml", &text).unwrap()
        }

        fn kept(&self) -> Vec<String> {
            self.doors.shelf().look().iter().map(|look| look.side.name().to_owned()).collect()
        }

        fn is_over_tls(&self, config: &Config, name: &str) -> bool {
            let cluster = config.clusters.iter().find(|one| one.name.as_str() == name).unwrap();
            self.doors.shared.doors.of(cluster.slot, Guise::OWN).expect("our own").tls.is_some()
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(Path::new(&self.directory));
        }
    }

    #[test]
    fn a_new_cluster_is_entered_before_its_config_is_taken_and_nothing_is_kept_of_one_that_is_refused() {
        let stage = Stage::new("refused");
        let (now, then) = (stage.config(&[]), stage.config(&[("b", "ca.crt"), ("c", "missing.crt")]));
        let wrong = stage.doors.begin(&now, &then).unwrap_err();
        assert!(wrong.to_string().contains("missing.crt"), "{wrong}");
        assert_eq!(stage.kept(), ["b"], "it was there before the mistake was found");
        stage.doors.withdraw(&now, &then);
        assert!(stage.kept().is_empty());
    }

    #[test]
    fn what_a_cluster_that_is_there_would_become_is_looked_at_and_not_taken() {
        let stage = Stage::new("looked-at");
        let (now, then) = (stage.config(&[("b", "ca.crt")]), stage.config(&[("b", "missing.crt")]));
        stage.doors.begin(&stage.config(&[]), &now).unwrap();
        assert!(stage.doors.begin(&now, &then).is_err());
        stage.doors.withdraw(&now, &then);
        assert_eq!(stage.kept(), ["b"]);
        assert!(stage.is_over_tls(&now, "b"));
        // What does not change is not looked at: another file's mistake must not stand against a reload
        fs::write(stage.directory.join("ca.crt"), "no certificate").unwrap();
        let with_c = stage.config(&[("b", "ca.crt")]);
        stage.doors.begin(&now, &with_c).unwrap();
        // And who is gone is not kept in sight
        stage.doors.change(&now, &stage.config(&[])).unwrap();
        assert!(stage.kept().is_empty());
    }

    #[test]
    fn an_identity_comes_by_its_certificate_until_it_is_gone() {
        let stage = Stage::new("identity");
        let authority = Authority::new("Test CA");
        authority.client("one", Validity::Good).write(&stage.directory, "one");
        let with = |certificate: &str| {
            let file = |name: &str| stage.directory.join(name).display().to_string();
            let (ca, certificate, key) = (file("ca.crt"), file(certificate), file("one.key"));
            let text = format!(
                "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0' }}]\nclusters:\n  a:\n    slot: 0\n    \
                 bootstrap: ['a:1']\n    tls: {{ ca: '{ca}' }}\n    unmapped: own\n    identities:\n      \
                 one: {{ principals: ['User:ANONYMOUS'], tls: {{ certificate: '{certificate}', key: '{key}' }} }}\n      \
                 two: {{ principals: ['User:x'], tls: {{ certificate: '{certificate}', key: '{key}' }} }}\n"
            );
            Config::from_text("doors.yaml", &text).unwrap_or_else(|wrong| panic!("{wrong}"))
        };
        let (now, then) = (stage.config(&[]), with("one.crt"));
        let slot = now.clusters[0].slot;
        let guise = then.clusters[0].identities.all()[0].guise.clone();
        let door = || stage.doors.shared.doors.of(slot, &guise);
        // Nothing of it is there before it is taken
        stage.doors.begin(&now, &then).unwrap();
        assert!(stage.kept().is_empty() && door().is_none());
        assert!(stage.doors.begin(&now, &with("gone.crt")).is_err());
        stage.doors.change(&now, &then).unwrap();
        assert_eq!(stage.kept(), ["a", "a/one", "a/two"]);
        let own = stage.doors.shared.doors.of(slot, Guise::OWN).and_then(|own| own.tls.clone()).expect("TLS");
        let theirs = door().and_then(|door| door.tls.clone()).expect("TLS");
        assert!(!Arc::ptr_eq(&own, &theirs), "what one may resume is not another's");
        // What stays as it is is not touched: what is remembered of logins stays
        let before = door().expect("a door");
        stage.doors.change(&then, &with("one.crt")).unwrap();
        assert!(Arc::ptr_eq(&before, &door().expect("a door")));
        // Who comes by another certificate under the same name is another, and makes nobody else of this one
        let by = |door: Option<Arc<Door>>| door.and_then(|door| door.tls.clone()).expect("TLS");
        fs::copy(stage.directory.join("one.crt"), stage.directory.join("same.crt")).unwrap();
        let other = with("same.crt");
        let as_other = other.clusters[0].identities.all()[0].guise.clone();
        stage.doors.change(&then, &other).unwrap();
        let theirs = by(stage.doors.shared.doors.of(slot, &as_other));
        assert!(!Arc::ptr_eq(&theirs, &by(door())), "a link that is opened now enters as who asked for it");
        assert_eq!(stage.kept(), ["a", "a/one", "a/two"]);
        stage.doors.change(&other, &then).unwrap();
        // And it is there until nobody plans by the config that had it
        stage.doors.change(&then, &now).unwrap();
        assert!(stage.kept().is_empty() && door().is_some());
        stage.doors.leave(&then.clusters[0], &now.clusters[0]);
        assert!(door().is_none() && stage.doors.shared.doors.of(slot, Guise::OWN).is_some());
    }
}
