//! What each API means over several clusters: a request becomes parts, answers come back into one response. Pure:
//! one file per API family, in folders by what they are about; no sockets, no waiting.

mod by_coordinator;
mod by_partition;
pub mod codes;
pub mod each;
pub mod errors;
pub mod everywhere;
pub mod fetch;
pub mod groups;
pub mod guard;
pub mod layout;
pub mod needs;
pub mod overview;
pub mod partitioned;
pub mod records;
pub mod refusals;
pub mod scrub;
pub mod settings;
pub mod transactions;
pub mod untag;

pub use errors::{Codes, ErrorCodes};
pub use refusals::Refusals;
pub use transactions::span::Span;

#[cfg(test)]
pub(crate) mod leak_tests;
#[cfg(test)]
pub(crate) mod testing;

use self::guard::{Guard, Guarded};
use crate::error::Fault;
use crate::placement::{Front, Placement, TopicPlace};
use crate::rights::{Kind, Operation};
use crate::telemetry::observed::{Fact, Reader};
use crate::types::{BrokerId, CoordinatorType, Guise, Name, Slot, Target, View};
use crate::upstream::{Lead, Look, Told};
use crate::wire::shape::Shaped;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Encodable, StrBytes};
use std::sync::Arc;
use uuid::Uuid;

/// An API that goes the common way: planned, sent in parts, absorbed into one answer.
pub trait Api: Sized + Send + 'static {
    /// Its key.
    const KEY: ApiKey;
    /// What is asked.
    type Request: Shaped + Encodable + Clone + Guarded<Answer = Self::Response> + Send + 'static;
    /// What is answered.
    type Response: Shaped + Encodable + ErrorCodes + Send + 'static;
    /// What turns one part's answer back: names, ids, the cluster it came from.
    type Origin: Send + 'static;

    /// Whether requests of one session must reach the broker in the order they came, also those that had to wait.
    const IN_TURN: bool = false;

    /// What is to be done for a request. Must not give [`Plan::Wait`] for a need that `seen` says was refused.
    fn plan(request: &Self::Request, seen: &Seen<'_>) -> Plan<Self>;

    /// Takes one part's answer, or the reason why there is none, into the response.
    fn absorb(
        so_far: &mut Self::Response,
        origin: Self::Origin,
        answer: Result<Self::Response, Fault>,
        seen: &Seen<'_>,
        effects: &mut Effects,
    );

    /// Makes a request fit for a link that speaks a lower version: clears what that lacks.
    fn lower(_request: &mut Self::Request, _version: i16) {}

    /// Turns the answer of a link that spoke a lower version into what the asked version has.
    fn raise(_response: &mut Self::Response, _origin: &Self::Origin, _version: i16) {}

    /// The pipeline that a request is counted under: that of the topics or groups in it.
    fn pipeline(_request: &Self::Request, _seen: &Seen<'_>) -> Name {
        Name::none()
    }

    /// The transaction that the request would have span two clusters: refused by the plan, and told to operators.
    fn span(_request: &Self::Request, _seen: &Seen<'_>) -> Option<Span> {
        None
    }

    /// How long a broker may hold this request, in ms, beyond the usual time to answer.
    fn held_ms(_request: &Self::Request) -> i32 {
        0
    }
}

/// What a request sees of the world while it is planned and absorbed.
pub struct Seen<'a> {
    /// The version the client speaks.
    pub version: i16,
    /// What lives where.
    pub placement: &'a Placement,
    /// How the client is shown nodes.
    pub view: View,
    /// Where it is told that they are.
    pub front: &'a Front,
    /// The coordinator of a group or of a transactional id on a cluster, where it is known.
    pub coordinator: &'a (dyn Fn(Slot, CoordinatorType, &str) -> Option<BrokerId> + Sync),
    /// The replica that the client was told to read a partition of a topic from (KIP-392); `None`: from its leader.
    pub follows: &'a (dyn Fn(&TopicPlace, i32) -> Option<BrokerId> + Sync),
    /// Needs that were tried in vain.
    pub refused: &'a Refusals,
    /// Who asks, for who keeps count.
    pub reader: Reader,
    /// What it may do; `None`: everything.
    pub guard: Option<Guard<'a>>,
    /// As whom it comes to a cluster, with what that may know there; `None`: as Fishplate itself.
    pub sight: &'a (dyn Fn(Slot) -> Option<Look> + Sync),
}

/// What is to be done for a request.
pub enum Plan<A: Api> {
    /// Nothing needs to be sent.
    Answer(A::Response),
    /// Parts to send, and the response that their answers are absorbed into.
    Send {
        /// What is answered for what needs no sending.
        seed: A::Response,
        /// At least one.
        parts: Vec<Part<A>>,
    },
    /// Something must be found out or made first; then plan again.
    Wait(Vec<Need>),
}

/// A part of a request, for one broker.
pub struct Part<A: Api> {
    /// Where it goes.
    pub to: Target,
    /// What is asked there.
    pub request: A::Request,
    /// What turns the answer back.
    pub origin: A::Origin,
}

/// What a plan cannot do without.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// Who coordinates this group, or the transactions of this id.
    Coordinator {
        /// Its home.
        cluster: Slot,
        /// Which of the two.
        of: CoordinatorType,
        /// The group, or the transactional id.
        key: StrBytes,
    },
    /// Fresh metadata of these topics.
    Topics {
        /// Where they live.
        cluster: Slot,
        /// Their names there.
        names: Vec<StrBytes>,
        /// The cluster may make them.
        create: bool,
    },
    /// Fresh metadata of everything, for ids that nobody knows.
    AllTopics,
    /// What a cluster lets an identity know of these topics, or of all.
    Sight {
        /// The cluster.
        cluster: Slot,
        /// The identity.
        guise: Guise,
        /// Their names there.
        names: Option<Vec<StrBytes>>,
        /// Those that are not there may be made, as the identity.
        create: bool,
    },
    /// A topic of this name on a group's home, so that the group can commit offsets for the real one elsewhere.
    Shadow {
        /// The group's home.
        cluster: Slot,
        /// The topic.
        topic: StrBytes,
        /// How many partitions it must have.
        partitions: i32,
    },
}

/// Why a need was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Kafka's own error code.
    Code(i16),
    /// Nobody answered.
    Fault(Fault),
    /// It was done, as far as it can be: what is still missing is missing.
    Done,
    /// The same, and this was said of the topics that were asked for.
    Told(Arc<Told>),
}

/// What else an answer tells us to do. Beside a cluster stands what that cluster calls the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This topic may have moved or gone.
    Refresh(Slot, StrBytes),
    /// This broker's cluster has another leader for a partition, as it says itself (KIP-951).
    Leads(Slot, Lead),
    /// This topic was made (`true`) or deleted; brokers hear of that one after another.
    Settle(Slot, StrBytes, bool),
    /// This topic got partitions beyond so many; brokers hear of them one after another.
    Grown(Slot, StrBytes, usize),
    /// Who leads or holds this topic is about to change: it is looked at a few times.
    Changing(Slot, StrBytes),
    /// This partition of a topic is to be read from this replica by its client; `None`: from its leader again.
    Follow(StrBytes, i32, Option<Target>),
    /// This group, or transactional id, may have another coordinator.
    ForgetCoordinator(Slot, CoordinatorType, StrBytes),
    /// This happened: for who keeps count.
    Saw(Fact),
    /// This topic was deleted on its home: its shadows on other clusters go too, and the commits that they stand for.
    DropShadows(Slot, StrBytes),
}

/// "Not asked for", where an answer tells what may be done (KIP-430).
const NO_OPERATIONS: i32 = i32::MIN;

/// What is said to who would make, change or delete a twin.
const OF_TWIN: &str = "A name that ends in --at-- and a cluster stands for what a canary writes to there: make, change or delete the topic there.";

impl Effect {
    /// What happened, where that is all that it says.
    #[must_use]
    pub fn saw(self) -> Option<Fact> {
        if let Self::Saw(fact) = self { Some(fact) } else { None }
    }
}

/// A list of them.
pub type Effects = Vec<Effect>;

/// Beyond so many effects nobody looks whether one of them is there already: it does no harm when it is done twice, and a
/// request may have hundreds of thousands.
const LOOKED_THROUGH: usize = 1_000;

/// What a broker says of who leads a partition of a topic (its name, and its id where the broker said that), where it says so: the leader's id and epoch.
fn lead(cluster: Slot, (topic, id): (&StrBytes, Uuid), partition: i32, (leader, epoch): (i32, i32)) -> Option<Effect> {
    let told = || Lead { topic: topic.clone(), id, partition, leader: BrokerId(leader), epoch };
    (leader >= 0 && epoch >= 0).then(|| Effect::Leads(cluster, told()))
}

/// Adds an effect that may be there already.
fn once(effect: Effect, effects: &mut Effects) {
    if effects.len() > LOOKED_THROUGH || !effects.contains(&effect) {
        effects.push(effect);
    }
}

impl Seen<'_> {
    /// The broker that coordinates a group, or why it is not known: a need to be met first, or the code to answer.
    pub fn coordinator_of(&self, group: &StrBytes) -> Result<Target, Missing> {
        self.find_coordinator(CoordinatorType::Group, group)
    }

    /// The same for the transactions of a transactional id.
    pub fn coordinator_of_transactions(&self, id: &StrBytes) -> Result<Target, Missing> {
        self.find_coordinator(CoordinatorType::Transaction, id)
    }

    /// The same for either.
    pub fn find_coordinator(&self, of: CoordinatorType, key: &StrBytes) -> Result<Target, Missing> {
        let cluster = match of {
            CoordinatorType::Group => self.placement.home_of_group(key),
            CoordinatorType::Transaction => self.placement.home_of_transactional_id(key),
        };
        if let Some(broker) = (self.coordinator)(cluster, of, key) {
            return Ok(Target { cluster, broker });
        }
        let need = Need::Coordinator { cluster, of, key: key.clone() };
        Err(match self.refusal(&need) {
            None => Missing::Need(need),
            Some(Refusal::Code(code)) => Missing::Code(*code),
            Some(Refusal::Fault(_) | Refusal::Done | Refusal::Told(_)) => {
                Missing::Code(codes::COORDINATOR_NOT_AVAILABLE)
            }
        })
    }

    /// Whether a topic may be read. Where not, that is told.
    #[must_use]
    pub fn reads(&self, topic: &str) -> bool {
        self.guard.is_none_or(|guard| guard.may(Operation::Read, Kind::Topic, topic))
    }

    /// Whether who asks may know of a topic that it did not name.
    #[must_use]
    pub fn shows(&self, topic: &str) -> bool {
        self.guard.is_none_or(|guard| guard.sees(Operation::Describe, Kind::Topic, topic))
    }

    /// The brokers that are known to live, of clusters that who asks comes to.
    pub fn brokers_in_reach(&self) -> impl Iterator<Item = Target> {
        let comes = |to: &Target| self.guard.is_none_or(|guard| !guard.barred.has(to.cluster));
        self.placement.brokers_in_reach().filter(comes)
    }

    /// How a need was refused, if it was.
    #[must_use]
    pub fn refusal(&self, need: &Need) -> Option<&Refusal> {
        self.refused.of(need)
    }

    /// Whether a name stands for a topic on another cluster that a canary writes to, or would: clients do not make, change or delete it.
    #[must_use]
    pub fn is_reserved(&self, name: &str) -> bool {
        self.placement.config.is_reserved(name)
    }

    /// The pipeline of topics, each by its name or its id.
    pub fn pipeline_of_topics<'n>(&self, topics: impl Iterator<Item = (Option<&'n StrBytes>, Uuid)>) -> Name {
        let home = |(name, id): (Option<&StrBytes>, _)| self.placement.home_of(name.map_or("", |name| name), id);
        Name::of_all(topics.filter_map(home).map(|(pipeline, _)| pipeline))
    }

    /// The pipeline of groups.
    pub fn pipeline_of_groups<'n>(&self, groups: impl Iterator<Item = &'n StrBytes>) -> Name {
        Name::of_all(groups.map(|group| &self.placement.config.pipeline_of_group(group).name))
    }

    /// The pipeline of transactional ids.
    pub fn pipeline_of_transactional_ids<'n>(&self, ids: impl Iterator<Item = &'n StrBytes>) -> Name {
        Name::of_all(ids.map(|id| &self.placement.config.pipeline_of_transactional_id(id).name))
    }
}

/// What stands between a plan and its coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// To be met first.
    Need(Need),
    /// To be answered.
    Code(i16),
}

/// The outcome of a plan that splits a request: parts, or needs that come first.
pub fn send_or_wait<A: Api>(seed: A::Response, parts: Vec<Part<A>>, needs: Vec<Need>) -> Plan<A> {
    if !needs.is_empty() {
        Plan::Wait(needs)
    } else if parts.is_empty() {
        Plan::Answer(seed)
    } else {
        Plan::Send { seed, parts }
    }
}
