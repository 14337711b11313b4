//! The driver of heartbeats of groups whose coordinator assigns (KIP-848, KIP-932): what each member has subscribed to is
//! remembered, since a heartbeat names only what is new, and held against the placement whenever either changes. So a
//! subscription that begins to mean a topic of another cluster is refused with the next heartbeat.

use super::generic;
use super::state::Session;
use super::ticket::Ticket;
use crate::api::groups::heartbeats::{Subscribes, refused};
use crate::api::groups::subscription::{
    Meant, Reach, Refused, Said, Saying, is_too_long, judge, meant_by, reads_regex,
};
use crate::api::guard::{Barred, BarredSlots, Guard, screen};
use crate::api::{Refusals, Seen, codes};
use crate::placement::Placement;
use crate::rights::{Granted, Kind, Operation};
use crate::types::{Principal, Slot};
use crate::wire::budget::{Budget, Charge};
use crate::wire::codec::copied;
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{self, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// What every session may remember before it is counted, in bytes.
const UNCOUNTED: usize = 2 << 10;
/// What a member takes beside what it said.
const MEMBER: usize = 256;
/// So often a member is served that has not said what it means, over this connection: a client that gives partitions back says
/// nothing else until that is done (franz-go).
const SILENT: u8 = 12;
/// So many meanings of regular expressions are remembered; with more, all are forgotten.
const MEANINGS: usize = 256;
/// What looking for one may take of a processor's time. Held against 100,000 topics a plain one takes 5 to 20 ms, and the worst that is read
/// (`[ab]*a[ab]{0,1000}x`, names of 249 letters) would take 45 s.
const MATCHED_WITHIN: Duration = Duration::from_millis(250);
/// A heartbeat waits so long for its turn to be looked for; then its member is told to come again.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// Why a member has to join anew.
const UNSAID: &str =
    "the member goes on over a new connection and does not say what it subscribes to: it has to join again";

/// What the members that heartbeat over one connection have subscribed to.
#[derive(Debug)]
pub struct Subscriptions {
    known: Mutex<Known>,
    /// Somebody looks for what a regular expression of this connection's members means.
    turn: sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    members: HashMap<(StrBytes, StrBytes), Member>,
    bytes: usize,
    charge: Charge,
}

#[derive(Debug, Default)]
struct Member {
    /// Nothing where it has not said so over this connection.
    said: Option<Said>,
    /// The placement that it was held against.
    judged: Option<u64>,
    /// How often it was served without.
    silent: u8,
}

/// What is to be done with a heartbeat.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// It goes on.
    Fine,
    /// It is to be judged first.
    Judge(Said),
    /// Its member has to say all again.
    Again,
    /// Its member has not, and has to join anew: nobody knows whether it means topics of another cluster.
    Fenced,
    /// There is no memory for what it says.
    Full,
}

impl Default for Subscriptions {
    fn default() -> Self {
        let known = Known { members: HashMap::new(), bytes: 0, charge: Charge::none() };
        Self { known: Mutex::new(known), turn: sync::Mutex::default() }
    }
}

impl Subscriptions {
    fn hear(&self, saying: &Saying<'_>, generation: u64, pool: &Arc<Budget>) -> Heard {
        let mut known = self.known.lock();
        let key = (saying.group.clone(), saying.member.clone());
        if saying.epoch < 0 {
            known.forget(&key);
            return Heard::Fine;
        }
        let says = saying.epoch == 0 || saying.names.is_some() || saying.regex.is_some();
        let heard = match known.members.get_mut(&key) {
            Some(member) if !says => return member.hear(generation),
            // It came over another connection before.
            None if !says => Heard::Again,
            before => Heard::Judge(Said::after(before.and_then(|member| member.said.as_ref()), saying)),
        };
        match &heard {
            Heard::Judge(said) if says => known.keep(key, Some(said.clone())),
            Heard::Again => known.keep(key, None),
            _ => {}
        }
        if known.is_counted(pool) { heard } else { Heard::Full }
    }

    /// A member fits this placement.
    fn fits(&self, saying: &Saying<'_>, said: &Said, generation: u64) {
        let mut known = self.known.lock();
        let member = known.members.get_mut(&(saying.group.clone(), saying.member.clone()));
        if let Some(member) = member.filter(|member| member.said.as_ref() == Some(said)) {
            member.judged = Some(generation);
        }
    }
}

impl Member {
    /// It says nothing new.
    fn hear(&mut self, generation: u64) -> Heard {
        match &self.said {
            Some(_) if self.judged == Some(generation) => Heard::Fine,
            Some(said) => Heard::Judge(said.clone()),
            None if self.silent < SILENT => {
                self.silent += 1;
                Heard::Fine
            }
            None => Heard::Fenced,
        }
    }
}

impl Known {
    fn keep(&mut self, key: (StrBytes, StrBytes), said: Option<Said>) {
        self.forget(&key);
        let key = (copied(&key.0), copied(&key.1));
        self.bytes += bytes_of(&key, said.as_ref());
        self.members.insert(key, Member { said, judged: None, silent: 0 });
    }

    fn forget(&mut self, key: &(StrBytes, StrBytes)) {
        if let Some(member) = self.members.remove(key) {
            self.bytes = self.bytes.saturating_sub(bytes_of(key, member.said.as_ref()));
        }
    }

    /// Counts what is remembered in the pool of what is parked: it stays as long as the member does (L4). False where the pool
    /// has not so much left, or one session would have more than its share of it.
    fn is_counted(&mut self, pool: &Arc<Budget>) -> bool {
        self.charge.follow(pool, self.bytes.saturating_sub(UNCOUNTED))
    }
}

fn bytes_of(key: &(StrBytes, StrBytes), said: Option<&Said>) -> usize {
    MEMBER + key.0.len() + key.1.len() + said.map_or(0, Said::bytes)
}

/// What regular expressions mean under one placement: many members of a group say the same one.
#[derive(Debug)]
pub struct Meanings {
    known: Mutex<Resolved>,
    /// One is looked for at a time: it takes a processor.
    turn: Arc<Semaphore>,
}

/// What one means, or why that cannot be said.
type Meaning = Result<Arc<Meant>, String>;

#[derive(Debug, Default)]
struct Resolved {
    /// The placement, which rules are part of.
    generation: u64,
    all: HashMap<Expression, Meaning>,
}

/// An expression, of a group that lives there, of a member who may not know all topics.
type Expression = (Slot, Option<Who>, Box<str>);

/// Whom rules are about.
type Who = (Principal, IpAddr);

/// Who may know which topics; nothing stands for who may know all.
#[derive(Clone, Default)]
struct Viewer(Option<Eyes>);

/// What somebody is held to.
#[derive(Clone)]
struct Eyes {
    who: Who,
    /// `None`: rules allow it everything.
    granted: Option<Arc<Granted>>,
    /// Clusters that it does not come to.
    barred: BarredSlots,
}

impl Viewer {
    fn of(session: &Session, placement: &Placement) -> Self {
        let (granted, barred) = (session.granted(placement), session.barred(placement).slots());
        let is_held = granted.is_some() || !barred.is_empty();
        let who = || (session.principal(), session.peer.ip().to_canonical());
        Self(is_held.then(|| Eyes { who: who(), granted, barred }))
    }

    fn who(&self) -> Option<Who> {
        self.0.as_ref().map(|eyes| eyes.who.clone())
    }

    /// Nobody has asked for this topic: what may not be known is not told as denied.
    fn sees(&self, topic: &str, placement: &Placement) -> bool {
        let Some(Eyes { granted, barred, .. }) = &self.0 else { return true };
        let guard = Guard { granted: granted.as_deref(), barred: Barred::at(*barred, placement), told: &|_| {} };
        guard.sees(Operation::Describe, Kind::Topic, topic)
    }
}

impl Default for Meanings {
    fn default() -> Self {
        Self { known: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Meanings {
    fn known(&self, (regex, home, viewer): (&str, Slot, &Viewer), generation: u64) -> Option<Meaning> {
        let known = self.known.lock();
        let all = (known.generation == generation).then_some(&known.all)?;
        all.get(&(home, viewer.who(), Box::from(regex))).cloned()
    }

    fn keep(&self, (regex, home, viewer): (&str, Slot, &Viewer), generation: u64, meaning: &Meaning) {
        let mut known = self.known.lock();
        if known.generation < generation || known.all.len() >= MEANINGS {
            *known = Resolved { generation, all: HashMap::new() };
        }
        if known.generation == generation && !is_too_long(regex) {
            known.all.insert((home, viewer.who(), regex.into()), meaning.clone());
        }
    }

    /// Looks for it on a thread that carries no client.
    async fn of(
        &self,
        (regex, home, viewer): (&StrBytes, Slot, &Viewer),
        (generation, placement): (u64, &Arc<Placement>),
    ) -> Meaning {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        if let Some(meaning) = self.known((regex, home, viewer), generation) {
            return meaning;
        }
        let (asked, within, eyes) = (regex.clone(), Arc::clone(placement), viewer.clone());
        let looked = spawn_blocking(move || {
            let began = processor_time();
            let has_time = || processor_time().saturating_sub(began) < MATCHED_WITHIN;
            // The turn is over with the work, also where nobody waits for it any more.
            let shows = |topic: &str| eyes.sees(topic, &within);
            (meant_by(&asked, home, &within, shows, has_time).map(Arc::new), turn)
        });
        let looked = looked.await.map(|(meaning, turn)| (meaning, Some(turn)));
        let (meaning, _turn) = looked.unwrap_or_else(|_| (Err("it cannot be read".to_owned()), None));
        self.keep((regex, home, viewer), generation, &meaning);
        meaning
    }
}

/// What this thread has had, however many others want a processor.
fn processor_time() -> Duration {
    let had = clock_gettime(ClockId::ThreadCPUTime);
    let part = u32::try_from(had.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(had.tv_sec).unwrap_or_default(), part)
}

/// Serves a heartbeat.
pub fn submit<A: Subscribes>(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let mut request: A::Request = ticket.read(frame)?;
    let session = Arc::clone(ticket.session());
    let current = &session.context.current;
    // The number first: a placement that is published meanwhile is newer than it says, and looked at again.
    let (generation, placement) = (current.generation(), current.load());
    let screened = |seen: &Seen<'_>| screen(&mut request, &mut None, seen);
    if let Some(denied) = session.see(ticket.head().version, &placement, Refusals::none(), screened) {
        let beat = Beat::<A> { ticket, request, frame: frame.clone(), generation, placement };
        return beat.refuse(&denied);
    }
    let saying = A::saying(&request);
    let heard = session.subscriptions.hear(&saying, generation, &session.context.shared.memory.parked);
    let beat = Beat::<A> { ticket, request, frame: frame.clone(), generation, placement };
    match heard {
        Heard::Fine => beat.go_on(),
        Heard::Judge(said) => beat.judge(said),
        Heard::Again => beat.refuse(&A::failed(codes::NOT_COORDINATOR, None)),
        Heard::Fenced => beat.refuse(&A::failed(codes::FENCED_MEMBER_EPOCH, Some(UNSAID.to_owned()))),
        Heard::Full => {
            close(&session);
            Ok(())
        }
    }
}

/// A heartbeat that is not sent yet.
struct Beat<A: Subscribes> {
    ticket: Ticket,
    request: A::Request,
    frame: Bytes,
    generation: u64,
    placement: Arc<Placement>,
}

impl<A: Subscribes> Beat<A> {
    /// Looks for what its regular expression means first, where nobody has under this placement.
    fn judge(self, said: Said) -> Result<(), Malformed> {
        let home = self.placement.home_of_group(A::saying(&self.request).group);
        let session = Arc::clone(self.ticket.session());
        let viewer = Viewer::of(&session, &self.placement);
        if !reads_regex(&said, &self.placement) {
            return self.judged(&said, &viewer, None);
        }
        if let Some(known) = session.context.meanings.known((&said.regex, home, &viewer), self.generation) {
            return self.judged(&said, &viewer, Some(known));
        }
        tokio::spawn(async move {
            let looked = async {
                // One of each connection at a time, so that a client with many keeps others waiting for one.
                let _turn = session.subscriptions.turn.lock().await;
                let asked = (&said.regex, home, &viewer);
                session.context.meanings.of(asked, (self.generation, &self.placement)).await
            };
            let meaning = timeout(TURN_WITHIN, looked).await;
            // Nothing is malformed that was read.
            drop(match meaning {
                Ok(meaning) => self.judged(&said, &viewer, Some(meaning)),
                Err(_) => self.refuse(&A::failed(codes::COORDINATOR_LOAD_IN_PROGRESS, None)),
            });
        });
        Ok(())
    }

    fn judged(self, said: &Said, viewer: &Viewer, meaning: Option<Meaning>) -> Result<(), Malformed> {
        let session = Arc::clone(self.ticket.session());
        let saying = A::saying(&self.request);
        let meant = |_: &str, _| meaning.unwrap_or_else(|| Ok(Arc::default()));
        let shows = |topic: &str| viewer.sees(topic, &self.placement);
        match judge(said, saying.group, A::PROTOCOL, &self.placement, shows, meant) {
            Ok(()) => {
                session.subscriptions.fits(&saying, said, self.generation);
                self.go_on()
            }
            Err(why) => {
                let answer = refuse::<A>(&session, &why, &self.placement);
                self.refuse(&answer)
            }
        }
    }

    fn go_on(self) -> Result<(), Malformed> {
        generic::submit_read::<A>(self.ticket, self.request, &self.frame)
    }

    fn refuse(self, answer: &A::Response) -> Result<(), Malformed> {
        let Self { mut ticket, request, placement, .. } = self;
        let session = Arc::clone(ticket.session());
        let version = ticket.head().version;
        ticket.of_pipeline(session.see(version, &placement, &Refusals::default(), |seen| A::pipeline(&request, seen)));
        ticket.answer(answer, &[]);
        Ok(())
    }
}

fn refuse<A: Subscribes>(session: &Session, why: &Refused, placement: &Placement) -> A::Response {
    if let Refused::Reaches(reach) = why {
        tell(session, reach, placement);
    }
    refused::<A>(why, placement)
}

/// Once a minute for each group: its members try again and again.
fn tell(session: &Session, reach: &Reach, placement: &Placement) {
    let Some(held_back) = session.context.seldom.pass(format!("a subscription of {}", reach.group)) else { return };
    let home = placement.cluster(reach.home).map_or("", |cluster| cluster.name.as_str());
    tracing::warn!(
        session = %session.id, peer = %session.peer, client = %session.client(), group = %reach.group, home,
        topics = reach.topics(placement), held_back,
        "a group whose coordinator assigns partitions subscribes to topics of another cluster and is refused; {}",
        reach.advice(&placement.config)
    );
}

/// The client comes back, and says all again: by then there may be memory for it.
fn close(session: &Session) {
    let (peer, client) = (session.peer, session.client());
    if let Some(held_back) = session.context.seldom.pass(format!("long subscriptions {}", peer.ip())) {
        tracing::warn!(
            session = %session.id, %peer, %client, held_back,
            "closing a client connection: its group members subscribe to more than there is memory for (an eighth of memory.parked \
             for one client); raise memory.parked"
        );
    }
    session.close("memory");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::text;
    use crate::placement::build::tests::{placement, slot, topic};
    use crate::rights::{Definition, Rights};
    use kafka_protocol::messages::TopicName;

    struct Line {
        known: Subscriptions,
        pool: Arc<Budget>,
        group: StrBytes,
        member: StrBytes,
    }

    impl Line {
        fn new(pool: usize) -> Self {
            Self { known: Subscriptions::default(), pool: Budget::new(pool), group: text("g"), member: text("m") }
        }

        fn say(&self, epoch: i32, names: Option<&[&str]>, regex: Option<&str>, generation: u64) -> Heard {
            let names: Option<Vec<_>> = names.map(|names| names.iter().map(|name| TopicName(text(name))).collect());
            let regex = regex.map(text);
            let saying = Saying {
                group: &self.group,
                member: &self.member,
                epoch,
                names: names.as_deref(),
                regex: regex.as_ref(),
            };
            let heard = self.known.hear(&saying, generation, &self.pool);
            if let Heard::Judge(said) = &heard {
                self.known.fits(&saying, said, generation);
            }
            heard
        }
    }

    fn said(names: &[&str], regex: &str) -> Heard {
        Heard::Judge(Said { names: names.iter().map(|name| text(name)).collect(), regex: text(regex) })
    }

    #[test]
    fn a_member_is_judged_when_it_says_something_new_and_when_the_world_has_changed() {
        let line = Line::new(0);
        assert_eq!(line.say(0, Some(&["x"]), None, 1), said(&["x"], ""));
        assert_eq!(line.say(3, None, None, 1), Heard::Fine);
        assert_eq!(line.say(3, None, Some("y.*"), 1), said(&["x"], "y.*"));
        assert_eq!(line.say(3, None, None, 2), said(&["x"], "y.*"));
        assert_eq!(line.say(3, None, None, 2), Heard::Fine);
        // When it leaves, it is forgotten
        assert_eq!(line.say(-1, None, None, 3), Heard::Fine);
        let known = line.known.known.lock();
        assert_eq!((known.members.len(), known.bytes), (0, 0));
    }

    #[test]
    fn a_member_of_another_connection_has_to_say_all_again_once() {
        let line = Line::new(0);
        assert_eq!(line.say(3, None, None, 1), Heard::Again);
        assert_eq!(line.say(3, None, None, 1), Heard::Fine, "it gives partitions back");
        assert_eq!(line.say(3, Some(&["x"]), None, 1), said(&["x"], ""));
        assert_eq!(line.say(3, None, None, 2), said(&["x"], ""));
    }

    #[test]
    fn a_member_that_does_not_say_all_again_has_to_join_anew() {
        // Given one that was told to
        let line = Line::new(0);
        assert_eq!(line.say(3, None, None, 1), Heard::Again);
        // When it goes on without, then it is not served for ever: nobody knows what it means
        for _ in 0..SILENT {
            assert_eq!(line.say(3, None, None, 1), Heard::Fine);
        }
        assert_eq!(line.say(3, None, None, 1), Heard::Fenced);
        assert_eq!(line.say(3, None, None, 2), Heard::Fenced);
        // Until it joins
        assert_eq!(line.say(0, Some(&["x"]), None, 2), said(&["x"], ""));
        assert_eq!(line.say(4, None, None, 2), Heard::Fine);
    }

    /// [L4]
    #[test]
    fn l4_what_members_subscribe_to_is_counted() {
        // Given room for so much, of which one session may have an eighth
        let (mut line, long) = (Line::new(48_000), "x".repeat(1_000));
        // When members subscribe, then what they say is counted
        for member in 0..5 {
            line.member = text(&member.to_string());
            assert_eq!(line.say(0, Some(&[&long]), None, 1), said(&[&long], ""));
        }
        assert!(line.pool.free() < 44_000, "{}", line.pool.free());
        // Until there is no room left for this one
        let mut full = 0;
        for member in 5..20 {
            line.member = text(&member.to_string());
            full += usize::from(line.say(0, Some(&[&long]), None, 1) == Heard::Full);
        }
        assert!(full > 10 && line.pool.free() >= 42_000, "{full} {}", line.pool.free());
        // And it is given back with the session
        let pool = Arc::clone(&line.pool);
        drop(line);
        assert_eq!(pool.free(), 48_000);
    }

    #[tokio::test]
    async fn a_regular_expression_that_begins_to_mean_a_topic_elsewhere_is_seen() {
        let (meanings, before) = (Meanings::default(), Arc::new(placement(&[topic("x", &[1])], &[]).0));
        let alone = meanings.of((&text(".*"), slot(0), &Viewer::default()), (1, &before)).await.unwrap();
        let known = meanings.known((".*", slot(0), &Viewer::default()), 1).unwrap().unwrap();
        assert!(Arc::ptr_eq(&alone, &known), "many say the same");
        let after = Arc::new(placement(&[topic("x", &[1])], &[topic("b-1", &[1])]).0);
        let known = |home, generation| meanings.known((".*", slot(home), &Viewer::default()), generation);
        assert!(known(0, 2).is_none() && known(1, 1).is_none());
        let there = meanings.of((&text(".*"), slot(0), &Viewer::default()), (2, &after)).await.unwrap();
        let said = Said { names: Vec::new(), regex: text(".*") };
        let judged = |placement: &Placement, meaning: &Arc<Meant>| {
            let meant = |_: &str, _| Ok(Arc::clone(meaning));
            judge(&said, &text("g"), crate::api::groups::subscription::Protocol::Consumer, placement, |_| true, meant)
        };
        assert_eq!(judged(&before, &alone), Ok(()));
        assert!(matches!(judged(&after, &there), Err(Refused::Reaches(_))));
    }

    #[tokio::test]
    async fn nobody_is_given_what_an_expression_means_to_who_may_know_more() {
        // Given what somebody's expression means who may know all
        let world = Arc::new(placement(&[topic("x", &[1])], &[topic("b-1", &[1])]).0);
        let (meanings, all) = (Meanings::default(), Viewer::default());
        let whole = meanings.of((&text(".*"), slot(0), &all), (1, &world)).await.unwrap();
        // When others say the same that may know nothing, from two addresses
        for host in [[10, 0, 0, 7], [10, 0, 0, 8]].map(IpAddr::from) {
            let granted = Some(Arc::new(Arc::new(Rights::new(Definition::default())).of("User:x", host)));
            let who = (Principal::user("x"), host);
            let nobody = Viewer(Some(Eyes { who, granted, barred: BarredSlots::default() }));
            // Then it means nothing
            assert!(meanings.known((".*", slot(0), &nobody), 1).is_none());
            let nothing = meanings.of((&text(".*"), slot(0), &nobody), (1, &world)).await.unwrap();
            assert_eq!((&*nothing, nothing == whole), (&Meant::default(), false));
            assert!(meanings.known((".*", slot(0), &nobody), 1).is_some());
        }
        // Nor does it mean what lives where one does not come
        let who = (Principal::user("y"), IpAddr::from([10, 0, 0, 7]));
        let at_home = Viewer(Some(Eyes { who, granted: None, barred: [slot(1)].into_iter().collect() }));
        let meant = meanings.of((&text(".*"), slot(0), &at_home), (1, &world)).await.unwrap();
        assert!(at_home.sees("x", &world) && !at_home.sees("b-1", &world));
        assert!(*meant != *whole && *meant != Meant::default());
    }

    /// [L4]
    #[tokio::test]
    async fn l4_no_more_meanings_are_remembered_than_there_is_memory_for() {
        let (meanings, world) = (Meanings::default(), Arc::new(placement(&[topic("x", &[1])], &[]).0));
        for number in 0..2 * MEANINGS {
            meanings.of((&text(&number.to_string()), slot(0), &Viewer::default()), (1, &world)).await.unwrap();
        }
        assert!(meanings.known.lock().all.len() <= MEANINGS);
        // What cannot be read is remembered, but not where it is long
        for (wrong, known) in [("(".to_owned(), true), ("x".repeat(5_000), false)] {
            assert!(meanings.of((&text(&wrong), slot(0), &Viewer::default()), (1, &world)).await.is_err());
            assert_eq!(meanings.known((&wrong, slot(0), &Viewer::default()), 1).is_some(), known);
        }
    }

    #[tokio::test]
    async fn a_regular_expression_that_would_take_a_processor_for_long_is_refused() {
        // Given very many topics of long names, and an expression that each of them takes long to be held against
        let mut dice = fastrand::Rng::with_seed(7);
        let mut name = || std::iter::repeat_with(|| dice.choice(['a', 'b']).unwrap()).take(249).collect::<String>();
        let topics: Vec<_> = (0..3_000).map(|_| topic(&name(), &[])).collect();
        let world = Arc::new(placement(&topics, &[]).0);
        let worst = text("[ab]*a[ab]{0,1000}x");
        // Then somebody gives up, and one that is plain is read all the same
        let why = meanings_of(&worst, &world).await.unwrap_err();
        assert!(why.starts_with("it takes too long"), "{why}");
        assert!(meanings_of(&text("a.*"), &world).await.is_ok());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_for_a_turn_leaves_it_to_others() {
        // Given somebody who has the turn
        let (meanings, world) = (Meanings::default(), Arc::new(placement(&[topic("x", &[1])], &[]).0));
        let turn = Arc::clone(&meanings.turn).acquire_owned().await.unwrap();
        // When another gives up waiting for it
        let (regex, moment) = (text(".*"), Duration::from_millis(10));
        let asked = (&regex, slot(0), &Viewer::default());
        assert!(timeout(moment, meanings.of(asked, (1, &world))).await.is_err());
        // Then it has taken nothing, and the next has its turn
        drop(turn);
        assert!(meanings.of(asked, (1, &world)).await.is_ok());
        assert_eq!(meanings.turn.available_permits(), 1);
    }

    async fn meanings_of(regex: &StrBytes, world: &Arc<Placement>) -> Meaning {
        Meanings::default().of((regex, slot(0), &Viewer::default()), (1, world)).await
    }
}
