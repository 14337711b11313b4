//! Logging in to a broker (SASL), when a link is opened and again before what the broker granted is over (KIP-368).

use super::connect::Broken;
use super::door::Doors;
use super::link::Link;
use super::outgoing::{Answer, Expect, Outgoing, Patience, Refused};
use super::versions::Versions;
use crate::error::Fault;
use crate::security::client::{ClientExchange, Credentials, NotReady};
use crate::security::token::NoToken;
use crate::types::Mechanism;
use crate::wire::codec::{Frame, decode, encode_request};
use crate::wire::frame::{FrameError, Reader};
use crate::wire::head::read_response;
use crate::wire::malformed::Malformed;
use crate::wire::shape::Shaped;
use crate::wire::transport::Transport;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::{Encodable, Request, StrBytes};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Kafka's code for a mechanism that a listener does not have.
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
/// No mechanism goes to and fro more often.
const ROUNDS: usize = 5;
/// The version of `SaslHandshake` behind which tokens go in `SaslAuthenticate` (KIP-152).
const HANDSHAKE: i16 = 1;
/// A lifetime that is shorter is taken for this one: nothing else would be done.
const SHORTEST: Duration = Duration::from_secs(1);
/// Whoever gives tokens may take so long; the brokers that they are for have another clock.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// What is on its way when a login is renewed has this time to be answered: long polls, and a broker that is busy.
const ANSWERED: Duration = Duration::from_secs(5);
/// The exchange on a link that is in use may take so long: what it carries is answered first.
const AGAIN_WITHIN: Duration = Duration::from_secs(60);

/// Why a broker did not let us in.
#[derive(Debug, thiserror::Error)]
pub enum NotIn {
    /// It has other mechanisms.
    #[error("the broker does not take {mechanism}, but {theirs}: set `mechanism` in the cluster's `sasl`")]
    Mechanism {
        /// Ours.
        mechanism: Mechanism,
        /// What it takes.
        theirs: String,
    },
    /// It does not believe us, or does not want us.
    #[error(
        "the broker refused the login with {mechanism}: {why} (error {code}); is the `sasl` right that it comes from?"
    )]
    Refused {
        /// How.
        mechanism: Mechanism,
        /// Its words.
        why: String,
        /// Its code.
        code: i16,
    },
    /// We have nothing to show.
    #[error("cannot log in with {mechanism}: {why}")]
    NotReady {
        /// How.
        mechanism: Mechanism,
        /// What is missing.
        why: NotReady,
    },
    /// It could not show that it knows the password, or said what makes no sense.
    #[error("the broker did not log us in with {mechanism} as it should: {why}")]
    Odd {
        /// How.
        mechanism: Mechanism,
        /// What was odd.
        why: String,
    },
}

/// Where a broker is asked.
pub(super) enum Asks<'a> {
    /// On a link that is being opened.
    Opening(&'a Transport, &'a mut Reader),
    /// On one that is in use.
    Again(&'a Link),
}

/// What to say next, once there is something to show: a token may have to be got first.
pub(super) async fn prepare(login: &Credentials) -> Result<ClientExchange, Broken> {
    let late = |_| Err(NotReady::Token(NoToken(format!("there was no token within {READY_WITHIN:?}").into())));
    let ready = timeout(READY_WITHIN, login.exchange()).await.unwrap_or_else(late);
    Ok(ready.map_err(|why| NotIn::NotReady { mechanism: login.mechanism(), why })?)
}

/// Says who we are. Gives for how long the broker believes it, where that ends.
pub(super) async fn log_in(
    login: &Credentials,
    mut exchange: ClientExchange,
    versions: &Versions,
    mut asks: Asks<'_>,
) -> Result<Option<Duration>, Broken> {
    let mechanism = exchange.mechanism();
    let odd = |exchange: &ClientExchange, why: &dyn std::fmt::Display| NotIn::Odd {
        mechanism,
        why: exchange.foreign(&why.to_string()),
    };
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism.as_str()));
    let answer = asks.call(HANDSHAKE, request).await?;
    match answer.error_code {
        0 => {}
        UNSUPPORTED_SASL_MECHANISM => {
            let theirs = answer.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
            return Err(NotIn::Mechanism { mechanism, theirs: exchange.foreign(&theirs) }.into());
        }
        code => return Err(NotIn::Refused { mechanism, why: "it takes no login now".to_owned(), code }.into()),
    }
    let version = versions.nearest(ApiKey::SaslAuthenticate, 2).unwrap_or(0);
    let mut token = exchange.first();
    for _ in 0..ROUNDS {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(token);
        let answer = asks.call(version, request).await?;
        if answer.error_code != 0 {
            login.failed(&exchange);
            let said = answer.error_message.as_deref().or(exchange.reason());
            let why = exchange.foreign(said.unwrap_or("it does not say why"));
            return Err(NotIn::Refused { mechanism, why, code: answer.error_code }.into());
        }
        match exchange.step(&answer.auth_bytes) {
            Err(why) => return Err(odd(&exchange, &why).into()),
            Ok(Some(next)) => token = next,
            Ok(None) => return Ok(lifetime(answer.session_lifetime_ms)),
        }
    }
    Err(odd(&exchange, &"it asks without end").into())
}

/// KIP-368: 0 is for ever.
fn lifetime(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(|ms| Duration::from_millis(ms).max(SHORTEST))
}

/// Logs in again and again before each lifetime is over, as the cluster is to be entered then. Ends where the broker does not
/// let us in any more: what was withheld was never sent then, and who waits for it is told so.
pub(super) async fn keep_in(link: &Link, doors: &Doors, mut lifetime: Option<Duration>, versions: &Versions) -> Broken {
    while let Some(granted) = lifetime {
        sleep(begins(granted, fastrand::f64())).await;
        // A link of who is gone ends by itself.
        let door = doors.of(link.target().cluster, link.guise());
        let Some(login) = door.and_then(|door| door.login.clone()) else { break };
        let exchange = match prepare(&login).await {
            Ok(exchange) => exchange,
            Err(broken) => return broken,
        };
        link.withhold();
        match timeout(AGAIN_WITHIN, log_in(&login, exchange, versions, Asks::Again(link))).await {
            Ok(Ok(granted)) => lifetime = granted,
            Ok(Err(broken)) => return broken,
            Err(_) => return Broken::LoginSlow(AGAIN_WITHIN),
        }
        link.release();
    }
    std::future::pending().await
}

/// When to begin, by a `dice` from 0 to 1 so that not all links do it at once: after 75 to 90 % of what was granted, about as
/// Java's client. What is on its way is answered first, and a broker ends a link that asks anything more when its time is over
/// (KIP-368), so that a short grant is renewed earlier.
fn begins(granted: Duration, dice: f64) -> Duration {
    let latest = granted - ANSWERED.min(granted / 2);
    granted.mul_f64(0.75 + 0.15 * dice).min(latest.mul_f64(0.9 + 0.1 * dice))
}

impl Asks<'_> {
    async fn call<R>(&mut self, version: i16, request: R) -> Result<R::Response, Broken>
    where
        R: Request<Response: Shaped + Send> + Encodable + Send + 'static,
    {
        let api = ApiKey::try_from(R::KEY).map_err(|()| Malformed::Field("an API without a key".to_owned()))?;
        match self {
            Self::Opening(socket, reader) => {
                let frame = frame(api, version, -1, &request)?;
                socket.write_all(&frame.concat()).await.map_err(FrameError::from)?;
                let answer = reader.next(socket).await?.ok_or(Broken::Closed)?;
                let (_, body_at) = read_response(&answer, api, version)?;
                Ok(decode(answer.slice(body_at..), version)?)
            }
            Self::Again(link) => call_on(link, api, version, request).await,
        }
    }
}

fn frame<R: Encodable>(api: ApiKey, version: i16, correlation: i32, request: &R) -> Result<Frame, Malformed> {
    let client_id = Bytes::from_static(b"fishplate");
    encode_request(api, version, correlation, Some(&client_id), request, &[])
        .map_err(|e| Malformed::Field(e.to_string()))
}

/// Behind all that the link has sent; nothing else goes meanwhile.
async fn call_on<R>(link: &Link, api: ApiKey, version: i16, request: R) -> Result<R::Response, Broken>
where
    R: Request<Response: Shaped + Send> + Encodable + Send + 'static,
{
    let (target, (tell, told)) = (link.target(), oneshot::channel());
    let outgoing = Outgoing {
        api,
        write: Box::new(move |_, correlation| {
            let frame = frame(api, version, correlation, &request);
            frame.map(|frame| (version, frame)).map_err(|e| Fault::upstream(target, false, e))
        }),
        expect: Expect::Answer(Box::new(move |answer| {
            let read = |answer: Answer| answer.decode().map_err(|e| Fault::upstream(target, true, e));
            drop(tell.send(answer.and_then(read)));
        })),
        patience: Patience { late: AGAIN_WITHIN, over: AGAIN_WITHIN },
    };
    link.send_past(outgoing).unwrap_or_else(Refused::tell);
    // Where the link has ended, that is what its task ends with.
    told.await.ok().and_then(Result::ok).ok_or(Broken::Closed)
}

#[cfg(test)]
mod tests {
    use super::super::connect::{Shared, serve};
    use super::super::door::Door;
    use super::super::testing::{Asked, FakeCluster, Reply};
    use super::*;
    use crate::config::Secret;
    use crate::telemetry::Telemetry;
    use crate::types::{BrokerId, Guise, HostPort, Slot, Target};
    use kafka_protocol::messages::{
        HeartbeatRequest, HeartbeatResponse, SaslAuthenticateResponse, SaslHandshakeResponse,
    };
    use parking_lot::Mutex;
    use std::sync::Arc;
    use std::time::Instant;

    /// What a broker was asked, in turn.
    type Heard = Arc<Mutex<Vec<ApiKey>>>;

    /// A broker that knows one password, and believes it for so long.
    fn knows(password: &'static str, lifetime_ms: i64, heard: &Heard) -> impl Fn(i32, Asked) -> Reply + Clone + use<> {
        let heard = Arc::clone(heard);
        move |_, asked| {
            heard.lock().push(asked.api);
            match asked.api {
                ApiKey::SaslHandshake => {
                    let request: SaslHandshakeRequest = asked.request();
                    let error = if &*request.mechanism == "PLAIN" { 0 } else { UNSUPPORTED_SASL_MECHANISM };
                    let plain = StrBytes::from_static_str("PLAIN");
                    asked.answer(&SaslHandshakeResponse::default().with_error_code(error).with_mechanisms(vec![plain]))
                }
                ApiKey::SaslAuthenticate => {
                    let request: SaslAuthenticateRequest = asked.request();
                    let answer = SaslAuthenticateResponse::default();
                    if request.auth_bytes.as_ref() == format!("\0us\0{password}").as_bytes() {
                        asked.answer(&answer.with_session_lifetime_ms(lifetime_ms))
                    } else {
                        let why = Some(StrBytes::from_static_str("Invalid username or password"));
                        asked.answer(&answer.with_error_code(58).with_error_message(why))
                    }
                }
                _ => asked.answer(&HeartbeatResponse::default()),
            }
        }
    }

    fn target() -> Target {
        Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) }
    }

    fn login(mechanism: Mechanism, password: &str) -> Door {
        let login = Credentials::password(mechanism, "us", Secret::new(password.to_owned()));
        Door { login: Some(login), ..Door::default() }
    }

    struct World {
        shared: Arc<Shared>,
        telemetry: Telemetry,
        address: HostPort,
    }

    impl World {
        fn at(cluster: &FakeCluster, door: Door) -> Self {
            let shared = Shared::new(0, 1 << 20);
            shared.doors.set(target().cluster, Guise::OWN, door);
            Self { shared, telemetry: Telemetry::new().unwrap(), address: cluster.bootstrap()[0].clone() }
        }

        fn link(&self) -> Arc<Link> {
            let link = Link::opening(target());
            let (shared, meter) = (Arc::clone(&self.shared), self.telemetry.cluster(&"a".into()));
            tokio::spawn(serve(Arc::clone(&link), self.address.clone(), shared, meter, None));
            link
        }
    }

    async fn beat(link: &Link) -> Result<(), Fault> {
        let (tell, told) = oneshot::channel();
        let outgoing = Outgoing {
            api: ApiKey::Heartbeat,
            write: Box::new(|_, correlation| {
                let request = HeartbeatRequest::default();
                Ok((4, encode_request(ApiKey::Heartbeat, 4, correlation, None, &request, &[]).unwrap()))
            }),
            expect: Expect::Answer(Box::new(move |answer| drop(tell.send(answer.map(drop))))),
            patience: Patience { late: AGAIN_WITHIN, over: AGAIN_WITHIN },
        };
        link.send(outgoing).unwrap_or_else(Refused::tell);
        timeout(Duration::from_secs(20), told).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn what_is_sent_waits_for_the_login() {
        let heard = Heard::default();
        let cluster = FakeCluster::start(1, &[], knows("right", 0, &heard)).await;
        let world = World::at(&cluster, login(Mechanism::Plain, "right"));
        beat(&world.link()).await.unwrap();
        assert_eq!(*heard.lock(), [ApiKey::SaslHandshake, ApiKey::SaslAuthenticate, ApiKey::Heartbeat]);
    }

    #[tokio::test]
    async fn a_broker_that_refuses_is_asked_once_for_many_links_and_again_with_another_password() {
        let heard = Heard::default();
        let cluster = FakeCluster::start(1, &[], knows("right", 0, &heard)).await;
        let world = World::at(&cluster, login(Mechanism::Plain, "wrong"));
        for _ in 0..5 {
            let refused = beat(&world.link()).await.unwrap_err().to_string();
            assert!(refused.contains("Invalid username or password") && !refused.contains("wrong"), "{refused}");
        }
        assert_eq!(heard.lock().len(), 2, "a handshake and a token");
        let failed = world.telemetry.shown("fishplate_links_failed_total", &[("cluster", "a"), ("reason", "login")]);
        assert_eq!(failed, Some(5.0));
        world.shared.doors.set(target().cluster, Guise::OWN, login(Mechanism::Plain, "right"));
        beat(&world.link()).await.unwrap();
    }

    #[tokio::test]
    async fn who_has_another_mechanism_is_named_what_there_is() {
        let heard = Heard::default();
        let cluster = FakeCluster::start(1, &[], knows("right", 0, &heard)).await;
        let world = World::at(&cluster, login(Mechanism::ScramSha512, "right"));
        let refused = beat(&world.link()).await.unwrap_err().to_string();
        assert!(refused.contains("does not take SCRAM-SHA-512, but PLAIN"), "{refused}");
    }

    #[test]
    fn a_login_is_renewed_while_there_is_time_for_what_is_on_its_way() {
        let between = |seconds| [0.0, 1.0].map(|dice| begins(Duration::from_secs(seconds), dice).as_millis());
        assert_eq!(between(3_600), [2_700_000, 3_240_000]);
        assert_eq!(between(20), [13_500, 15_000]);
        assert_eq!(between(4), [1_800, 2_000]);
        assert_eq!(between(1), [450, 500]);
    }

    #[tokio::test]
    async fn a_login_is_renewed_before_it_is_over_and_nothing_comes_between() {
        let heard = Heard::default();
        let cluster = FakeCluster::start(1, &[], knows("right", 1_000, &heard)).await;
        let world = World::at(&cluster, login(Mechanism::Plain, "right"));
        // Given a link that is used all the time
        let (link, end) = (world.link(), Instant::now() + Duration::from_secs(20));
        let logins = || heard.lock().iter().filter(|api| **api == ApiKey::SaslHandshake).count();
        while logins() < 4 {
            assert!(Instant::now() < end, "{} logins", logins());
            let mut beats = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let link = Arc::clone(&link);
                beats.spawn(async move { beat(&link).await });
            }
            crate::upstream::all_answers(beats).await.into_iter().for_each(|beat| beat.unwrap());
        }
        // Then each login is whole
        let heard = heard.lock();
        let tokens = heard.iter().enumerate().filter(|(_, api)| **api == ApiKey::SaslAuthenticate);
        for (place, _) in tokens {
            assert_eq!(heard[place - 1], ApiKey::SaslHandshake, "{heard:?}");
        }
    }

    #[tokio::test]
    async fn what_waited_for_a_login_that_is_refused_was_not_sent() {
        // Given a broker that takes its time, and then no second login
        let heard = Heard::default();
        let (believes, refuses) = (knows("right", 1_000, &heard), knows("another", 0, &heard));
        let logins = Arc::new(Mutex::new(0));
        let script = move |broker, asked: Asked| {
            let is_second = asked.api == ApiKey::SaslAuthenticate && {
                *logins.lock() += 1;
                *logins.lock() > 1
            };
            if is_second {
                std::thread::sleep(Duration::from_millis(300));
            }
            if is_second { refuses(broker, asked) } else { believes(broker, asked) }
        };
        let cluster = FakeCluster::start(1, &[], script).await;
        let world = World::at(&cluster, login(Mechanism::Plain, "right"));
        let link = world.link();
        beat(&link).await.unwrap();
        // When something is sent meanwhile
        while !link.is_dead() && link.is_ready() {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(!link.is_dead(), "it is withheld from");
        let fault = beat(&link).await.unwrap_err();
        // Then nobody has seen it
        assert!(!fault.sent, "{fault}");
        assert_eq!(heard.lock().iter().filter(|api| **api == ApiKey::Heartbeat).count(), 1);
    }

    #[tokio::test]
    async fn a_link_ends_whose_login_is_not_renewed() {
        let heard = Heard::default();
        let cluster = FakeCluster::start(1, &[], knows("right", 1_000, &heard)).await;
        let world = World::at(&cluster, login(Mechanism::Plain, "right"));
        let link = world.link();
        beat(&link).await.unwrap();
        world.shared.doors.set(target().cluster, Guise::OWN, login(Mechanism::Plain, "wrong"));
        timeout(Duration::from_secs(10), link.ended()).await.unwrap();
        assert!(beat(&link).await.unwrap_err().to_string().contains("Invalid username or password"));
    }
}
