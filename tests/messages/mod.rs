//! Messages of every kind that Fishplate reads, made up and damaged, and what must be true of each. Properties
//! (`tests/shape.rs`) go through all of them; fuzz runs (`tests/fuzz.rs`) go on until their time is over.

pub mod damage;
pub mod dice;
pub mod judge;

use bytes::Bytes;
use fastrand::Rng;
use fishplate::wire::shape::{Shaped, Visitor, show_all};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Encodable, VersionRange};
use std::fmt::Debug;

/// A type of message, and what can be done with it.
pub struct Kind {
    /// `FetchRequest`, for example.
    pub name: &'static str,
    /// Its API.
    pub api: ApiKey,
    /// Its versions.
    pub versions: VersionRange,
    /// One that kafka-protocol encoded; `None` where the dice gave none.
    pub make: fn(&mut Rng, i16) -> Option<Bytes>,
    /// What must be true of what kafka-protocol encodes.
    pub judge_sound: fn(&mut Rng, i16) -> bool,
    /// What must be true of any bytes; whether they passed the check.
    pub judge_any: fn(&Bytes, i16) -> bool,
}

impl Kind {
    /// One of its versions.
    pub fn version(&self, rng: &mut Rng) -> i16 {
        rng.i16(self.versions.min..=self.versions.max)
    }
}

/// All that Fishplate reads.
pub fn kinds() -> Vec<Kind> {
    struct Kinds(Vec<Kind>);
    impl Visitor for Kinds {
        fn visit<M: Shaped + Encodable + Clone + PartialEq + Debug>(&mut self, api: ApiKey, name: &'static str) {
            self.0.push(Kind {
                name,
                api,
                versions: M::VERSIONS,
                make: |rng, version| dice::roll::<M>(rng, version).map(|(_, body)| body),
                judge_sound: judge::sound::<M>,
                judge_any: judge::any::<M>,
            });
        }
    }
    let mut kinds = Kinds(Vec::new());
    show_all(&mut kinds);
    kinds.0
}
