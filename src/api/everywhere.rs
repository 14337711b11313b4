//! What is asked of every cluster, or changed on every one: subjects that no single cluster owns. What several clusters
//! say of one thing is put into one code and one message, and a cluster that fails is named in it.

use crate::api::scrub::scrubbed_message;
use crate::api::{Api, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::types::{Slot, Target};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem::take;

/// A code, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Kafka's error code.
    pub code: i16,
    /// A sentence for people.
    pub why: Option<StrBytes>,
}

impl Word {
    /// With a sentence of ours.
    #[must_use]
    pub fn new(code: i16, why: &'static str) -> Self {
        Self { code, why: Some(StrBytes::from_static_str(why)) }
    }

    /// What is said where nobody answered.
    #[must_use]
    pub fn lost(fault: &Fault, cluster: Slot, seen: &Seen<'_>) -> Self {
        Self { code: codes::REQUEST_TIMED_OUT, why: Some(lost(fault, cluster, seen)) }
    }
}

impl From<i16> for Word {
    fn from(code: i16) -> Self {
        Self { code, why: None }
    }
}

/// What to say of a cluster that gave no answer.
#[must_use]
pub fn lost(fault: &Fault, cluster: Slot, seen: &Seen<'_>) -> StrBytes {
    let what = match (fault.sent, fault.lacking) {
        (_, true) => "does not serve this",
        (true, _) => "did not answer; nobody knows what it has done",
        (false, _) => "cannot be reached; nothing was done there",
    };
    StrBytes::from_string(format!("Cluster `{}` {what}.", name(cluster, seen)))
}

fn name(cluster: Slot, seen: &Seen<'_>) -> String {
    seen.placement.cluster(cluster).map_or_else(|| cluster.to_string(), |place| place.name.to_string())
}

/// How much a code weighs beside another cluster's: "nothing of the kind here" less than "done", an error more.
fn weight(code: i16, nothing_here: i16) -> u8 {
    match code {
        UNHEARD => 0,
        _ if code == nothing_here => 0,
        codes::NONE => 1,
        _ => 2,
    }
}

/// What is answered until somebody has said something: everything weighs as much or more.
pub const UNHEARD: i16 = codes::RESOURCE_NOT_FOUND;

/// Takes what one of several clusters says of a thing. The first error stands; `nothing_here` is none where another
/// cluster has done something.
pub fn join(code: &mut i16, why: &mut Option<StrBytes>, told: Word, nothing_here: i16) {
    let (now, new) = (weight(*code, nothing_here), weight(told.code, nothing_here));
    if new > now || (new == 0 && now == 0 && why.is_none()) {
        (*code, *why) = (told.code, told.why);
    }
}

/// A message with the cluster that it is of, where clients must be told which.
#[must_use]
pub fn named(word: Word, cluster: Slot, seen: &Seen<'_>) -> Word {
    if word.code == codes::NONE {
        return word;
    }
    let name = name(cluster, seen);
    let why = match word.why.as_ref().filter(|why| !why.is_empty()) {
        Some(why) => format!("On cluster `{name}`: {why}"),
        None => format!("On cluster `{name}`: {}", crate::api::errors::name(word.code)),
    };
    Word { why: Some(StrBytes::from_string(why)), ..word }
}

/// A broker of each cluster, or why none of it can be asked.
pub fn of_each_cluster(seen: &Seen<'_>) -> impl Iterator<Item = Result<Target, (Slot, Fault)>> {
    seen.placement.clusters.iter().map(|cluster| {
        let any = seen.placement.any_broker(cluster.slot).filter(|_| cluster.up);
        any.ok_or_else(|| (cluster.slot, Fault::cluster(cluster.slot, "it does not answer")))
    })
}

/// An API whose whole request goes to several brokers, whose answers are put together.
pub(super) trait Merged: Api {
    /// What is answered until somebody has said something.
    fn unheard() -> Self::Response;
    /// Takes one broker's answer.
    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>);
    /// Takes an error: the first one stands.
    fn fail(so_far: &mut Self::Response, word: Word);
}

/// Asks these brokers.
pub(super) fn ask_all<A: Merged>(
    request: &A::Request,
    of: impl Iterator<Item = Result<Target, (Slot, Fault)>>,
    origin: impl Fn(Target) -> A::Origin,
    seen: &Seen<'_>,
) -> Plan<A> {
    let mut seed = A::unheard();
    let mut parts = Vec::new();
    for to in of {
        match to {
            Ok(to) => parts.push(Part { to, request: request.clone(), origin: origin(to) }),
            Err((cluster, fault)) => A::fail(&mut seed, Word::lost(&fault, cluster, seen)),
        }
    }
    send_or_wait(seed, parts, Vec::new())
}

/// Takes one broker's answer, or that there is none.
pub(super) fn merge<A: Merged>(
    so_far: &mut A::Response,
    from: Slot,
    answer: Result<A::Response, Fault>,
    seen: &Seen<'_>,
) {
    match answer {
        Ok(told) => A::merge(so_far, told, from, seen),
        Err(fault) => A::fail(so_far, Word::lost(&fault, from, seen)),
    }
}

/// Puts what one of several clusters lists beside what is there. What is there already is told once, as `join` makes it. Lists may be
/// long: to look through what is there for each would take the square of that.
pub(super) fn add_each<T, K: Hash + Eq>(
    so_far: &mut Vec<T>,
    told: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
    join: impl Fn(&mut T, T),
) {
    let mut places: HashMap<K, usize> = so_far.iter().enumerate().map(|(at, one)| (key(one), at)).collect();
    for one in told {
        let at = *places.entry(key(&one)).or_insert(so_far.len());
        match so_far.get_mut(at) {
            Some(known) => join(known, one),
            None => so_far.push(one),
        }
    }
}

/// The way of an API that is [`Merged`] from all clusters.
macro_rules! asked_everywhere {
    ($api:ident, $request:ident, $response:ident) => {
        /// See the module's text.
        pub struct $api;

        impl $crate::api::Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = Slot;

            fn plan(request: &$request, seen: &Seen<'_>) -> $crate::api::Plan<Self> {
                use $crate::api::everywhere::{ask_all, of_each_cluster};
                ask_all(request, of_each_cluster(seen), |to| to.cluster, seen)
            }

            fn absorb(
                so_far: &mut $response,
                from: Slot,
                answer: Result<$response, $crate::error::Fault>,
                seen: &Seen<'_>,
                _: &mut $crate::api::Effects,
            ) {
                $crate::api::everywhere::merge::<Self>(so_far, from, answer, seen);
            }
        }
    };
}

/// The way of an API of [`Changes`], and what else it has.
macro_rules! changed_where_it_belongs {
    ($api:ident, $request:ident, $response:ident { $($more:item)* }) => {
        /// See the module's text.
        pub struct $api;

        impl $crate::api::Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = $crate::api::everywhere::Asked;

            fn plan(request: &$request, seen: &Seen<'_>) -> $crate::api::Plan<Self> {
                $crate::api::everywhere::spread(request, seen)
            }

            fn absorb(
                so_far: &mut $response,
                origin: Self::Origin,
                answer: Result<$response, $crate::error::Fault>,
                seen: &Seen<'_>,
                _: &mut $crate::api::Effects,
            ) {
                $crate::api::everywhere::gather::<Self>(so_far, &origin, answer, seen);
            }

            $($more)*
        }
    };
}

pub(super) use {asked_everywhere, changed_where_it_belongs};

/// Where a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On one cluster, by this broker.
    At(Target),
    /// On all clusters.
    Everywhere,
}

/// What one broker was asked to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    cluster: Slot,
    /// Where in the answer each change is told of, and whether it is made elsewhere too.
    places: Vec<(usize, bool)>,
}

/// An API whose request is a list of changes, each made on one cluster or on all, and each answered for itself.
pub(super) trait Changes: Api<Origin = Asked, Response: Default> {
    /// The code with which a cluster says that it has nothing that this could change.
    const NOTHING_HERE: i16 = codes::RESOURCE_NOT_FOUND;
    /// One of them.
    type Change: Clone;
    /// What is told of it.
    type Told: crate::api::untag::Untag + Clone;
    /// What tells them apart.
    type Key: Hash + Eq;

    fn changes(request: &Self::Request) -> Vec<Self::Change>;
    /// A request of these alone.
    fn request(request: &Self::Request, changes: Vec<Self::Change>) -> Self::Request;
    fn place(change: &Self::Change, seen: &Seen<'_>) -> Result<Where, Word>;
    /// A change in a cluster's own words.
    fn for_cluster(change: &Self::Change, _: Slot, _: &Seen<'_>) -> Self::Change {
        change.clone()
    }

    /// What is told until somebody has said something: code [`UNHEARD`].
    fn unheard(change: &Self::Change) -> Self::Told;
    fn told(answer: &mut Self::Response) -> &mut Vec<Self::Told>;
    fn throttle_ms(answer: &mut Self::Response) -> &mut i32;
    fn word(told: &mut Self::Told) -> (&mut i16, &mut Option<StrBytes>);
    /// What a cluster told is told in the client's words.
    fn for_client(_told: &mut Self::Told, _from: Slot, _seen: &Seen<'_>) {}
    /// What tells one change from another, where a cluster tells of it and where it is answered for: the `at`th that it
    /// was asked.
    fn key(told: &Self::Told, at: usize) -> Self::Key;
    /// Takes what else was told.
    fn add(_place: &mut Self::Told, _told: &mut Self::Told) {}
}

/// A broker, what it is asked to change, and where that is told of.
type Share<C> = (Target, Vec<<C as Changes>::Change>, Asked);

/// Sends each change where it belongs.
pub(super) fn spread<C: Changes>(request: &C::Request, seen: &Seen<'_>) -> Plan<C> {
    let mut seed = C::Response::default();
    let mut shares: Vec<Share<C>> = Vec::new();
    for (at, change) in C::changes(request).into_iter().enumerate() {
        let mut told = C::unheard(&change);
        match C::place(&change, seen) {
            Ok(Where::At(to)) => share::<C>(&mut shares, to, &change, (at, false), seen),
            Ok(Where::Everywhere) => {
                for to in of_each_cluster(seen) {
                    match to {
                        Ok(to) => share::<C>(&mut shares, to, &change, (at, true), seen),
                        Err((cluster, fault)) => {
                            let (code, why) = C::word(&mut told);
                            join(code, why, Word::lost(&fault, cluster, seen), C::NOTHING_HERE);
                        }
                    }
                }
            }
            Err(word) => {
                let (code, why) = C::word(&mut told);
                (*code, *why) = (word.code, word.why);
            }
        }
        C::told(&mut seed).push(told);
    }
    let part = |(to, changes, origin)| Part { to, request: C::request(request, changes), origin };
    send_or_wait(seed, shares.into_iter().map(part).collect(), Vec::new())
}

fn share<C: Changes>(
    shares: &mut Vec<Share<C>>,
    to: Target,
    change: &C::Change,
    place: (usize, bool),
    seen: &Seen<'_>,
) {
    let at = match shares.iter().position(|(other, ..)| *other == to) {
        Some(at) => at,
        None => {
            shares.push((to, Vec::new(), Asked { cluster: to.cluster, places: Vec::new() }));
            shares.len() - 1
        }
    };
    if let Some((_, changes, asked)) = shares.get_mut(at) {
        changes.push(C::for_cluster(change, to.cluster, seen));
        asked.places.push(place);
    }
}

/// Takes one broker's answer.
pub(super) fn gather<C: Changes>(
    so_far: &mut C::Response,
    origin: &Asked,
    answer: Result<C::Response, Fault>,
    seen: &Seen<'_>,
) {
    use crate::api::untag::Untag;
    let told = answer.map(|mut answer| {
        *C::throttle_ms(so_far) = (*C::throttle_ms(so_far)).max(*C::throttle_ms(&mut answer));
        let mut told = take(C::told(&mut answer));
        for one in &mut told {
            one.untag();
            let (_, why) = C::word(one);
            *why = scrubbed_message(why.take(), origin.cluster, seen.placement);
            C::for_client(one, origin.cluster, seen);
        }
        told
    });
    // A request may hold hundreds of thousands: to look through all for each would take its square.
    let mut found: HashMap<C::Key, &C::Told> = HashMap::new();
    for (at, one) in told.iter().flatten().enumerate() {
        found.entry(C::key(one, at)).or_insert(one);
    }
    for (at, (place, elsewhere)) in origin.places.iter().enumerate() {
        let Some(place) = C::told(so_far).get_mut(*place) else { continue };
        let word = match &told {
            Ok(_) => match found.get(&C::key(place, at)) {
                Some(told) => {
                    let mut told = C::Told::clone(told);
                    C::add(place, &mut told);
                    let (code, why) = C::word(&mut told);
                    Word { code: *code, why: why.take() }
                }
                None => Word::new(codes::UNKNOWN_SERVER_ERROR, "The broker did not say what became of this."),
            },
            Err(fault) => Word::lost(fault, origin.cluster, seen),
        };
        let word = if *elsewhere && told.is_ok() { named(word, origin.cluster, seen) } else { word };
        let (code, why) = C::word(place);
        join(code, why, word, C::NOTHING_HERE);
    }
}
