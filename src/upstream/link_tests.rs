//! A link from its opening to its end, over real sockets.

use super::super::outgoing::Patience;
use super::*;
use crate::telemetry::{Telemetry, Use};
use crate::types::{BrokerId, Slot};
use crate::wire::transport::Transport;
use std::sync::atomic::AtomicUsize;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

fn target() -> Target {
    Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) }
}

fn gauge() -> LinkGauge {
    Telemetry::new().unwrap().cluster(&"a".into()).link_opened(Use::Session, Guise::OWN)
}

async fn outlet() -> (Arc<Outlet>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(there, listener.accept());
    (Outlet::new(Arc::new(Transport::plain(near.unwrap()))), far.unwrap().0)
}

fn unanswered(size: usize, told: &Arc<AtomicUsize>) -> Outgoing {
    let told = Arc::clone(told);
    Outgoing {
        api: ApiKey::Produce,
        write: Box::new(move |_, _| Ok((9, vec![Bytes::from(vec![0; size])]))),
        expect: Expect::Nothing {
            bytes: size,
            on_fault: Box::new(move |_| {
                told.fetch_add(1, Ordering::Relaxed);
            }),
        },
        patience: Patience { late: LATE, over: Duration::from_secs(1) },
    }
}

#[tokio::test]
async fn what_a_broker_does_not_take_holds_its_senders_back() {
    let (link, told) = (Link::opening(target()), Arc::default());
    assert!(link.send(unanswered(1_000, &told)).is_ok());
    link.room(1_000).await;
    assert!(link.send(unanswered(20 << 20, &told)).is_ok());
    let wait = Duration::from_millis(50);
    assert!(timeout(wait, link.room(1_000)).await.is_err(), "while the link opens");
    let (outlet, _frozen) = outlet().await;
    link.ready(Arc::default(), outlet, gauge);
    assert!(timeout(wait, link.room(1_000)).await.is_err(), "while the broker takes nothing");
    link.enforce_deadline(Instant::now() + STUCK_AFTER / 2);
    assert!(!link.is_dead());
    link.enforce_deadline(Instant::now() + STUCK_AFTER * 2);
    link.room(1_000).await;
    assert!(link.is_dead(), "no hang without a deadline [L5]");
    assert_eq!(told.load(Ordering::Relaxed), 1, "the latest is told, and closes its session");
}

fn answered(told: &Arc<AtomicUsize>) -> Outgoing {
    let told = Arc::clone(told);
    let on_answer = move |_| {
        told.fetch_add(1, Ordering::Relaxed);
    };
    Outgoing { expect: Expect::Answer(Box::new(on_answer)), ..unanswered(10, &Arc::default()) }
}

#[tokio::test]
async fn what_a_broker_owes_is_counted_from_when_it_may_answer() {
    let (link, told) = (Link::opening(target()), Arc::default());
    let owed = |after: Duration| link.owed(Instant::now() + after).map(|owed| owed.late);
    assert_eq!(owed(LATE), None, "nothing is asked");
    assert!(link.send(answered(&told)).is_ok());
    assert_eq!((owed(LATE / 2), owed(LATE)), (Some(false), Some(true)), "a link that opens is late too");
    let (outlet, _frozen) = outlet().await;
    link.ready(Arc::default(), outlet, gauge);
    tokio::time::sleep(LATE / 10).await;
    link.pause(true);
    link.enforce_deadline(Instant::now() + LATE * 9);
    assert_eq!((owed(LATE * 9), link.is_dead()), (None, false), "it is we who do not read");
    link.pause(false);
    assert_eq!((owed(LATE * 19 / 20), owed(LATE)), (Some(false), Some(true)), "counted anew");
    link.enforce_deadline(Instant::now() + LATE * 9);
    assert!(link.is_dead());
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_answer_that_comes_while_its_link_is_given_up_is_no_nonsense() {
    let (link, told) = (Link::opening(target()), Arc::default());
    let (outlet, _far) = outlet().await;
    link.ready(Arc::default(), outlet, gauge);
    let nonsense = || Bytes::from_static(&[0, 0, 0, 9]);
    assert!(link.answered(nonsense()).is_err(), "nobody asked");
    assert!(link.send(answered(&told)).is_ok());
    link.poison("session", &"the client is gone");
    assert!(link.answered(nonsense()).is_ok());
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_idle_link_ends_and_tells_nobody() {
    let (link, told) = (Link::opening(target()), Arc::default());
    let later = || Instant::now() + Duration::from_secs(1);
    link.end_if_idle(later());
    assert!(!link.is_dead(), "it is opening");
    let (outlet, _far) = outlet().await;
    link.ready(Arc::default(), outlet, gauge);
    assert!(link.send(unanswered(10, &told)).is_ok());
    link.end_if_idle(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    assert!(!link.is_dead(), "it was used since");
    link.end_if_idle(later());
    assert!(link.is_dead());
    link.poison("closed", &"closed");
    assert_eq!(told.load(Ordering::Relaxed), 0);
}
