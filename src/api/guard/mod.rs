//! What each API asks of its sender's rights, and what a receiver may see: Kafka's own questions and errors (AK `KafkaApis`,
//! `ControllerApis`). A request loses what its sender may not do before it is planned; what is told of that is put into the
//! answer, and what the receiver may not see is taken out of it. An API that asks nothing does not compile: `Api` wants its request
//! to be [`Guarded`].

mod barred;
mod cluster;
mod groups;
mod offsets;
mod overview;
mod shares;
mod table;
mod topics;
mod transactions;

pub use barred::{Barred, BarredSlots};
pub use table::{ASKED, AsksFor, How};

use crate::api::{Api, NO_OPERATIONS, Seen};
use crate::rights::{Decision, Granted, Kind, Operation};
use crate::types::Slot;
use kafka_protocol::protocol::StrBytes;

/// Something that was asked for and is not allowed.
#[derive(Clone, Copy, Debug)]
pub struct Denial<'d> {
    /// What was to be done.
    pub operation: Operation,
    /// To what.
    pub kind: Kind,
    /// Which one.
    pub name: &'d str,
    /// Why not.
    pub why: Why,
    /// Nobody asked for this very thing: there is another way, or a list leaves it out.
    pub aside: bool,
}

/// Why something is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// By the rules: one that denies it, or none that allows it.
    Rules(Decision),
    /// It lives on a cluster that its asker does not come to.
    Barred(Slot),
}

/// The rights of who asks.
#[derive(Clone, Copy)]
pub struct Guard<'a> {
    /// What rules allow it; `None`: everything.
    pub granted: Option<&'a Granted>,
    /// Clusters that it does not come to.
    pub barred: Barred<'a>,
    /// Is told of what it may not.
    pub told: &'a (dyn Fn(&Denial<'_>) + Sync),
}

impl Guard<'_> {
    /// Whether this may be done. Where not, that is told.
    #[must_use]
    pub fn may(&self, operation: Operation, kind: Kind, name: &str) -> bool {
        self.decide(operation, kind, name, false)
    }

    /// The same of something that nobody asked for by its name, or that another right replaces.
    #[must_use]
    pub fn sees(&self, operation: Operation, kind: Kind, name: &str) -> bool {
        self.decide(operation, kind, name, true)
    }

    fn decide(&self, operation: Operation, kind: Kind, name: &str, aside: bool) -> bool {
        let why = self.against(operation, kind, name);
        if let Some(why) = why {
            (self.told)(&Denial { operation, kind, name, why, aside });
        }
        why.is_none()
    }

    fn against(&self, operation: Operation, kind: Kind, name: &str) -> Option<Why> {
        let decided = self.granted.map(|granted| granted.decide(operation, kind, name));
        match decided.filter(|decided| !decided.is_allowed()) {
            Some(decided) => Some(Why::Rules(decided)),
            None => self.barred.home_of(kind, name).map(Why::Barred),
        }
    }

    /// Whether this may be done to at least one resource of a kind.
    #[must_use]
    pub fn may_any(&self, operation: Operation, kind: Kind) -> bool {
        !self.barred.is_everywhere() && self.granted.is_none_or(|granted| granted.may_any(operation, kind))
    }

    /// Whether some rule allows this to some resource of a kind.
    #[must_use]
    pub fn may_some(&self, operation: Operation, kind: Kind) -> bool {
        !self.barred.is_everywhere() && self.granted.is_none_or(|granted| granted.may_some(operation, kind))
    }

    /// Whether this may be done to the cluster.
    #[must_use]
    pub fn may_on_cluster(&self, operation: Operation) -> bool {
        self.may(operation, Kind::Cluster, Kind::CLUSTER)
    }

    /// What a cluster lets us do of what its client may do (KIP-430).
    fn both(&self, there: i32, kind: Kind, name: &str) -> i32 {
        if there == NO_OPERATIONS {
            return there;
        }
        if self.barred.home_of(kind, name).is_some() {
            return 0;
        }
        self.granted.map_or(there, |granted| there & granted.operations(kind, name).bits().cast_signed())
    }

    /// Takes out of a list what may not be done to the resource that each item names.
    fn part<T>(
        &self,
        list: &mut Vec<T>,
        operation: Operation,
        kind: Kind,
        name: impl for<'t> Fn(&'t T) -> &'t StrBytes,
    ) -> Vec<T> {
        list.extract_if(.., |item| !self.may(operation, kind, name(item))).collect()
    }
}

/// What is left of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Screened<A> {
    /// All.
    All,
    /// Some; this is told of the rest.
    Some(A),
    /// Nothing is to be done. This is the answer.
    Nothing(A),
}

/// A request that is held to its sender's rights.
pub trait Guarded {
    /// What is answered to it.
    type Answer;

    /// Takes out what its sender may not do. Called again, with what is left, where the request is planned again.
    fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer>;

    /// Takes out of an answer what its receiver may not see.
    fn veil(_answer: &mut Self::Answer, _guard: &Guard<'_>) {}

    /// Puts what is told of what was taken out of the request into the answer to the rest.
    fn join(_answer: &mut Self::Answer, _told: Self::Answer) {}
}

/// Screens a request before it is planned. What is told of what it loses is kept in `told`; the whole answer where nothing is left.
pub fn screen<R: Guarded>(request: &mut R, told: &mut Option<R::Answer>, seen: &Seen<'_>) -> Option<R::Answer> {
    let guard = seen.guard?;
    let join = |told: &mut Option<R::Answer>, more| match told {
        Some(before) => R::join(before, more),
        None => *told = Some(more),
    };
    match request.screen(&guard, seen) {
        Screened::All => None,
        Screened::Some(more) => {
            join(told, more);
            None
        }
        Screened::Nothing(more) => {
            join(told, more);
            told.take()
        }
    }
}

/// Makes an answer fit for who gets it.
pub fn close<A: Api>(answer: &mut A::Response, told: Option<A::Response>, seen: &Seen<'_>) {
    if let Some(guard) = seen.guard {
        A::Request::veil(answer, &guard);
    }
    if let Some(told) = told {
        A::Request::join(answer, told);
    }
}

/// `All` where nothing was taken out; else `Nothing` or `Some`, by whether nothing is left.
fn screened<A>(is_whole: bool, is_empty: bool, told: impl FnOnce() -> A) -> Screened<A> {
    match (is_whole, is_empty) {
        (true, _) => Screened::All,
        (false, true) => Screened::Nothing(told()),
        (false, false) => Screened::Some(told()),
    }
}

/// Kafka's words for an error of rights.
fn words(code: i16) -> Option<StrBytes> {
    use crate::api::codes;
    Some(StrBytes::from_static_str(match code {
        codes::TOPIC_AUTHORIZATION_FAILED => "Topic authorization failed.",
        codes::GROUP_AUTHORIZATION_FAILED => "Group authorization failed.",
        codes::CLUSTER_AUTHORIZATION_FAILED => "Cluster authorization failed.",
        codes::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => "Transactional Id authorization failed.",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests;
