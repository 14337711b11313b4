//! As whom somebody comes to a cluster.

use super::Name;
use std::fmt;
use std::sync::Arc;

/// As whom a link enters its cluster: whose rights and quotas hold there. Cheap to clone; equal where the cluster sees the same
/// one under the same name of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guise {
    /// As Fishplate.
    Own,
    /// As an identity of the config.
    Identity {
        /// Its name there.
        name: Name,
        /// Who that is to the cluster, in words and without what is secret. Under one name somebody else may stand after a reload.
        who: Arc<str>,
    },
}

impl Guise {
    /// Fishplate's own, where one is lent.
    pub const OWN: &Self = {
        static OWN: Guise = Guise::Own;
        &OWN
    };

    /// Stands for Fishplate itself where names of identities stand. Nothing in the config may be called so.
    pub const OWN_NAME: &str = "own";

    /// For metrics and tables.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Own => Self::OWN_NAME,
            Self::Identity { name, .. } => name.as_str(),
        }
    }

    /// Who that is to the cluster, without what is secret.
    #[must_use]
    pub fn who(&self) -> &str {
        match self {
            Self::Own => "Fishplate itself",
            Self::Identity { who, .. } => who,
        }
    }

    /// Whether it is Fishplate itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }
}

/// In a sentence about a link or a login.
impl fmt::Display for Guise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str(self.who()),
            Self::Identity { name, who } => write!(f, "identity {name} ({who})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_one_under_the_same_name_is_another() {
        let one = |who: &str| Guise::Identity { name: "a".into(), who: who.into() };
        assert_eq!((one("x"), one("x").name()), (one("x"), "a"));
        assert_ne!(one("x"), one("y"));
        assert!(Guise::OWN.is_own() && Guise::OWN.name() == "own");
    }
}
