//! Who somebody has proven to be.

use std::fmt;
use std::sync::Arc;

/// A principal in Kafka's form, `User:alice`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The only type there is: what stands before the name.
    pub const USER: &str = "User:";

    /// The user of this name.
    #[must_use]
    pub fn user(name: &str) -> Self {
        Self(format!("{}{name}", Self::USER).into())
    }

    /// Who has proven nothing: Kafka's own name for it.
    #[must_use]
    pub fn anonymous() -> Self {
        static ANONYMOUS: std::sync::LazyLock<Principal> = std::sync::LazyLock::new(|| Principal::user("ANONYMOUS"));
        ANONYMOUS.clone()
    }

    /// Whether it is who has proven nothing.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        *self == Self::anonymous()
    }

    /// With its type: `User:alice`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its type: `alice`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.strip_prefix(Self::USER).unwrap_or(&self.0)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_its_type_and_its_name() {
        let alice = Principal::user("alice");
        assert_eq!((alice.as_str(), alice.name(), alice.is_anonymous()), ("User:alice", "alice", false));
        assert_eq!(Principal::anonymous().to_string(), "User:ANONYMOUS");
        assert_eq!(Principal::user("User:x").name(), "User:x", "a name may look like a principal");
    }
}
