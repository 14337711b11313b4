//! The topics that are kept from everybody for now: they answer that nobody leads them, which clients wait out.

use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence(BTreeMap<StrBytes, Why>);

/// Why a topic is kept from everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has records on this cluster, which is not its home, and none at home.
    Elsewhere(Slot),
    /// Its home is about to change.
    Changing,
}

impl Fence {
    /// Around these.
    #[must_use]
    pub fn around(topics: impl IntoIterator<Item = (StrBytes, Why)>) -> Self {
        Self(topics.into_iter().collect())
    }

    /// The same with more in it.
    #[must_use]
    pub fn with(&self, topics: impl IntoIterator<Item = (StrBytes, Why)>) -> Self {
        Self(self.0.iter().map(|(name, why)| (name.clone(), *why)).chain(topics).collect())
    }

    /// The names of those inside.
    pub fn names(&self) -> impl Iterator<Item = &StrBytes> {
        self.0.keys()
    }

    /// Those inside.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&StrBytes, Why)> {
        self.0.iter().map(|(name, why)| (name, *why))
    }

    /// Why a topic is inside, if it is.
    #[must_use]
    pub fn why(&self, topic: &str) -> Option<Why> {
        self.0.get(topic.as_bytes()).copied()
    }
}
