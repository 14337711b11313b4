//! What unit tests of the APIs stand on: two clusters, `a` (slot 0, the default) and `b` (slot 1, for topics `b-*` and
//! groups `gb-*` and transactional ids `tb-*`), brokers 1 to 3 each, at hosts that must never reach a client.

use crate::api::guard::{Barred, Guard};
use crate::api::{Api, Effect, Effects, Part, Plan, Refusal, Refusals, Seen};
use crate::placement::build::tests::{placement, slot, with_canary};
use crate::placement::{Front, Placement, TopicPlace};
use crate::rights::{
    Definition, EVERYONE, Effect as Ruling, Granted, Kind, Operation, Operations, Pattern, Rights, Rule,
};
use crate::telemetry::observed::{Fact, Reader};
use crate::types::{BrokerId, CoordinatorType, HostPort, Slot, Target, View};
use crate::upstream::{Look, Topic};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::sync::Arc;

type Lookup = Box<dyn Fn(Slot, CoordinatorType, &str) -> Option<BrokerId> + Sync>;
type Sees = Box<dyn Fn(Slot) -> Option<Look> + Sync>;
type Follows = Box<dyn Fn(&TopicPlace, i32) -> Option<BrokerId> + Sync>;

/// A placement with what else a plan looks at.
pub(crate) struct World {
    pub(crate) placement: Placement,
    pub(crate) view: View,
    pub(crate) front: Front,
    pub(crate) refused: Refusals,
    pub(crate) follows: Follows,
    pub(crate) granted: Option<Granted>,
    pub(crate) sight: Sees,
    /// Clusters that who asks does not come to: they must have identities.
    pub(crate) barred: Vec<Slot>,
    coordinators: HashMap<(Slot, CoordinatorType, String), BrokerId>,
    lookup: Lookup,
}

impl Default for World {
    fn default() -> Self {
        Self::with(&[], &[])
    }
}

impl World {
    /// These topics on the two clusters.
    pub(crate) fn with(a: &[Arc<Topic>], b: &[Arc<Topic>]) -> Self {
        Self {
            placement: placement(a, b).0,
            view: View::Brokers,
            front: Front::plain(HostPort::new("proxy.example", 9092)),
            refused: Refusals::default(),
            follows: Box::new(|_, _| None),
            granted: None,
            sight: Box::new(|_| None),
            barred: Vec::new(),
            coordinators: HashMap::new(),
            lookup: Box::new(|_, _, _| None),
        }
    }

    /// The same with a canary on `b` of the topics `e-*`, which live on `a`.
    pub(crate) fn with_canary(a: &[Arc<Topic>], b: &[Arc<Topic>]) -> Self {
        Self { placement: with_canary(a, b), ..Self::default() }
    }

    /// This group is coordinated by this broker of a cluster.
    pub(crate) fn coordinated(self, cluster: u8, group: &str, broker: i32) -> Self {
        self.with_coordinator(CoordinatorType::Group, cluster, group, broker)
    }

    /// The transactions of this id are.
    pub(crate) fn transacting(self, cluster: u8, id: &str, broker: i32) -> Self {
        self.with_coordinator(CoordinatorType::Transaction, cluster, id, broker)
    }

    fn with_coordinator(mut self, of: CoordinatorType, cluster: u8, key: &str, broker: i32) -> Self {
        self.coordinators.insert((slot(cluster), of, key.to_owned()), BrokerId(broker));
        let known = self.coordinators.clone();
        self.lookup = Box::new(move |cluster, of, key| known.get(&(cluster, of, key.to_owned())).copied());
        self
    }

    /// Shown in this view.
    pub(crate) fn shown(mut self, view: View) -> Self {
        self.view = view;
        self
    }

    /// To a client that may do this to these topics, and nothing else.
    pub(crate) fn allowing(mut self, operation: Operation, topics: &[&str]) -> Self {
        let name = |name: &&str| (Kind::Topic, Pattern::Literal((*name).into()));
        let rule = Rule {
            principals: vec![EVERYONE.into()],
            operations: Operations::of(&[operation]),
            resources: topics.iter().map(name).collect(),
            hosts: Vec::new(),
            effect: Ruling::Allow,
        };
        let rights = Arc::new(Rights::new(Definition { rules: vec![rule], ..Definition::default() }));
        self.granted = Some(rights.of("User:x", std::net::IpAddr::from([10, 0, 0, 7])));
        self
    }

    /// What a request in this version sees.
    pub(crate) fn seen(&self, version: i16) -> Seen<'_> {
        Seen {
            version,
            placement: &self.placement,
            view: self.view,
            front: &self.front,
            coordinator: &*self.lookup,
            follows: &*self.follows,
            refused: &self.refused,
            reader: Reader::default(),
            guard: self.guard(),
            sight: &*self.sight,
        }
    }
}

impl World {
    fn guard(&self) -> Option<Guard<'_>> {
        let barred = Barred::of(&self.placement, |slot| !self.barred.contains(&slot));
        let granted = self.granted.as_ref();
        (granted.is_some() || !barred.is_empty()).then_some(Guard { granted, barred, told: &|_| {} })
    }

    /// Refuses all that a request waits for, until it waits for nothing: it must not wait for the same again.
    pub(crate) fn refuse_needs<A: Api>(&mut self, request: &A::Request, version: i16, why: &Refusal) {
        while let Plan::Wait(needs) = A::plan(request, &self.seen(version)) {
            for need in needs {
                assert!(self.seen(version).refusal(&need).is_none(), "waits again for {need:?}");
                self.refused.extend([(need, why.clone())]);
            }
        }
    }
}

/// A text of the protocol.
pub(crate) fn text(text: &str) -> kafka_protocol::protocol::StrBytes {
    kafka_protocol::protocol::StrBytes::from_string(text.to_owned())
}

/// A broker of a cluster.
pub(crate) fn at(cluster: u8, broker: i32) -> Target {
    Target { cluster: slot(cluster), broker: BrokerId(broker) }
}

/// The plan's seed and parts.
pub(crate) fn sent<A: Api>(plan: Plan<A>) -> (A::Response, Vec<Part<A>>) {
    match plan {
        Plan::Send { seed, parts } => (seed, parts),
        Plan::Answer(_) => panic!("answered, not sent"),
        Plan::Wait(needs) => panic!("waits for {needs:?}"),
    }
}

/// Plans a request, answers each part with `broker`, and gives the response that the client gets, and what is to be done; facts are left out.
pub(crate) fn round<A: Api>(
    request: &A::Request,
    seen: &Seen<'_>,
    broker: impl FnMut(Target, A::Request) -> Result<A::Response, crate::error::Fault>,
) -> (A::Response, Effects) {
    let (answer, mut effects) = whole_round::<A>(request, seen, broker);
    effects.retain(|effect| !matches!(effect, Effect::Saw(_)));
    (answer, effects)
}

/// The facts that such a round states.
pub(crate) fn facts<A: Api>(
    request: &A::Request,
    seen: &Seen<'_>,
    broker: impl FnMut(Target, A::Request) -> Result<A::Response, crate::error::Fault>,
) -> Vec<Fact> {
    let (_, effects) = whole_round::<A>(request, seen, broker);
    let fact = |effect| if let Effect::Saw(fact) = effect { Some(fact) } else { None };
    effects.into_iter().filter_map(fact).collect()
}

fn whole_round<A: Api>(
    request: &A::Request,
    seen: &Seen<'_>,
    mut broker: impl FnMut(Target, A::Request) -> Result<A::Response, crate::error::Fault>,
) -> (A::Response, Effects) {
    let mut effects = Effects::new();
    match A::plan(request, seen) {
        Plan::Answer(answer) => (answer, effects),
        Plan::Wait(needs) => panic!("waits for {needs:?}"),
        Plan::Send { mut seed, parts } => {
            for part in parts {
                let answer = broker(part.to, part.request);
                A::absorb(&mut seed, part.origin, answer, seen, &mut effects);
            }
            (seed, effects)
        }
    }
}

/// Processor time that a test takes on its thread. Other than the time on a clock it does not hang on who else runs.
pub(crate) struct Effort {
    began: i64,
}

impl Effort {
    pub(crate) fn begin() -> Self {
        Self { began: Self::now() }
    }

    /// Seconds; what takes the square of a request's size takes minutes.
    #[track_caller]
    pub(crate) fn must_be_small(&self) {
        let taken = Self::now() - self.began;
        assert!(taken < 20, "{taken} s of work");
    }

    fn now() -> i64 {
        clock_gettime(ClockId::ThreadCPUTime).tv_sec
    }
}
