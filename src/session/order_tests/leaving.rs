//! What a client had sent before it went, and what a stop waits for.

use super::*;
use tokio::time::timeout;

#[tokio::test]
async fn l5_what_is_held_when_the_client_hangs_up_is_delivered() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given batches that wait for a leader
    world.led_by(-1).await;
    let mut client = world.client().await;
    for (acks, sequence) in [(0, 0), (1, 1), (-1, 2), (0, 3)] {
        client.send(9, &batch(acks, "l-2", -1, sequence)).await;
    }
    client.send(9, &batch(1, "r-1", -1, 9)).await;
    // When the client hangs up, and then there is one
    drop(client);
    world.until("sessions", &[], 0.0).await;
    sleep(Duration::from_millis(50)).await;
    world.led_by(2).await;
    // Then it gets them, in order
    let delivered = [(1, 9), (2, 0), (2, 1), (2, 2), (2, 3)];
    sent.until(&delivered).await;
    // And nothing of the client stays
    world.until("links", &[("use", "session")], 0.0).await;
    world.until("requests_in_flight", &[], 0.0).await;
    assert!(world.context.sessions.is_empty());
    assert_eq!(world.errors("cluster"), 0.0);
}

#[tokio::test]
async fn l5_what_waits_for_a_link_when_the_client_hangs_up_is_delivered() {
    let sent = Sent::default();
    let world = World::within(LONG, sent.answering(|_| 0)).await;
    // Given a leader that nobody can connect to
    world.led_by(2).await;
    world.a.as_ref().unwrap().stop(2);
    let mut client = world.client().await;
    client.send(9, &idempotent(0)).await;
    // When the client hangs up, and then another leads
    drop(client);
    world.until("sessions", &[], 0.0).await;
    world.led_by(1).await;
    // Then that gets it
    sent.until(&[(1, 0)]).await;
}

#[tokio::test]
async fn l5_what_cannot_be_delivered_is_dropped_in_time() {
    let sent = Sent::default();
    let world = World::within(Limits { park: Duration::from_secs(60), ..SHORT }, sent.answering(|_| 0)).await;
    world.led_by(-1).await;
    let mut client = world.client().await;
    client.send(9, &idempotent(0)).await;
    client.send(9, &batch(0, "l-2", -1, 1)).await;
    drop(client);
    world.until("sessions", &[], 0.0).await;
    assert!(!world.context.sessions.is_empty(), "a stop waits for it");
    while !world.context.sessions.is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    world.led_by(1).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(sent.all(), []);
    world.until("requests_in_flight", &[], 0.0).await;
}

#[tokio::test]
async fn a_stop_waits_for_what_is_held_and_for_what_brokers_have_not_taken() {
    // Given a session without anything under way
    let world = World::within(LONG, |_, _| Reply::Freeze).await;
    let mut client = world.client().await;
    assert!(world.session().is_idle());
    // When a request that nobody answers is held
    world.leading("l-1", -1).await;
    client.send(9, &batch(0, "l-1", -1, 0)).await;
    // Then it is not idle
    let busy = async |world: &World| {
        let end = Instant::now() + Duration::from_secs(10);
        while world.session().is_idle() {
            assert!(Instant::now() < end, "it seems idle");
            sleep(Duration::from_millis(5)).await;
        }
    };
    busy(&world).await;
    // And not when a broker does not take what is queued for it
    let mut other = World::within(LONG, |_, _| Reply::Freeze).await;
    let mut client = other.client().await;
    let mut large = batch(0, "l-2", -1, 0);
    large.topic_data[0].partition_data[0].records = Some(Bytes::from(vec![0; 900_000]));
    for _ in 0..25 {
        // It is read no further where sockets take less than usual.
        if timeout(Duration::from_secs(1), client.send(9, &large)).await.is_err() {
            break;
        }
    }
    busy(&other).await;
    sleep(Duration::from_millis(100)).await;
    assert!(!other.session().is_idle());
    // Until the broker is gone
    drop(other.a.take());
    client.is_closed().await;
}
