//! Keeps one cluster's news new: everything every 30 s with jitter, named topics at once when somebody asks, never
//! more than one request in flight.

use super::cluster::{Cluster, News};
use super::snapshot::Snapshot;
use super::wanted::Names;
use crate::error::Fault;
use crate::wire::codec::copied;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

/// Between two whole refreshes, less up to a fifth of jitter.
const WHOLE_EVERY: Duration = Duration::from_secs(30);
/// Between two tries while the cluster does not answer.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Errors come in swarms: what is asked within this time after an answer shares the next request.
const SPACING: Duration = Duration::from_millis(50);
/// The version with topic ids (KIP-516) and what we may do (KIP-430).
const METADATA: i16 = 12;
/// The last version that tells what we may do to the cluster, and the first with topic ids.
const WHOLE_METADATA: i16 = 10;

/// Somebody needs fresh metadata. No topics: of everything.
#[derive(Debug)]
pub struct Ask {
    /// The topics in question.
    pub topics: Vec<StrBytes>,
    /// The cluster may make them.
    pub create: bool,
    /// An answer about everything that is no older will do, as will a vain try. Only for who asks for everything.
    pub age: Duration,
    /// Told when the answer is in the news, or could not be had.
    pub done: Option<oneshot::Sender<()>>,
}

/// What the next request is about.
#[derive(Debug, Default)]
struct Round {
    whole: bool,
    topics: BTreeSet<StrBytes>,
    /// Topics that the cluster may make.
    made: BTreeSet<StrBytes>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Ask {
    fn tell(self) {
        if let Some(done) = self.done {
            let _ = done.send(());
        }
    }
}

impl Round {
    /// Adds what is asked; nothing where the last answer about everything, of this age, will do.
    fn add(&mut self, ask: Ask, last: Option<Duration>) {
        if ask.topics.is_empty() && last.is_some_and(|last| last < ask.age) {
            return ask.tell();
        }
        self.whole |= ask.topics.is_empty();
        let names = if ask.create { &mut self.made } else { &mut self.topics };
        names.extend(ask.topics.iter().map(copied));
        self.waiting.extend(ask.done);
    }

    /// Adds what nobody waits for.
    fn want(&mut self, names: Names) {
        self.whole |= names.whole;
        self.topics.extend(names.topics);
    }

    fn is_empty(&self) -> bool {
        !self.whole && self.topics.is_empty() && self.made.is_empty()
    }

    /// The requests for all that was asked, and whether each is for everything. Topics that may be made are asked for
    /// apart: a topic that was deleted must not come back since somebody else makes another one.
    fn requests(&self) -> impl Iterator<Item = (bool, MetadataRequest)> {
        let read = self.whole || !self.topics.is_empty();
        let read = read.then(|| (self.whole, request((!self.whole).then_some(&self.topics), false)));
        let made = (!self.made.is_empty()).then(|| (false, request(Some(&self.made), true)));
        read.into_iter().chain(made)
    }
}

/// For these topics, or for everything.
fn request(topics: Option<&BTreeSet<StrBytes>>, create: bool) -> MetadataRequest {
    let named = |name: &StrBytes| MetadataRequestTopic::default().with_name(Some(TopicName(name.clone())));
    MetadataRequest::default()
        .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
        .with_allow_auto_topic_creation(create)
        .with_include_cluster_authorized_operations(topics.is_none())
        .with_include_topic_authorized_operations(true)
}

/// Runs until nobody holds the cluster any more.
pub async fn run(cluster: Arc<Cluster>, mut asked: mpsc::UnboundedReceiver<Ask>) {
    keep(&cluster, &mut asked).await;
}

/// The same for who may have to begin anew.
pub async fn keep(cluster: &Arc<Cluster>, asked: &mut mpsc::UnboundedReceiver<Ask>) {
    let mut next_whole = Instant::now();
    let mut last_whole: Option<Instant> = None;
    let age = |last: Option<Instant>| last.map(|last| last.elapsed());
    loop {
        let mut round = Round::default();
        tokio::select! {
            () = sleep_until(next_whole) => round.whole = true,
            ask = asked.recv() => match ask {
                Some(ask) => round.add(ask, age(last_whole)),
                None => return,
            },
            () = cluster.wanted.rung() => {}
        }
        round.want(cluster.wanted.take());
        while let Ok(ask) = asked.try_recv() {
            round.add(ask, age(last_whole));
        }
        if round.is_empty() {
            continue;
        }
        let mut answered = true;
        for (whole, request) in round.requests() {
            answered &= refresh(cluster, whole, request).await;
        }
        if round.whole || !answered {
            let pause = if answered { WHOLE_EVERY } else { RETRY_EVERY };
            last_whole = round.whole.then(Instant::now).or(last_whole);
            next_whole = Instant::now() + pause.mul_f64(1.0 - 0.2 * fastrand::f64());
        }
        for done in round.waiting {
            let _ = done.send(());
        }
        sleep(SPACING).await;
    }
}

/// Asks once and publishes what came of it. True where the cluster answered.
async fn refresh(cluster: &Arc<Cluster>, whole: bool, request: MetadataRequest) -> bool {
    let version = if whole { WHOLE_METADATA } else { METADATA };
    let answer: Result<MetadataResponse, Fault> = cluster.call(None, &request, version).await;
    let before = cluster.news.borrow().clone();
    let news = match &answer {
        Ok(answer) => {
            cluster.meter.metadata_refreshed(whole);
            let snapshot = before.snapshot.after(answer, whole, std::time::Instant::now());
            let snapshot = if snapshot == *before.snapshot { before.snapshot } else { Arc::new(snapshot) };
            News { snapshot, read: before.read || whole, down: None }
        }
        Err(fault) => {
            cluster.meter.metadata_failed();
            News { down: Some(Arc::clone(&fault.reason)), ..before }
        }
    };
    report(cluster, &before_state(cluster), &news);
    cluster.news.send_if_modified(|now| {
        let changed = !Arc::ptr_eq(&now.snapshot, &news.snapshot) || now.read != news.read || now.down != news.down;
        *now = news;
        changed
    });
    answer.is_ok()
}

fn before_state(cluster: &Cluster) -> (bool, bool) {
    let news = cluster.news.borrow();
    (news.read, news.down.is_some())
}

/// One line when a cluster comes, goes or comes back.
fn report(cluster: &Cluster, (was_read, was_down): &(bool, bool), now: &News) {
    let Snapshot { brokers, topics, .. } = &*now.snapshot;
    let (name, brokers, topics) = (cluster.name(), brokers.len(), topics.len());
    match &now.down {
        None if !was_read && now.read => tracing::info!(cluster = %name, brokers, topics, "cluster is there"),
        None if *was_down => tracing::info!(cluster = %name, brokers, topics, "cluster is back"),
        Some(reason) if !was_down => {
            tracing::warn!(cluster = %name, reason = %reason, "cluster does not answer; its topics stay known, and it is asked again every second");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(topics: &[&'static str], create: bool) -> Ask {
        Ask {
            topics: topics.iter().map(|name| StrBytes::from_static_str(name)).collect(),
            create,
            age: Duration::ZERO,
            done: None,
        }
    }

    fn asked(asks: Vec<Ask>) -> Vec<(Option<Vec<String>>, bool)> {
        let mut round = Round::default();
        asks.into_iter().for_each(|ask| round.add(ask, None));
        let name = |topic: &MetadataRequestTopic| topic.name.as_ref().map(|name| name.to_string()).unwrap();
        let told = |(_, request): (bool, MetadataRequest)| {
            (request.topics.map(|topics| topics.iter().map(name).collect()), request.allow_auto_topic_creation)
        };
        round.requests().map(told).collect()
    }

    #[test]
    fn a_young_answer_about_everything_is_not_asked_for_again() {
        let second = Duration::from_secs(1);
        let asked_again = |topics: &[&'static str], last| {
            let (mut round, (done, mut told)) = (Round::default(), oneshot::channel());
            round.add(Ask { age: second, done: Some(done), ..ask(topics, false) }, last);
            assert_eq!(round.is_empty(), told.try_recv().is_ok(), "told at once, or with the answer");
            !round.is_empty()
        };
        assert!(asked_again(&[], None));
        assert!(asked_again(&[], Some(second)));
        assert!(!asked_again(&[], Some(second / 2)));
        assert!(asked_again(&["new"], Some(second / 2)), "one topic is asked for at any time");
    }

    #[test]
    fn only_what_may_be_made_is_made() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            asked(vec![ask(&["deleted"], false), ask(&["new"], true)]),
            [(names(&["deleted"]), false), (names(&["new"]), true)]
        );
        assert_eq!(asked(vec![ask(&["new"], true), ask(&[], false)]), [(None, false), (names(&["new"]), true)]);
        assert_eq!(asked(vec![ask(&["b"], false), ask(&["a", "b"], false)]), [(names(&["a", "b"]), false)]);
    }
}
