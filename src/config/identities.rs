//! As whom clients' principals come to a cluster, so that its own ACLs and quotas bind each of them: each identity has its
//! principals and what the cluster knows it by. Pure.

use super::login::Login;
use super::tls::ClientTls;
use crate::rights::EVERYONE;
use crate::types::{Guise, Name};
use std::collections::HashMap;

/// All of one cluster. Without any, Fishplate's own is everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    all: Vec<Mapped>,
    unmapped: Unmapped,
    /// The place of each principal's, groups resolved.
    of: HashMap<Box<str>, usize>,
    /// The place of the one that everybody has who has no other.
    everyone: Option<usize>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What it is called, and who it is there.
    pub guise: Guise,
    /// Who has it, as it is written: principals, groups of them, [`EVERYONE`].
    pub principals: Vec<Box<str>>,
    /// How it logs in. There is one where, and only where, the cluster itself is logged in to.
    pub login: Option<Login>,
    /// The cluster's own TLS with the identity's certificate in it; `None`: as the cluster's own.
    pub tls: Option<ClientTls>,
}

impl Mapped {
    /// Who logs in where, for the log.
    #[must_use]
    pub fn whose(&self, cluster: &Name) -> Name {
        format!("{cluster} as {}", self.guise.name()).as_str().into()
    }
}

/// What becomes of a principal that has no identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmapped {
    /// It comes as Fishplate itself.
    #[default]
    Own,
    /// It does not come.
    Refuse,
}

impl Unmapped {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Own, Self::Refuse];

    /// As the config says it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Refuse => "refuse",
        }
    }
}

/// A principal that two identities have, and the places of both.
pub type Twice = (Box<str>, usize, usize);

impl Identities {
    /// Of these; `members` are a group's principals.
    ///
    /// # Errors
    /// All principals that two of them have.
    pub fn new<'m>(
        all: Vec<Mapped>,
        unmapped: Unmapped,
        members: impl Fn(&str) -> Option<&'m [Box<str>]>,
    ) -> Result<Self, Vec<Twice>> {
        let (mut of, mut everyone, mut twice) = (HashMap::new(), None, Vec::new());
        for (place, mapped) in all.iter().enumerate() {
            let named = mapped.principals.iter().flat_map(|one| members(one).unwrap_or(std::slice::from_ref(one)));
            for principal in named {
                let first = match &**principal == EVERYONE {
                    true => *everyone.get_or_insert(place),
                    false => *of.entry(principal.clone()).or_insert(place),
                };
                if first != place {
                    twice.push((principal.clone(), first, place));
                }
            }
        }
        if twice.is_empty() { Ok(Self { all, unmapped, of, everyone }) } else { Err(twice) }
    }

    /// Whether Fishplate's own is everybody's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether somebody comes as this one.
    #[must_use]
    pub fn has(&self, guise: &Guise) -> bool {
        self.all.iter().any(|one| one.guise == *guise)
    }

    /// As they are written.
    #[must_use]
    pub fn all(&self) -> &[Mapped] {
        &self.all
    }

    /// What becomes of who has none.
    #[must_use]
    pub fn unmapped(&self) -> Unmapped {
        self.unmapped
    }

    /// As whom a principal comes; `None` where it does not.
    #[must_use]
    pub fn of(&self, principal: &str) -> Option<&Guise> {
        if self.all.is_empty() {
            return Some(Guise::OWN);
        }
        let place = self.of.get(principal).copied().or(self.everyone);
        match place.and_then(|place| self.all.get(place)) {
            Some(mapped) => Some(&mapped.guise),
            None if self.unmapped == Unmapped::Own => Some(Guise::OWN),
            None => None,
        }
    }

    /// The principals that have one each by name, groups resolved, with the place of their identity.
    pub fn principals(&self) -> impl Iterator<Item = (&str, usize)> {
        self.of.iter().map(|(principal, place)| (&**principal, *place))
    }

    /// Puts what stands for secrets in their place.
    #[cfg(test)]
    pub(super) fn hide(&mut self) {
        self.all.iter_mut().filter_map(|one| one.login.as_mut()).for_each(Login::hide);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(name: &str, principals: &[&str]) -> Mapped {
        let principals = principals.iter().map(|one| (*one).into()).collect();
        Mapped { guise: Guise::Identity { name: name.into(), who: name.into() }, principals, login: None, tls: None }
    }

    fn group(name: &str) -> Option<&'static [Box<str>]> {
        static MEMBERS: std::sync::LazyLock<Vec<Box<str>>> =
            std::sync::LazyLock::new(|| vec!["User:b".into(), "User:c".into()]);
        (name == "some").then_some(&MEMBERS)
    }

    fn name(identities: &Identities, principal: &str) -> Option<String> {
        identities.of(principal).map(|guise| guise.name().to_owned())
    }

    #[test]
    fn a_principal_has_its_own_identity_or_everyones_or_ours_or_none() {
        let two = || vec![mapped("a", &["User:a"]), mapped("bc", &["some"])];
        let of = |identities: &Identities| ["User:a", "User:c", "User:x"].map(|one| name(identities, one));
        let some = |name: &str| Some(name.to_owned());
        let refuse = Identities::new(two(), Unmapped::Refuse, group).unwrap();
        assert_eq!(of(&refuse), [some("a"), some("bc"), None]);
        let own = Identities::new(two(), Unmapped::Own, group).unwrap();
        assert_eq!(of(&own), [some("a"), some("bc"), some("own")]);
        let all = two().into_iter().chain([mapped("rest", &[EVERYONE])]).collect();
        assert_eq!(of(&Identities::new(all, Unmapped::Own, group).unwrap()), [some("a"), some("bc"), some("rest")]);
        assert_eq!(of(&Identities::default()), [some("own"), some("own"), some("own")]);
    }

    #[test]
    fn nobody_is_two() {
        let all = vec![
            mapped("a", &["User:a", "User:a", EVERYONE]),
            mapped("b", &["some", EVERYONE]),
            mapped("c", &["User:c"]),
        ];
        let twice = Identities::new(all, Unmapped::Own, group).unwrap_err();
        assert_eq!(twice, [(EVERYONE.into(), 0, 1), ("User:c".into(), 1, 2)]);
    }
}
