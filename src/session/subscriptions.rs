//! The driver of heartbeats of groups whose coordinator assigns (KIP-848, KIP-932): what each member has subscribed to is
//! remembered, since a heartbeat names only what is new, and held against the placement whenever either changes. So a
//! subscription that begins to mean a topic of another cluster is refused with the next heartbeat.

use super::generic;
use super::state::Session;
use super::ticket::Ticket;
use crate::api::groups::heartbeats::{Subscribes, refused};
use crate::api::groups::subscription::{Meant, Reach, Refused, Said, Saying, judge, meant_by};
use crate::api::{Refusals, codes};
use crate::placement::Placement;
use crate::types::Slot;
use crate::wire::budget::{Budget, Charge};
use crate::wire::codec::copied;
use crate::wire::malformed::Malformed;
use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What every session may remember before it is counted, in bytes.
const UNCOUNTED: usize = 2 << 10;
/// What a member takes beside what it said.
const MEMBER: usize = 256;
/// So often a member is served that has not said what it means, over this connection: a client that gives partitions back says
/// nothing else until that is done (franz-go).
const SILENT: u8 = 12;
/// So many meanings of regular expressions are remembered; with more, all are forgotten.
const MEANINGS: usize = 256;

/// Why a member has to join anew.
const UNSAID: &str =
    "the member goes on over a new connection and does not say what it subscribes to: it has to join again";

/// What the members that heartbeat over one connection have subscribed to.
#[derive(Debug)]
pub struct Subscriptions(Mutex<Known>);

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
        Self(Mutex::new(Known { members: HashMap::new(), bytes: 0, charge: Charge::none() }))
    }
}

impl Subscriptions {
    fn hear(&self, saying: &Saying<'_>, generation: u64, pool: &Arc<Budget>) -> Heard {
        let mut known = self.0.lock();
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
        let mut known = self.0.lock();
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
#[derive(Debug, Default)]
pub struct Meanings(Mutex<Resolved>);

#[derive(Debug, Default)]
struct Resolved {
    /// The placement.
    generation: u64,
    /// By the group's home and the expression.
    all: HashMap<(Slot, Box<str>), Arc<Meant>>,
}

impl Meanings {
    fn of(&self, regex: &str, home: Slot, (generation, placement): (u64, &Placement)) -> Result<Arc<Meant>, String> {
        let key = (home, regex.into());
        {
            let mut known = self.0.lock();
            if known.generation != generation || known.all.len() >= MEANINGS {
                *known = Resolved { generation, all: HashMap::new() };
            }
            if let Some(meant) = known.all.get(&key) {
                return Ok(Arc::clone(meant));
            }
        }
        let meant = Arc::new(meant_by(regex, home, placement)?);
        let mut known = self.0.lock();
        if known.generation == generation {
            known.all.insert(key, Arc::clone(&meant));
        }
        Ok(meant)
    }
}

/// Serves a heartbeat.
pub fn submit<A: Subscribes>(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let request: A::Request = ticket.read(frame)?;
    let session = Arc::clone(ticket.session());
    let current = &session.context.current;
    // The number first: a placement that is published meanwhile is newer than it says, and looked at again.
    let (generation, placement) = (current.generation(), current.load());
    let saying = A::saying(&request);
    let version = ticket.head().version;
    let why = match session.subscriptions.hear(&saying, generation, &session.context.shared.memory.parked) {
        Heard::Fine => None,
        Heard::Judge(said) => {
            let meant = |regex: &str, home| session.context.meanings.of(regex, home, (generation, &placement));
            let why = judge(&said, saying.group, A::PROTOCOL, &placement, meant).err();
            if why.is_none() {
                session.subscriptions.fits(&saying, &said, generation);
            }
            why.map(|why| refuse::<A>(&session, &why, &placement))
        }
        Heard::Again => Some(A::failed(codes::NOT_COORDINATOR, None)),
        Heard::Fenced => Some(A::failed(codes::FENCED_MEMBER_EPOCH, Some(UNSAID.to_owned()))),
        Heard::Full => {
            close(&session);
            return Ok(());
        }
    };
    let Some(answer) = why else { return generic::submit_read::<A>(ticket, request, frame) };
    ticket.of_pipeline(session.see(version, &placement, &Refusals::default(), |seen| A::pipeline(&request, seen)));
    ticket.answer(&answer, &[]);
    Ok(())
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
        let known = line.known.0.lock();
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

    #[test]
    fn a_regular_expression_that_begins_to_mean_a_topic_elsewhere_is_seen() {
        let (meanings, before) = (Meanings::default(), placement(&[topic("x", &[1])], &[]).0);
        let alone = meanings.of(".*", slot(0), (1, &before)).unwrap();
        assert!(Arc::ptr_eq(&alone, &meanings.of(".*", slot(0), (1, &before)).unwrap()), "many say the same");
        let after = placement(&[topic("x", &[1])], &[topic("b-1", &[1])]).0;
        let said = Said { names: Vec::new(), regex: text(".*") };
        let judged = |generation, placement: &Placement| {
            let meant = |regex: &str, home| meanings.of(regex, home, (generation, placement));
            judge(&said, &text("g"), crate::api::groups::subscription::Protocol::Consumer, placement, meant)
        };
        assert_eq!(judged(1, &before), Ok(()));
        assert!(matches!(judged(2, &after), Err(Refused::Reaches(_))));
        for number in 0..2 * MEANINGS {
            meanings.of(&number.to_string(), slot(0), (2, &after)).unwrap();
        }
        assert!(meanings.0.lock().all.len() <= MEANINGS);
    }
}
