//! What follows a batch that was refused, or never sent.

use super::*;

#[tokio::test]
async fn l6_what_follows_a_batch_that_its_broker_refused_does_not_overtake_it() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(first_refuses)).await;
    let mut client = world.client().await;
    // Given a batch that its broker refused, since another leads
    assert_eq!(call(&mut client, &idempotent(0)).await, NOT_LEADER);
    world.led_by(2).await;
    // When the client has sent the next one before it knew
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    // Then nobody has seen it before the first came again
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    assert_eq!(call(&mut client, &idempotent(1)).await, 0);
    assert_eq!(sent.all(), [(1, 0), (2, 0), (2, 1)]);
    // And who is not idempotent, or has begun anew, was never held back
    world.led_by(1).await;
    assert_eq!(call(&mut client, &idempotent(2)).await, NOT_LEADER);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &batch(-1, "l-2", -1, 0)).await, 0);
    assert_eq!(call(&mut client, &batch(-1, "l-2", PRODUCER + 1, 5)).await, 0);
}

#[tokio::test]
async fn l6_what_was_on_its_way_when_the_first_was_refused_does_not_overtake_it() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(first_refuses)).await;
    let mut client = world.client().await;
    // Given five in flight, of which the first is refused
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    assert_eq!(code(&mut client).await, NOT_LEADER);
    world.led_by(2).await;
    // When the client sends one more, and then all again
    for sequence in [5, 0, 1, 2, 3, 4, 5] {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then the new leader gets them from the first on
    for expected in [NOT_LEADER; 5].into_iter().chain([0; 6]) {
        assert_eq!(code(&mut client).await, expected);
    }
    assert_eq!(sent.at(1), [0], "who does not know the producer gets nothing behind its first batch");
    assert_eq!(sent.at(2), (0..6).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_broker_that_knows_the_producer_refuses_what_follows_itself() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let world = World::within(LONG, sent.answering(taken_by(&leads))).await;
    let mut client = world.client().await;
    // Given a producer that a broker knows
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    // When it leads no more, and five are in flight
    leads.store(2, Ordering::Relaxed);
    for sequence in 1..6 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then they went one behind the other, and all hear of it from there
    for _ in 1..6 {
        assert_eq!(code(&mut client).await, NOT_LEADER);
    }
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(6)).await, NOT_LEADER);
    assert_eq!(sent.at(1), (0..7).collect::<Vec<_>>());
    assert!(sent.at(2).is_empty());
}

#[tokio::test]
async fn l6_what_waits_for_a_producers_first_batch_waits_as_long_as_that() {
    let (sent, asked) = (Sent::default(), Arc::new(AtomicI32::new(0)));
    let (noting, counted) = (sent.clone(), Arc::clone(&asked));
    let slow_at_first = move |broker, asked: Asked| {
        noting.note(broker, &asked);
        if counted.fetch_add(1, Ordering::Relaxed) == 0 {
            std::thread::sleep(3 * SHORT.park);
        }
        written(&asked, 0)
    };
    let world = World::within(SHORT, slow_at_first).await;
    let mut client = world.client().await;
    // Given a broker that takes longer for the first than anything may be held
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then all are written
    for _ in 0..5 {
        assert_eq!(code(&mut client).await, 0);
    }
    assert_eq!(sent.at(1), (0..5).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_partition_that_an_answer_leaves_out_counts_as_refused() {
    let sent = Sent::default();
    let noting = sent.clone();
    let says_nothing = move |broker, asked: Asked| {
        noting.note(broker, &asked);
        if broker == 1 { asked.answer(&ProduceResponse::default()) } else { written(&asked, 0) }
    };
    let world = World::within(LONG, says_nothing).await;
    let mut client = world.client().await;
    assert_eq!(call(&mut client, &idempotent(0)).await, 7);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER, "nobody has seen it");
    assert_eq!(sent.all(), [(1, 0)]);
}

#[tokio::test]
async fn l6_a_refusal_is_over_when_its_broker_writes_what_follows() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let world = World::within(LONG, sent.answering(taken_by(&leads))).await;
    let mut client = world.client().await;
    // Given a batch that a broker refused that knows its producer, and that the client has sent over another connection
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    leads.store(2, Ordering::Relaxed);
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    world.led_by(2).await;
    assert_eq!(call(&mut world.client().await, &idempotent(1)).await, 0);
    // When its first broker leads again, and writes the next one
    leads.store(1, Ordering::Relaxed);
    world.led_by(1).await;
    assert_eq!(call(&mut client, &idempotent(2)).await, 0);
    // Then later ones go where they are led, without a way round
    leads.store(2, Ordering::Relaxed);
    world.led_by(2).await;
    assert_eq!(call(&mut client, &idempotent(3)).await, 0);
    assert_eq!(sent.all(), [(1, 0), (1, 1), (2, 1), (1, 2), (2, 3)]);
}

#[tokio::test]
async fn l6_the_session_ends_where_who_refused_cannot_be_asked() {
    let (sent, leads) = (Sent::default(), Arc::new(AtomicI32::new(1)));
    let world = World::within(LONG, sent.answering(taken_by(&leads))).await;
    let mut client = world.client().await;
    // Given a batch that was refused by a broker that knows its producer, and whose link has ended since
    assert_eq!(call(&mut client, &idempotent(0)).await, 0);
    leads.store(2, Ordering::Relaxed);
    assert_eq!(call(&mut client, &idempotent(1)).await, NOT_LEADER);
    world.session().links.sweep(Instant::now() + Duration::from_secs(1), |_| Duration::ZERO, |_| {});
    world.led_by(2).await;
    // When the next one comes
    client.send(9, &idempotent(2)).await;
    // Then nobody gets it, and the client must send all again
    client.is_closed().await;
    world.until("sessions_closed_total", &[("reason", "overtaking")], 1.0).await;
    assert_eq!(sent.all(), [(1, 0), (1, 1)]);
    // And may, over a new connection
    assert_eq!(call(&mut world.client().await, &idempotent(1)).await, 0);
}

#[tokio::test]
async fn l6_what_we_refuse_ourselves_is_not_overtaken_either() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    let mut client = world.client().await;
    // Given a batch for a topic that is not there
    let one = |sequence| batch(-1, "l-new", PRODUCER, sequence);
    assert_eq!(call(&mut client, &one(0)).await, 3);
    assert_eq!(call(&mut client, &one(1)).await, 3, "as long as it is not, all are refused alike");
    // When it is there, and the next batch comes first
    world.leading("l-new", 1).await;
    client.send(9, &one(2)).await;
    // Then nobody gets it
    client.is_closed().await;
    assert_eq!(sent.all(), []);
    // And in order they are taken
    let mut client = world.client().await;
    assert_eq!((call(&mut client, &one(0)).await, call(&mut client, &one(1)).await), (0, 0));
}

#[tokio::test]
async fn l6_a_batch_that_was_never_sent_is_held_in_its_place() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given a leader that nobody can connect to
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    for sequence in 0..5 {
        client.send(9, &idempotent(sequence)).await;
    }
    world.until_any("links_failed_total", &[("cluster", "a"), ("reason", "connect")]).await;
    // When another leads
    world.led_by(1).await;
    for sequence in 5..10 {
        client.send(9, &idempotent(sequence)).await;
    }
    // Then it gets all of them, in order, and the client hears of nothing else
    for _ in 0..10 {
        assert_eq!(code(&mut client).await, 0);
    }
    assert_eq!(sent.all(), (0..10).map(|sequence| (1, sequence)).collect::<Vec<_>>());
}

#[tokio::test]
async fn l6_a_batch_that_cannot_be_sent_for_too_long_ends_the_session() {
    let world = World::within(SHORT, |_, asked: Asked| written(&asked, 0)).await;
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    // A plain one is answered: it may be overtaken.
    assert_eq!(call(&mut client, &batch(-1, "l-2", -1, 0)).await, NOT_LEADER);
    client.send(9, &idempotent(0)).await;
    client.is_closed().await;
}

/// [L4]
#[tokio::test]
async fn l4_who_is_refused_for_partitions_without_end_is_closed() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    let mut client = world.client().await;
    // When an idempotent producer names a thousand partitions at a time that nobody has
    let (mut request, mut nobodys, mut told) = (idempotent(0), 100.., 0);
    let one = request.topic_data[0].partition_data[0].clone();
    loop {
        let indexes = nobodys.by_ref().take(1_000);
        request.topic_data[0].partition_data = indexes.map(|index| one.clone().with_index(index)).collect();
        client.send(9, &request).await;
        if client.hear::<ProduceRequest>(9).await.is_none() {
            break;
        }
        told += 1;
    }
    // Then it is told so a few times, and not for ever: each is remembered
    assert_eq!((told, sent.all()), (4, vec![]));
}
