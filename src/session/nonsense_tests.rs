//! A broker that answers nonsense ends its link and nothing else: the request in question is answered "unknown whether it
//! was written", the same client goes on, others and other clusters never notice.

use super::testing::{Client, World, produce, written};
use crate::upstream::testing::{Asked, Reply};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;

/// Nobody knows whether the batch was written.
const REQUEST_TIMED_OUT: i16 = 7;

/// What a broker of cluster `b` answers to a Produce.
type Nonsense = fn(&Asked) -> Reply;

fn bytes(of: &[u8]) -> Reply {
    Reply::Frame(vec![Bytes::copy_from_slice(of)])
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&u32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

/// A good answer's bytes, its length field before them.
fn good(asked: &Asked) -> Vec<u8> {
    match written(asked, 0) {
        Reply::Frame(frame) => frame.concat(),
        _ => panic!("no answer"),
    }
}

/// The connection ends after so many bytes of a good answer.
fn cut(asked: &Asked, at: usize) -> Reply {
    let good = good(asked);
    Reply::Last(vec![Bytes::copy_from_slice(&good[..at.min(good.len() - 1)])])
}

const NONSENSE: [(&str, Nonsense); 15] = [
    ("another's correlation id", |asked| {
        let mut answer = good(asked);
        answer[7] ^= 0x55;
        bytes(&answer)
    }),
    ("noise for a body", |asked| bytes(&framed(&[&asked.head.correlation.to_be_bytes()[..], &[0xff; 40]].concat()))),
    ("no body", |asked| bytes(&framed(&asked.head.correlation.to_be_bytes()))),
    ("nothing", |_| bytes(&framed(&[]))),
    ("half a head", |_| bytes(&framed(&[0, 0]))),
    ("a huge length", |_| bytes(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3])),
    ("a negative length", |_| bytes(&[0xff; 8])),
    ("HTTP", |_| bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
    ("a list without end", |asked| {
        bytes(&framed(&[&asked.head.correlation.to_be_bytes()[..], &[0, 0xff, 0xff, 0xff, 0xff, 0xf]].concat()))
    }),
    ("an end before the answer", |_| Reply::Close),
    ("an end in the length field", |asked| cut(asked, 2)),
    ("an end behind the length field", |asked| cut(asked, 4)),
    ("an end in the head", |asked| cut(asked, 7)),
    ("an end in the middle", |asked| cut(asked, 20)),
    ("an end before the last byte", |asked| cut(asked, usize::MAX)),
];

async fn code(client: &mut Client, topic: &str) -> i16 {
    let answer = client.call(9, &produce(-1, &[(topic, &[0])])).await;
    answer.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn nonsense_ends_a_link_and_nothing_else() {
    // Given a broker that answers nonsense once it is told to, and one that does not
    let next: Arc<Mutex<Option<Nonsense>>> = Arc::default();
    let told = Arc::clone(&next);
    let world = World::start(move |_, asked| {
        let of_b = asked.frame.windows(3).any(|window| window == b"r-1");
        let nonsense = if of_b { told.lock().take() } else { None };
        nonsense.map_or_else(|| written(&asked, 0), |nonsense| nonsense(&asked))
    })
    .await;
    let (mut client, mut other) = (world.client().await, world.client().await);
    assert_eq!((code(&mut client, "r-1").await, code(&mut other, "r-1").await), (0, 0));
    for (what, nonsense) in NONSENSE {
        // When it does
        *next.lock() = Some(nonsense);
        // Then its client hears that nobody knows, and goes on over the same connection
        assert_eq!(code(&mut client, "r-1").await, REQUEST_TIMED_OUT, "{what}");
        assert_eq!((code(&mut client, "l-1").await, code(&mut client, "r-1").await), (0, 0), "after {what}");
        // And others never notice
        assert_eq!((code(&mut other, "l-1").await, code(&mut other, "r-1").await), (0, 0), "another, after {what}");
    }
}

#[tokio::test]
async fn an_answer_too_many_ends_a_link_and_nothing_else() {
    let world = World::start(|_, asked| {
        let answer = good(&asked);
        bytes(&[answer.clone(), answer].concat())
    })
    .await;
    let mut client = world.client().await;
    for _ in 0..5 {
        // The next request may have been sent when the link ends; then nobody knows.
        assert!([0, REQUEST_TIMED_OUT].contains(&code(&mut client, "r-1").await));
    }
}
