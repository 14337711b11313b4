//! Requests about several groups, or several transactional ids: each is asked of its own coordinator, and what that tells is
//! put where the client named it. Likewise lists of all there are: each is told of once, by the cluster that it lives on.

use super::needs::Needs;
use super::overview::coordinator;
use super::partitioned::{all_places, put_all};
use super::untag::Untag;
use super::{Api, Effect, Effects, Missing, Part, Plan, Seen, codes, send_or_wait};
use crate::error::Fault;
use crate::placement::Placement;
use crate::telemetry::observed::Fact;
use crate::types::{CoordinatorType, Name, Slot, Target};
use kafka_protocol::messages::{GroupId, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;

/// What has a coordinator, as messages name it.
pub(super) trait Key: Clone + Eq + Hash {
    /// Who coordinates it.
    const BY: CoordinatorType;
    /// Its text.
    fn text(&self) -> &StrBytes;
    /// Where it lives.
    fn home(&self, placement: &Placement) -> Slot;
    /// The pipeline of several.
    fn pipeline<'k>(keys: impl Iterator<Item = &'k StrBytes>, seen: &Seen<'_>) -> Name;
}

impl Key for GroupId {
    const BY: CoordinatorType = CoordinatorType::Group;

    fn text(&self) -> &StrBytes {
        &self.0
    }

    fn home(&self, placement: &Placement) -> Slot {
        placement.home_of_group(self)
    }

    fn pipeline<'k>(keys: impl Iterator<Item = &'k StrBytes>, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_groups(keys)
    }
}

impl Key for TransactionalId {
    const BY: CoordinatorType = CoordinatorType::Transaction;

    fn text(&self) -> &StrBytes {
        &self.0
    }

    fn home(&self, placement: &Placement) -> Slot {
        placement.home_of_transactional_id(self)
    }

    fn pipeline<'k>(keys: impl Iterator<Item = &'k StrBytes>, seen: &Seen<'_>) -> Name {
        seen.pipeline_of_transactional_ids(keys)
    }
}

/// A request about several.
pub(super) trait Asks: Clone {
    /// What it names them by.
    type Key: Key;
    /// What it asks of one.
    type Asked: Clone;
    /// All that it asks.
    fn asked(&self) -> &[Self::Asked];
    /// The same, to be changed.
    fn asked_mut(&mut self) -> &mut Vec<Self::Asked>;
    /// Of which one.
    fn key(asked: &Self::Asked) -> &Self::Key;
}

/// An answer that tells of several.
pub(super) trait Tells: Default {
    /// What it names them by.
    type Key: Key;
    /// What it tells of one.
    type Told: Clone + Untag;
    /// All that it tells.
    fn told(&mut self) -> &mut Vec<Self::Told>;
    /// How long the client is to pause.
    fn throttle_ms(&mut self) -> &mut i32;
    /// Of which one.
    fn key(told: &Self::Told) -> &Self::Key;
    /// Its error code.
    fn code(told: &Self::Told) -> i16;
    /// What is told where there is nothing but a code to tell.
    fn refused(key: &Self::Key, code: i16) -> Self::Told;
    /// What is so where it is told.
    fn is_so(_told: &Self::Told) -> Option<Fact> {
        None
    }
    /// Takes out what names a cluster's brokers.
    fn scrub(_told: &mut Self::Told, _cluster: Slot, _seen: &Seen<'_>) {}
}

/// What one coordinator is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<K> {
    cluster: Slot,
    keys: Vec<K>,
}

/// One part for each coordinator; what is named twice is asked once.
pub(super) fn plan<A, K>(request: &A::Request, seen: &Seen<'_>) -> Plan<A>
where
    K: Key,
    A: Api<Origin = Asked<K>>,
    A::Request: Asks<Key = K>,
    A::Response: Tells<Key = K>,
{
    let (mut seed, mut needs) = (A::Response::default(), Needs::default());
    let mut at: BTreeMap<Target, Vec<_>> = BTreeMap::new();
    let mut named = HashSet::new();
    for asked in request.asked() {
        let key = A::Request::key(asked);
        let mut code = codes::NOT_COORDINATOR;
        match seen.find_coordinator(K::BY, key.text()) {
            Ok(to) if named.insert(key) => at.entry(to).or_default().push(asked.clone()),
            Ok(_) => {}
            Err(Missing::Need(need)) => needs.push(need),
            Err(Missing::Code(known)) => code = known,
        }
        seed.told().push(A::Response::refused(key, code));
    }
    let part = |(to, asked): (Target, Vec<_>)| {
        let keys = asked.iter().map(A::Request::key).cloned().collect();
        let mut request = request.clone();
        *request.asked_mut() = asked;
        Part { to, request, origin: Asked { cluster: to.cluster, keys } }
    };
    send_or_wait(seed, at.into_iter().map(part).collect(), needs.all())
}

/// Without an answer the seed's code stands. A cluster that lacks the API says so for its own: asking again would not help, and
/// Java goes on with what the cluster has.
pub(super) fn absorb<R: Tells>(
    so_far: &mut R,
    origin: &Asked<R::Key>,
    answer: Result<R, Fault>,
    seen: &Seen<'_>,
    effects: &mut Effects,
) {
    let forget = |code, key: &R::Key, effects: &mut Effects| {
        coordinator::forget(code, R::Key::BY, origin.cluster, key.text(), effects);
    };
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(fault) if fault.lacking => {
            let told = origin.keys.iter().map(|key| R::refused(key, codes::UNSUPPORTED_VERSION)).collect();
            let mut lacks = R::default();
            *lacks.told() = told;
            lacks
        }
        Err(_) => return origin.keys.iter().for_each(|key| forget(codes::NOT_COORDINATOR, key, effects)),
    };
    *so_far.throttle_ms() = (*so_far.throttle_ms()).max(*answer.throttle_ms());
    let asked: HashSet<_> = origin.keys.iter().collect();
    let mut places = all_places(so_far.told().iter().map(R::key));
    for mut told in std::mem::take(answer.told()) {
        // What was not asked there, or is told again, is left aside.
        if !asked.contains(R::key(&told)) {
            continue;
        }
        let Some(at) = places.remove(R::key(&told)) else { continue };
        told.untag();
        R::scrub(&mut told, origin.cluster, seen);
        forget(R::code(&told), R::key(&told), effects);
        effects.extend(R::is_so(&told).map(Effect::Saw));
        put_all(so_far.told(), &at, &told);
    }
}

/// Adds what a broker of a cluster lists of what lives there (elsewhere it may have left something behind). Each once: every
/// node of a WarpStream cluster tells all of it.
pub(super) fn list<T: Untag, K: Key>(
    so_far: &mut Vec<T>,
    mut listed: Vec<T>,
    key: impl Fn(&T) -> &K,
    cluster: Slot,
    seen: &Seen<'_>,
) {
    let mut told: HashSet<K> = so_far.iter().map(&key).cloned().collect();
    listed.retain(|one| key(one).home(seen.placement) == cluster && told.insert(key(one).clone()));
    listed.iter_mut().for_each(Untag::untag);
    so_far.extend(listed);
}

/// The API of such a request: what names them, in which field it asks of each, and by what it names one there.
macro_rules! by_coordinator {
    ($api:ident of $key:ident: $request:ident . $asked:ident [$one:ident $(. $named:ident)?], $response:ident { $($more:item)* }) => {
        /// See the module's text.
        pub struct $api;

        impl Api for $api {
            const KEY: ApiKey = ApiKey::$api;
            type Request = $request;
            type Response = $response;
            type Origin = Asked<$key>;

            fn plan(request: &$request, seen: &Seen<'_>) -> Plan<Self> {
                by_coordinator::plan(request, seen)
            }

            fn absorb(
                so_far: &mut $response,
                origin: Asked<$key>,
                answer: Result<$response, Fault>,
                seen: &Seen<'_>,
                effects: &mut Effects,
            ) {
                by_coordinator::absorb(so_far, &origin, answer, seen, effects);
            }

            fn pipeline(request: &$request, seen: &Seen<'_>) -> Name {
                $key::pipeline(request.$asked.iter().map(|asked| <$request as Asks>::key(asked).text()), seen)
            }

            $($more)*
        }

        impl Asks for $request {
            type Key = $key;
            type Asked = $one;

            fn asked(&self) -> &[$one] {
                &self.$asked
            }

            fn asked_mut(&mut self) -> &mut Vec<$one> {
                &mut self.$asked
            }

            fn key(asked: &$one) -> &$key {
                &asked$(.$named)?
            }
        }
    };
}

pub(in crate::api) use by_coordinator;
