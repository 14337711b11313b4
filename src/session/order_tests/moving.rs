//! Leaders that move and refuse at random, under a client that keeps five batches in flight.

use super::*;

/// A partition that moves from broker to broker, none of which knows any producer at first.
struct Moving {
    leader: i32,
    /// The sequence that the leader takes next; any, where it has taken none.
    next: Option<i32>,
    log: Vec<i32>,
}

impl Moving {
    fn take(&mut self, broker: i32, sequence: i32) -> i16 {
        if broker != self.leader {
            return NOT_LEADER;
        }
        match self.next {
            Some(next) if sequence < next => 0,
            Some(next) if sequence > next => OUT_OF_ORDER,
            _ => {
                self.log.push(sequence);
                self.next = Some(sequence + 1);
                0
            }
        }
    }
}

/// A client that keeps five batches in flight and sends what was refused again, the lowest first.
async fn send_all(world: &World, count: i32) {
    let (mut to_send, mut in_flight) = ((0..count).collect::<BTreeSet<_>>(), VecDeque::new());
    let mut client = world.client().await;
    while !(to_send.is_empty() && in_flight.is_empty()) {
        while in_flight.len() < 5
            && let Some(sequence) = to_send.pop_first()
        {
            client.send(9, &idempotent(sequence)).await;
            in_flight.push_back(sequence);
        }
        match client.hear::<ProduceRequest>(9).await {
            Some(told) => {
                let sequence = in_flight.pop_front().unwrap();
                if told.responses[0].partition_responses[0].error_code != 0 {
                    to_send.insert(sequence);
                }
            }
            None => {
                to_send.extend(in_flight.drain(..));
                client = world.client().await;
            }
        }
    }
}

#[tokio::test]
async fn l6_whatever_moves_meanwhile_nothing_is_overtaken() {
    const BROKERS: i32 = 12;
    let partition = Arc::new(Mutex::new(Moving { leader: 1, next: None, log: Vec::new() }));
    let brokers = Arc::clone(&partition);
    let script = move |broker, asked: Asked| {
        let sequence = sequences(&asked.request()).next().unwrap();
        written(&asked, brokers.lock().take(broker, sequence))
    };
    let world = World::of(BROKERS.unsigned_abs() as usize, LONG, script).await;
    // Given a partition that moves from broker to broker while a client sends
    let moves = async {
        for leader in 2..=BROKERS {
            sleep(Duration::from_millis(fastrand::u64(5..40))).await;
            let before = fastrand::bool();
            if before {
                world.led_by(leader).await;
            }
            (partition.lock().leader, partition.lock().next) = (leader, None);
            if !before {
                sleep(Duration::from_millis(fastrand::u64(0..20))).await;
                world.led_by(leader).await;
            }
        }
    };
    tokio::join!(moves, send_all(&world, 2_000));
    // Then each batch was written behind all that came before it
    let mut next = 0;
    for sequence in &partition.lock().log {
        assert!(*sequence <= next, "{sequence} overtook {next}");
        next = next.max(*sequence + 1);
    }
    assert_eq!(next, 2_000);
}

#[tokio::test]
async fn l6_whatever_a_leader_refuses_meanwhile_nothing_is_overtaken() {
    for _ in 0..10 {
        // Given a leader that knows no producer at first, and refuses a batch now and then without a look at it
        let partition = Arc::new(Mutex::new(Moving { leader: 1, next: None, log: Vec::new() }));
        let broker = Arc::clone(&partition);
        let script = move |at, asked: Asked| {
            let sequence = sequences(&asked.request()).next().unwrap();
            let refuses = fastrand::u8(..10) < 3;
            written(&asked, if refuses { NOT_LEADER } else { broker.lock().take(at, sequence) })
        };
        let world = World::within(LONG, script).await;
        // When a client keeps five in flight
        send_all(&world, 20).await;
        // Then each is written once, in order
        assert_eq!(partition.lock().log, (0..20).collect::<Vec<_>>());
    }
}
