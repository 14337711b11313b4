//! What identities may know of a cluster's topics, in the cluster's own words: what its ACLs hide from one of them, we hide too.
//! Asked as the identity itself, and remembered for a while.

use super::cluster::Cluster;
use crate::error::Fault;
use crate::types::{FastMap, Guise, fast_hash};
use dashmap::DashMap;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is shown now was shown so long ago at most; what was shown once is shown on while the cluster does not answer.
const SHOWN_FOR: Duration = Duration::from_secs(30);
/// Somebody may just have been given what he lacked: clients give up for good what they hear is not theirs.
const HIDDEN_FOR: Duration = Duration::from_secs(1);
/// All topics are asked for as one identity no more often.
const ALL_FOR: Duration = Duration::from_secs(1);
/// So many hidden topics of an identity are remembered; with more, all are forgotten: clients may ask for any name.
const HIDDEN: usize = 10_000;
/// And so many that are shown, where they were asked for one by one: topics come and go.
const SHOWN: usize = 200_000;
/// The last version that tells what may be done to the cluster.
const METADATA: i16 = 10;
/// Kafka's code for what its ACLs hide.
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
/// And for a topic that is not there.
const UNKNOWN_TOPIC: i16 = 3;
/// "Not told" (KIP-430).
const NOT_TOLD: i32 = i32::MIN;

/// What a cluster lets somebody know of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighted {
    /// Nobody has asked it, or not lately.
    Unasked,
    /// There it is; this may be done to it (KIP-430).
    Shown(i32),
    /// It does not say whether there is one of this name.
    Hidden,
    /// It says that there is none. Only who has just been told knows that.
    Absent,
}

/// What a cluster said when it was asked for topics by name, for who asked: what all remember of it may be forgotten by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(FastMap<u64, Sighted>);

/// What one identity may know.
#[derive(Debug, Default)]
pub struct Sight {
    known: Mutex<Known>,
    /// Whoever has it asks for all: others wait, and are content with that.
    turn: tokio::sync::Mutex<()>,
}

/// Topics by the hashes of their names: an identity may see as many as its cluster has.
#[derive(Debug, Default)]
struct Known {
    shown: FastMap<u64, (i32, Instant)>,
    hidden: FastMap<u64, Instant>,
    /// When all was told.
    all: Option<Instant>,
    /// What may be done to the cluster, once that was told, and when.
    operations: Option<(i32, Instant)>,
}

/// What somebody knows at one moment, who comes as an identity.
#[derive(Clone, Debug)]
pub struct Look {
    /// As whom.
    pub guise: Guise,
    /// What that may know.
    pub sight: Arc<Sight>,
    /// The moment.
    pub now: Instant,
}

impl Look {
    /// What is known of a topic, as its cluster calls it, and whether that is new enough.
    #[must_use]
    pub fn of(&self, topic: &str) -> (Sighted, bool) {
        self.sight.of(topic, self.now)
    }

    /// Whether all topics that may be known were told a moment ago.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.sight.knows_all(self.now)
    }

    /// What may be done to the cluster, where that was told, and whether that is new enough.
    #[must_use]
    pub fn operations(&self) -> (Option<i32>, bool) {
        self.sight.operations(self.now)
    }
}

impl Told {
    /// Of these topics, each with what is to be known of it.
    pub fn new<'n>(topics: impl IntoIterator<Item = (&'n str, Sighted)>) -> Self {
        Self(topics.into_iter().map(|(name, sighted)| (fast_hash(name), sighted)).collect())
    }

    /// What was said of a topic, if it was asked for.
    #[must_use]
    pub fn of(&self, topic: &str) -> Option<Sighted> {
        self.0.get(&fast_hash(topic)).copied()
    }

    fn by(answer: &MetadataResponse) -> Self {
        Self::new(named(answer).map(|(name, topic)| (name, sighted(topic))))
    }
}

fn named(answer: &MetadataResponse) -> impl Iterator<Item = (&str, &MetadataResponseTopic)> {
    answer.topics.iter().filter_map(|topic| Some((topic.name.as_ref()?.0.as_str(), topic)))
}

fn sighted(topic: &MetadataResponseTopic) -> Sighted {
    match topic.error_code {
        TOPIC_AUTHORIZATION_FAILED => Sighted::Hidden,
        UNKNOWN_TOPIC => Sighted::Absent,
        // Whatever else is the matter with it, it may be known.
        _ => Sighted::Shown(topic.topic_authorized_operations),
    }
}

/// Those of all identities that were asked for.
#[derive(Debug, Default)]
pub(super) struct Sights(DashMap<Guise, Arc<Sight>>);

impl Sight {
    /// What is known of a topic, and whether that is new enough.
    #[must_use]
    pub fn of(&self, topic: &str, now: Instant) -> (Sighted, bool) {
        let known = self.known.lock();
        let since = |at: &Instant| now.saturating_duration_since(*at);
        let key = fast_hash(topic);
        match (known.shown.get(&key), known.hidden.get(&key)) {
            (Some((operations, at)), _) => (Sighted::Shown(*operations), since(at) < SHOWN_FOR),
            (None, Some(at)) if since(at) < HIDDEN_FOR => (Sighted::Hidden, true),
            _ => (Sighted::Unasked, false),
        }
    }

    /// Whether all topics that may be known were told a moment ago.
    #[must_use]
    pub fn knows_all(&self, now: Instant) -> bool {
        self.known.lock().all.is_some_and(|at| now.saturating_duration_since(at) < ALL_FOR)
    }

    /// What may be done to the cluster, where that was told, and whether that is new enough.
    #[must_use]
    pub fn operations(&self, now: Instant) -> (Option<i32>, bool) {
        let known = self.known.lock().operations;
        let is_new = known.is_some_and(|(_, at)| now.saturating_duration_since(at) < SHOWN_FOR);
        (known.map(|(operations, _)| operations), is_new)
    }

    fn take(&self, whole: bool, told: &MetadataResponse, now: Instant) {
        let mut known = self.known.lock();
        if whole {
            known.shown.clear();
            known.all = Some(now);
        }
        let operations = Some(told.cluster_authorized_operations).filter(|told| *told != NOT_TOLD);
        known.operations = operations.map(|operations| (operations, now)).or(known.operations);
        for (name, topic) in named(told) {
            let key = fast_hash(name);
            match sighted(topic) {
                Sighted::Hidden => {
                    known.shown.remove(&key);
                    if known.hidden.len() >= HIDDEN {
                        known.hidden.clear();
                    }
                    known.hidden.insert(key, now);
                }
                Sighted::Absent | Sighted::Unasked => {
                    known.shown.remove(&key);
                    known.hidden.remove(&key);
                }
                Sighted::Shown(operations) => {
                    known.hidden.remove(&key);
                    if !whole && known.shown.len() >= SHOWN {
                        known.shown.clear();
                    }
                    known.shown.insert(key, (operations, now));
                }
            }
        }
    }
}

impl Sights {
    /// Nobody is asked for any more but these.
    pub(super) fn keep(&self, stays: impl Fn(&Guise) -> bool) {
        self.0.retain(|guise, _| stays(guise));
    }
}

impl Cluster {
    /// What this identity may know, as far as was told.
    #[must_use]
    pub fn sight(&self, guise: &Guise) -> Arc<Sight> {
        let known = self.sights.0.get(guise).map(|sight| Arc::clone(&sight));
        known.unwrap_or_else(|| Arc::clone(&self.sights.0.entry(guise.clone()).or_default()))
    }

    /// Asks as this identity for these topics (with `create`, to have them made, where it may and the cluster does so), or for
    /// all. Gives what was said of those that were named. Who asks for all while another does is content with what that one is told.
    ///
    /// # Errors
    /// Where nobody answered: what was known stays.
    pub async fn look_as(
        self: &Arc<Self>,
        guise: &Guise,
        topics: Option<&[StrBytes]>,
        create: bool,
    ) -> Result<Told, Fault> {
        let sight = self.sight(guise);
        let began = Instant::now();
        let _turn = match topics {
            None => Some(sight.turn.lock().await),
            Some(_) => None,
        };
        let is_told = || sight.known.lock().all.is_some_and(|at| at >= began);
        if topics.is_none() && is_told() {
            return Ok(Told::default());
        }
        let named = |name: &StrBytes| MetadataRequestTopic::default().with_name(Some(TopicName(name.clone())));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(create)
            .with_include_cluster_authorized_operations(true)
            .with_include_topic_authorized_operations(true);
        let told: MetadataResponse = self.call_as(guise, None, &request, METADATA).await?;
        sight.take(topics.is_none(), &told, Instant::now());
        Ok(if topics.is_some() { Told::by(&told) } else { Told::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(topics: &[(&'static str, i16)]) -> MetadataResponse {
        let topic = |(name, code): &(&'static str, i16)| {
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_static_str(name))))
                .with_error_code(*code)
                .with_topic_authorized_operations(8)
        };
        MetadataResponse::default().with_topics(topics.iter().map(topic).collect())
    }

    #[test]
    fn what_was_shown_is_shown_on_and_what_was_hidden_is_asked_for_again() {
        let (sight, now) = (Sight::default(), Instant::now());
        sight.take(false, &told(&[("a", 0), ("b", 29), ("c", 3), ("d", 5)]), now);
        let all = |at| ["a", "b", "c", "d"].map(|name| sight.of(name, at));
        let shown = Sighted::Shown(8);
        assert_eq!(all(now), [(shown, true), (Sighted::Hidden, true), (Sighted::Unasked, false), (shown, true)]);
        let later = now + SHOWN_FOR;
        assert_eq!(all(later), [(shown, false), (Sighted::Unasked, false), (Sighted::Unasked, false), (shown, false)]);
        // And all that is told of all is all
        sight.take(true, &told(&[("a", 0)]), later);
        assert_eq!((sight.of("d", later), sight.knows_all(later)), ((Sighted::Unasked, false), true));
        assert!(!sight.knows_all(later + ALL_FOR));
    }

    #[test]
    fn who_asked_knows_what_he_was_told_also_what_nobody_remembers() {
        let told = Told::by(&told(&[("a", 0), ("b", 29), ("c", 3)]));
        let of = ["a", "b", "c", "d"].map(|name| told.of(name));
        assert_eq!(of, [Some(Sighted::Shown(8)), Some(Sighted::Hidden), Some(Sighted::Absent), None]);
    }

    #[test]
    fn what_may_be_done_to_a_cluster_is_asked_again_and_told_on_until_that_is_answered() {
        let (sight, now) = (Sight::default(), Instant::now());
        assert_eq!(sight.operations(now), (None, false));
        sight.take(false, &told(&[]).with_cluster_authorized_operations(264), now);
        assert_eq!(sight.operations(now), (Some(264), true));
        assert_eq!(sight.operations(now + SHOWN_FOR), (Some(264), false));
    }

    /// [L4]
    #[test]
    fn l4_whatever_names_clients_ask_for_few_are_remembered() {
        let (sight, now) = (Sight::default(), Instant::now());
        for number in 0..=HIDDEN {
            let name = TopicName(StrBytes::from_string(format!("t-{number}")));
            let topic = MetadataResponseTopic::default().with_name(Some(name)).with_error_code(29);
            sight.take(false, &MetadataResponse::default().with_topics(vec![topic]), now);
        }
        assert_eq!(sight.known.lock().hidden.len(), 1);
    }
}
