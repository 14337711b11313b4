//! Brings a link to life: connects, asks the broker what it speaks, then reads its answers until either side ends.

use super::door::Doors;
use super::link::Link;
use super::login::{Asks, NotIn, keep_in, log_in, prepare};
use super::pace::Pace;
use super::places::{Place, Places};
use super::versions::Versions;
use crate::security::client::{ClientExchange, Credentials};
use crate::security::tls::Client;
use crate::telemetry::{ClusterMeter, Seldom, Use};
use crate::types::{Guise, HostPort, Target};
use crate::wire::budget::{Budget, Charge, Share};
use crate::wire::codec::{decode, encode_request};
use crate::wire::frame::{FrameError, Reader};
use crate::wire::head::read_response;
use crate::wire::malformed::Malformed;
use crate::wire::outlet::{Outlet, Together, tune};
use crate::wire::pool::Pool;
use crate::wire::transport::Transport;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

/// Connecting, name resolution and the first exchange together may take this long. What is to be shown there was got before.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// The version of ApiVersions we ask first: the first with our name in it (KIP-511).
const ASKED_FIRST: i16 = 3;
/// Kafka's code for a version it does not have.
const UNSUPPORTED_VERSION: i16 = 35;

/// Answers of up to so many bytes are always read: acknowledgements must not wait behind bodies that may wait for them.
pub const SMALL_ANSWER: usize = 64 << 10;

/// The pools of memory (L4).
#[derive(Clone, Debug)]
pub struct Memory {
    /// Of requests that are read and not yet passed on.
    pub requests: Arc<Budget>,
    /// Of answers that are read and that clients have not taken.
    pub responses: Arc<Budget>,
    /// Of requests that wait for a leader, or for their order to be sure.
    pub parked: Arc<Budget>,
}

impl Memory {
    /// Pools of these sizes.
    #[must_use]
    pub fn new(requests: usize, responses: usize, parked: usize) -> Self {
        let [requests, responses, parked] = [requests, responses, parked].map(Budget::new);
        Self { requests, responses, parked }
    }

    /// From now on they have these sizes.
    pub fn resize(&self, requests: usize, responses: usize, parked: usize) {
        for (pool, size) in [(&self.requests, requests), (&self.responses, responses), (&self.parked, parked)] {
            pool.resize(size);
        }
    }
}

/// What every link of the process shares.
#[derive(Debug)]
pub struct Shared {
    /// Read buffers.
    pub pool: Arc<Pool>,
    /// What they are drawn from.
    pub memory: Memory,
    /// The largest answer that is taken.
    pub frame_limit: usize,
    /// When a broker may be connected to again, by anybody.
    pub pace: Pace<(Target, HostPort)>,
    /// And when as somebody of whom nothing came there, though a socket stood: it keeps nobody else waiting.
    entries: Pace<((Target, HostPort), Guise)>,
    /// How many links sessions may have.
    pub places: Places,
    /// How clusters are entered.
    pub doors: Doors,
    /// Holds repeated warnings back.
    seldom: Seldom<(Target, Guise, News)>,
}

/// What is worth a warning of a broker to who comes as somebody. None of them holds another back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum News {
    NearlyFull,
    Nonsense,
    NoLink(&'static str),
}

impl Shared {
    /// For links that take answers up to `frame_limit` bytes and keep up to `keep` bytes of unused read buffers.
    #[must_use]
    pub fn new(keep: usize, frame_limit: usize) -> Arc<Self> {
        Self::within(Memory::new(64 << 20, 64 << 20, 32 << 20), keep, frame_limit)
    }

    /// The same, and all that is read for sessions is drawn from these pools.
    #[must_use]
    pub fn within(memory: Memory, keep: usize, frame_limit: usize) -> Arc<Self> {
        let seldom = Seldom::new(Duration::from_secs(60));
        let pool = Pool::within(keep, vec![Arc::clone(&memory.requests), Arc::clone(&memory.responses)]);
        let (pace, entries) = (Pace::default(), Pace::default());
        let (places, doors) = (Places::default(), Doors::default());
        Arc::new(Self { pool, memory, frame_limit, pace, entries, places, doors, seldom })
    }
}

/// Where answers go, for those who read no faster than it drains.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The client's outlet.
    pub outlet: Arc<Outlet>,
    /// Reading stops while more bytes than this wait in it.
    pub limit: usize,
    /// What the session may hold of answers.
    pub share: Arc<Share>,
}

impl Flow {
    /// What may wait in the outlet: less where others need the memory.
    fn allows(&self) -> usize {
        if self.share.pool().is_short() { 0 } else { self.limit }
    }

    /// Memory for an answer. Small ones are read at once, whatever is drawn.
    fn try_draw(&self, size: usize) -> Option<Charge> {
        let takes = Pool::takes(size, self.share.capacity());
        if size <= SMALL_ANSWER { Some(self.share.force(takes)) } else { self.share.try_draw(takes) }
    }

    async fn draw(&self, size: usize) -> Charge {
        self.share.draw(Pool::takes(size, self.share.capacity()), || self.outlet.backlog() == 0).await
    }
}

/// Why a link could not be opened or had to end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("cannot connect to {0}: {1}")]
    Connect(HostPort, io::Error),
    #[error("{0} was not reached within {OPEN_WITHIN:?}")]
    Slow(HostPort),
    #[error("{0} took the connection and did not answer within {OPEN_WITHIN:?}")]
    Mute(HostPort),
    #[error(
        "as many links to it are open, or are being opened, as its cluster's `max_links` and `links_per_second` allow"
    )]
    Full,
    #[error("the connection failed: {0}")]
    Read(#[from] FrameError),
    #[error("the broker closed the connection")]
    Closed,
    #[error("the broker sent what is no answer: {0}")]
    Malformed(#[from] Malformed),
    #[error("the broker refused to tell its versions: error {0}")]
    Refused(i16),
    #[error("TLS with {0} failed: {1}; does it speak TLS there, and is the cluster's `tls` right?")]
    Tls(HostPort, io::Error),
    #[error("{0}")]
    Login(#[from] NotIn),
    #[error("{0} (not tried again for a while)")]
    Shut(Arc<str>),
    #[error("cannot be entered: {0}")]
    NoDoor(Arc<str>),
    #[error("nobody enters the cluster any more as {0}: the config has changed")]
    Left(Guise),
    #[error("the broker did not answer a new login within {0:?}")]
    LoginSlow(Duration),
}

impl Broken {
    /// Whether the broker does not speak Kafka's protocol, or not as we read it.
    fn is_nonsense(&self) -> bool {
        self.word() == "protocol"
    }

    /// A word for the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Connect(..) => "connect",
            Self::Slow(_) | Self::Mute(_) => "timeout",
            Self::Full => "full",
            Self::Read(FrameError::Io(_) | FrameError::Cut) => "io",
            Self::Closed => "eof",
            Self::Read(FrameError::TooLarge { .. }) | Self::Malformed(_) => "protocol",
            Self::Refused(_) => "versions",
            Self::Tls(..) | Self::NoDoor(_) => "tls",
            Self::Login(_) | Self::Shut(_) | Self::Left(_) | Self::LoginSlow(_) => "login",
        }
    }

    /// What who asked for a link comes to feel of it, beside being told.
    fn costs(&self) -> Costs {
        match self {
            Self::Full => Costs::Nothing,
            // The broker has refused nobody just now. Who tries again at once would do so all the time: nothing else takes any.
            Self::Login(NotIn::NotReady { .. }) | Self::Shut(_) | Self::Left(_) => Costs::Entry,
            Self::Login(_) => Costs::Door,
            Self::Connect(..) | Self::Slow(_) => Costs::All,
            // A broker that begins, or is behind a balancer, may do so to everybody: each finds out, and is back within a second.
            _ => Costs::Entry,
        }
    }
}

/// Who waits for how long after a link could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Costs {
    Nothing,
    /// Everybody, for up to a second: the broker could not be reached.
    All,
    /// Who came as this one, for up to a second.
    Entry,
    /// The same, for up to half a minute: it is not let in.
    Door,
}

/// Serves `link` for its whole life. Ends when the broker does, or when the link was given up; everybody who waits on
/// it has been answered then. A link with a flow is a session's, one without our own.
pub async fn serve(
    link: Arc<Link>,
    address: HostPort,
    shared: Arc<Shared>,
    meter: Arc<ClusterMeter>,
    flow: Option<Flow>,
) {
    let _poisoned_at_last = Abandoned(&link);
    let place = (link.target(), address);
    let entry = (place.clone(), link.guise().clone());
    // Before it takes its turn, which others need.
    sleep(shared.entries.wait(&entry, Instant::now())).await;
    let mut _at_broker = None;
    if flow.is_some() {
        match timeout(OPEN_WITHIN, admitted(&link, &shared)).await {
            Ok(admitted) => _at_broker = Some(admitted),
            Err(_) => {
                let full = Broken::Full;
                meter.link_failed(link.guise(), full.word());
                report(&link, &shared, &full, true);
                return link.poison(full.word(), &full);
            }
        }
    }
    sleep(shared.pace.wait(&place, Instant::now())).await;
    let Open { socket, mut reader, versions, lifetime } = match open(&link, &place.1, &shared).await {
        Ok(opened) => opened,
        Err(broken) => {
            // Who has left has no series any more, and gets none.
            let left = shared.doors.of(link.target().cluster, link.guise()).is_none();
            meter.link_failed(if left { Guise::OWN } else { link.guise() }, broken.word());
            match broken.costs() {
                Costs::Nothing => {}
                Costs::All => shared.pace.failed(place, Instant::now()),
                Costs::Entry => shared.entries.failed(entry, Instant::now()),
                Costs::Door => {
                    shared.doors.refused(link.target(), link.guise(), &broken.to_string(), Instant::now());
                }
            }
            report(&link, &shared, &broken, flow.is_some());
            return link.poison(broken.word(), &broken);
        }
    };
    shared.pace.succeeded(&place);
    shared.entries.succeeded(&entry);
    let whose = if flow.is_some() { Use::Session } else { Use::Own };
    let versions = Arc::new(versions);
    link.ready(Arc::clone(&versions), Outlet::new(Arc::clone(&socket)), || meter.link_opened(whose, link.guise()));
    let reading = read_all(&link, &socket, &mut reader, flow.as_ref());
    let end = tokio::select! {
        read = reading => read.err().unwrap_or(Broken::Closed),
        end = keep_in(&link, &shared.doors, lifetime, &versions) => end,
    };
    if end.is_nonsense()
        && let Some(held_back) = shared.seldom.pass((link.target(), Guise::Own, News::Nonsense))
    {
        tracing::warn!(broker = %link.target(), reason = %end, held_back, "closing a link: its broker answers nonsense");
    }
    link.poison(end.word(), &end);
}

/// A place at the broker, and its turn.
async fn admitted(link: &Link, shared: &Shared) -> Place {
    let at = link.target();
    // The broker counts all who come from here, whoever they come as.
    let place = shared.places.take(at).await;
    if place.nearly_full
        && let Some(held_back) = shared.seldom.pass((at, Guise::Own, News::NearlyFull))
    {
        tracing::warn!(
            broker = %at, held_back,
            "four in five of the connections that `max_links` allows to this broker are open; beyond it requests wait and \
             are then refused. Raise it where the broker takes more"
        );
    }
    if let Some(not_before) = place.not_before {
        sleep_until(not_before.into()).await;
    }
    place
}

/// Clients feel it when a broker cannot be reached. Our own calls go to another one, and a whole cluster that does not
/// answer is told of elsewhere.
fn report(link: &Link, shared: &Shared, broken: &Broken, of_session: bool) {
    let (target, identity) = (link.target(), link.guise().name());
    if !of_session {
        return tracing::debug!(broker = %target, identity, reason = %broken, "cannot open a link of our own");
    }
    let what = (target, link.guise().clone(), News::NoLink(broken.word()));
    if let Some(held_back) = shared.seldom.pass(what) {
        tracing::warn!(
            broker = %target, identity, reason = %broken, held_back,
            "cannot open a link to a broker; Produce for what it leads waits a few seconds, other requests are refused, and \
             clients try again"
        );
    }
}

/// A link whose task has gone, for whatever reason: nobody reads its answers any more.
struct Abandoned<'l>(&'l Link);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        self.0.poison("ended", &"its task has ended");
    }
}

/// A connection that may be used.
struct Open {
    socket: Arc<Transport>,
    reader: Reader,
    versions: Versions,
    /// For how long the broker believes who we are.
    lifetime: Option<Duration>,
}

async fn open(link: &Link, address: &HostPort, shared: &Shared) -> Result<Open, Broken> {
    let (at, guise) = (link.target(), link.guise());
    let connect = |e| Broken::Connect(address.clone(), e);
    if let Some(why) = shared.doors.is_shut(at, guise, Instant::now()) {
        return Err(Broken::Shut(why));
    }
    let door = shared.doors.of(at.cluster, guise).ok_or_else(|| Broken::Left(guise.clone()))?;
    if let Some(why) = &door.barred {
        return Err(Broken::NoDoor(Arc::clone(why)));
    }
    // Whoever gives tokens may take its time: no broker is at fault then, and none is kept waiting.
    let shows = match &door.login {
        None => None,
        Some(login) => Some((login, prepare(login).await?)),
    };
    let by = tokio::time::Instant::now() + OPEN_WITHIN;
    let socket = timeout_at(by, TcpStream::connect((&*address.host, address.port))).await;
    let socket = socket.map_err(|_| Broken::Slow(address.clone()))?.map_err(connect)?;
    tune(&socket).map_err(connect)?;
    let entered = timeout_at(by, enter(socket, address, door.tls.as_deref(), shows, shared)).await;
    let open = entered.unwrap_or_else(|_| Err(Broken::Mute(address.clone())))?;
    shared.doors.entered(at, guise);
    Ok(open)
}

/// What is said on a socket before it is of use to anybody.
async fn enter(
    socket: TcpStream,
    address: &HostPort,
    tls: Option<&Client>,
    shows: Option<(&Credentials, ClientExchange)>,
    shared: &Shared,
) -> Result<Open, Broken> {
    let socket = match tls {
        None => Transport::plain(socket),
        Some(tls) => over_tls(socket, address, tls).await.map_err(|e| Broken::Tls(address.clone(), e))?,
    };
    let mut reader = Reader::new(Arc::clone(&shared.pool), shared.frame_limit);
    let versions = negotiate(&socket, &mut reader).await?;
    let lifetime = match shows {
        None => None,
        Some((login, exchange)) => log_in(login, exchange, &versions, Asks::Opening(&socket, &mut reader)).await?,
    };
    Ok(Open { socket: Arc::new(socket), reader, versions, lifetime })
}

async fn over_tls(socket: TcpStream, address: &HostPort, tls: &Client) -> io::Result<Transport> {
    let name = tls.server_name(&address.host).map_err(io::Error::other)?;
    Transport::connect(socket, tls.current(), name).await
}

/// KIP-511: a broker that lacks the version asked answers 35 in version 0, with the range it has.
async fn negotiate(socket: &Transport, reader: &mut Reader) -> Result<Versions, Broken> {
    let answer = ask_versions(socket, reader, ASKED_FIRST).await?;
    let answer = match answer.error_code {
        UNSUPPORTED_VERSION => ask_versions(socket, reader, 0).await?,
        _ => answer,
    };
    match answer.error_code {
        0 => Ok(Versions::of(&answer)),
        code => Err(Broken::Refused(code)),
    }
}

async fn ask_versions(socket: &Transport, reader: &mut Reader, version: i16) -> Result<ApiVersionsResponse, Broken> {
    let mut request = ApiVersionsRequest::default();
    if version >= ASKED_FIRST {
        request.client_software_name = StrBytes::from_static_str("fishplate");
        request.client_software_version = StrBytes::from_static_str(env!("CARGO_PKG_VERSION"));
    }
    let client_id = Bytes::from_static(b"fishplate");
    let frame = encode_request(ApiKey::ApiVersions, version, -1, Some(&client_id), &request, &[])
        .map_err(|e| Malformed::Field(e.to_string()))?;
    socket.write_all(&frame.concat()).await.map_err(FrameError::from)?;
    let answer = reader.next(socket).await?.ok_or(Broken::Closed)?;
    let (_, body_at) = read_response(&answer, ApiKey::ApiVersions, version)?;
    let body = answer.slice(body_at..);
    // An answer of 35 is in version 0, whatever was asked; librdkafka's mock mixes two versions in it. The code will do.
    if body.first_chunk::<2>().map(|code| i16::from_be_bytes(*code)) == Some(UNSUPPORTED_VERSION) {
        return Ok(ApiVersionsResponse::default().with_error_code(UNSUPPORTED_VERSION));
    }
    Ok(decode(body, version)?)
}

async fn read_all(link: &Link, socket: &Transport, reader: &mut Reader, flow: Option<&Flow>) -> Result<(), Broken> {
    let mut together = Together::default();
    while let Some(size) = together.wait(reader.length(socket)).await? {
        let charge = match flow {
            None => Charge::none(),
            Some(flow) => match flow.try_draw(size) {
                Some(charge) => charge,
                None => {
                    link.pause(true);
                    let charge = together.wait(drawn_while_open(link, flow, size)).await?;
                    link.pause(false);
                    charge
                }
            },
        };
        let frame = together.wait(reader.body(socket, Arc::new(Mutex::new(charge)))).await?;
        together.gather(|| link.answered(frame))?;
        if let Some(flow) = flow.filter(|flow| flow.outlet.backlog() > flow.allows()) {
            link.pause(true);
            together.wait(flow.outlet.room(flow.allows())).await;
            link.pause(false);
        }
    }
    Ok(())
}

/// Waits for memory, unless the link is given up meanwhile.
async fn drawn_while_open(link: &Link, flow: &Flow, size: usize) -> Result<Charge, Broken> {
    tokio::select! {
        charge = flow.draw(size) => Ok(charge),
        () = link.ended() => Err(Broken::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::super::outgoing::Patience;
    use super::super::owed::LATE;
    use super::super::testing::{Asked, FakeCluster, Reply};
    use super::super::{Answer, Expect, OnAnswer, Outgoing, Refused};
    use super::*;
    use crate::error::{Blame, Fault};
    use crate::telemetry::Telemetry;
    use crate::types::{BrokerId, Slot};
    use crate::wire::codec::encode_response;
    use bytes::BytesMut;
    use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::oneshot;

    /// Tells its versions, and then answers the first request that comes.
    async fn broker(listener: TcpListener) {
        let socket = Transport::plain(listener.accept().await.unwrap().0);
        let mut reader = Reader::new(Pool::new(0), 1 << 20);
        reader.next(&socket).await.unwrap();
        let versions =
            encode_response(ApiKey::ApiVersions, 3, -1, &ApiVersionsResponse::default(), &[]).unwrap().concat();
        socket.write_all(&versions).await.unwrap();
        reader.next(&socket).await.unwrap();
        let beat = encode_response(ApiKey::Heartbeat, 0, 0, &HeartbeatResponse::default(), &[]).unwrap().concat();
        socket.write_all(&beat).await.unwrap();
        reader.next(&socket).await.unwrap();
        reader.next(&socket).await.unwrap();
    }

    fn beat(on_answer: impl FnOnce(Result<Answer, Fault>) + Send + 'static) -> Outgoing {
        Outgoing {
            api: ApiKey::Heartbeat,
            write: Box::new(|_, _| Ok((0, vec![BytesMut::zeroed(4).freeze()]))),
            expect: Expect::Answer(Box::new(on_answer)),
            patience: Patience { late: LATE, over: Duration::from_secs(60) },
        }
    }

    /// [L5]
    #[tokio::test]
    async fn l5_a_mistake_in_taking_one_answer_ends_the_link_for_all_who_wait() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
        let there = tokio::spawn(broker(listener));
        let link = Link::opening(Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) });
        let shared = Shared::new(0, 1 << 20);
        let meter = Telemetry::new().unwrap().cluster(&"a".into());
        assert!(link.send(beat(|_| panic!("a mistake of ours"))).is_ok());
        let (tell, told) = oneshot::channel();
        let tells = beat(move |answer| {
            let _ = tell.send(answer.is_err());
        });
        assert!(link.send(tells).is_ok());
        let serving = tokio::spawn(serve(Arc::clone(&link), address, shared, meter, None));
        assert!(timeout(Duration::from_secs(5), told).await.unwrap().unwrap());
        assert!(serving.await.unwrap_err().is_panic() && link.is_dead());
        there.abort();
    }

    fn alice() -> Guise {
        Guise::Identity { name: "alice".into(), who: "PLAIN as alice".into() }
    }

    #[tokio::test]
    async fn who_gets_no_further_than_a_socket_keeps_nobody_else_waiting() {
        // Given a broker that takes connections and ends them
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
        let there = tokio::spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let world = World::new();
        let target = Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) };
        world.shared.doors.set(target.cluster, &alice(), super::super::door::Door::default());
        let meter = || world.telemetry.cluster(&"a".into());
        let link = Link::opening_as(alice(), target);
        serve(link, address.clone(), Arc::clone(&world.shared), meter(), None).await;
        // Then who came waits, and nobody else
        let now = Instant::now();
        let place = (target, address.clone());
        let waits = |guise: &Guise| world.shared.entries.wait(&(place.clone(), guise.clone()), now);
        assert!(waits(&alice()) > Duration::ZERO);
        assert_eq!(waits(Guise::OWN), Duration::ZERO);
        assert_eq!(world.shared.pace.wait(&place, now), Duration::ZERO);
        // And when nobody listens any more, everybody does
        there.abort();
        let _ = there.await;
        serve(Link::opening_as(alice(), target), address, Arc::clone(&world.shared), meter(), None).await;
        assert!(world.shared.pace.wait(&place, Instant::now()) > Duration::ZERO);
    }

    #[tokio::test]
    async fn who_has_left_gets_no_series_by_trying() {
        let world = World::new();
        let target = Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) };
        let (shared, meter) = (Arc::clone(&world.shared), world.telemetry.cluster(&"a".into()));
        serve(Link::opening_as(alice(), target), HostPort::new("127.0.0.1", 1), shared, meter, None).await;
        assert_eq!(world.counted("login").1, 1.0);
        assert!(!world.telemetry.render().unwrap().contains("alice"));
    }

    struct World {
        telemetry: Telemetry,
        shared: Arc<Shared>,
    }

    impl World {
        fn new() -> Self {
            Self { telemetry: Telemetry::new().unwrap(), shared: Shared::new(0, 1 << 20) }
        }

        /// A link of our own to there, and what serves it.
        fn link(&self, address: &HostPort) -> (Arc<Link>, tokio::task::JoinHandle<()>) {
            let link = Link::opening(Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) });
            let (shared, meter) = (Arc::clone(&self.shared), self.telemetry.cluster(&"a".into()));
            let served = tokio::spawn(serve(Arc::clone(&link), address.clone(), shared, meter, None));
            (link, served)
        }

        /// How many links there were that were opened, failed and closed for this reason.
        fn counted(&self, reason: &str) -> (f64, f64, f64) {
            let of = |family, labels: &[_]| self.telemetry.shown(family, labels).unwrap_or(0.0);
            let opened = of("fishplate_links_opened_total", &[]);
            let failed = of("fishplate_links_failed_total", &[("cluster", "a"), ("reason", reason)]);
            (opened, failed, of("fishplate_links_closed_total", &[("cluster", "a"), ("reason", reason)]))
        }

        fn gauges(&self) -> (f64, f64) {
            let of = |family| self.telemetry.shown(family, &[("cluster", "a")]).unwrap();
            (of("fishplate_links"), of("fishplate_link_requests_in_flight"))
        }
    }

    fn heartbeat(link: &Link) -> oneshot::Receiver<Result<Answer, Fault>> {
        let (tell, told) = oneshot::channel();
        send_heartbeat(link, Box::new(move |answer| drop(tell.send(answer))));
        told
    }

    fn heartbeat_read(link: &Link) -> oneshot::Receiver<Result<HeartbeatResponse, Malformed>> {
        let (tell, told) = oneshot::channel();
        send_heartbeat(link, Box::new(move |answer| drop(tell.send(answer.unwrap().decode()))));
        told
    }

    fn send_heartbeat(link: &Link, on_answer: OnAnswer) {
        let outgoing = Outgoing {
            api: ApiKey::Heartbeat,
            write: Box::new(|_, correlation| {
                let request = HeartbeatRequest::default();
                Ok((4, encode_request(ApiKey::Heartbeat, 4, correlation, None, &request, &[]).unwrap()))
            }),
            expect: Expect::Answer(on_answer),
            patience: Patience { late: LATE, over: Duration::from_secs(10) },
        };
        link.send(outgoing).unwrap_or_else(Refused::tell);
    }

    #[tokio::test]
    async fn a_link_is_counted_from_its_opening_to_its_end() {
        let world = World::new();
        let cluster = FakeCluster::start(1, &[], |_, asked| asked.answer(&HeartbeatResponse::default())).await;
        let (link, served) = world.link(&cluster.bootstrap()[0]);
        assert!(heartbeat(&link).await.unwrap().is_ok());
        assert_eq!((world.gauges(), world.counted("eof")), ((1.0, 0.0), (1.0, 0.0, 0.0)));
        assert_eq!(world.telemetry.shown("fishplate_upstream_duration_seconds_count", &[]), Some(1.0));
        drop(cluster);
        served.await.unwrap();
        assert_eq!((world.gauges(), world.counted("eof")), ((0.0, 0.0), (1.0, 0.0, 1.0)));
    }

    #[tokio::test]
    async fn what_a_dead_link_owes_is_in_flight_no_more_and_its_cluster_is_blamed() {
        let world = World::new();
        let cluster = FakeCluster::start(1, &[], |_, _| Reply::Silence).await;
        let (link, served) = world.link(&cluster.bootstrap()[0]);
        let answers = [heartbeat(&link), heartbeat(&link)];
        while world.gauges().1 < 2.0 {
            tokio::task::yield_now().await;
        }
        link.enforce_deadline(Instant::now() + Duration::from_secs(60));
        for answer in answers {
            let fault = answer.await.unwrap().unwrap_err();
            assert!(matches!(fault.blame, Blame::Cluster(_)) && fault.sent, "{fault}");
        }
        served.await.unwrap();
        assert_eq!((world.gauges(), world.counted("timeout")), ((0.0, 0.0), (1.0, 0.0, 1.0)));
    }

    #[tokio::test]
    async fn a_broker_is_not_given_up_while_its_answers_are_not_read() {
        let world = World::new();
        let cluster = FakeCluster::start(1, &[], |_, asked| asked.answer(&HeartbeatResponse::default())).await;
        // Given a client that takes nothing
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (near, client) = tokio::join!(there, listener.accept());
        let outlet = Outlet::new(Arc::new(Transport::plain(near.unwrap())));
        while outlet.backlog() == 0 {
            outlet.send(vec![Bytes::from(vec![0; 1 << 20])]);
        }
        let link = Link::opening(Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) });
        let (first, second) = (heartbeat(&link), heartbeat(&link));
        let (shared, meter) = (Arc::clone(&world.shared), world.telemetry.cluster(&"a".into()));
        let share = Share::of(&world.shared.memory.responses, 0);
        let flow = Some(Flow { outlet, limit: 0, share });
        let served = tokio::spawn(serve(Arc::clone(&link), cluster.bootstrap()[0].clone(), shared, meter, flow));
        assert!(first.await.unwrap().is_ok());
        while link.owed(Instant::now()).is_some() {
            tokio::task::yield_now().await;
        }
        // When the second answer has waited for the client for long
        link.enforce_deadline(Instant::now() + Duration::from_secs(3_600));
        // Then it comes when the client goes on
        drop(client);
        assert!(second.await.unwrap().is_ok());
        drop(cluster);
        served.await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_blamed_when_the_client_has_left() {
        let world = World::new();
        let cluster = FakeCluster::start(1, &[], |_, _| Reply::Silence).await;
        let (link, served) = world.link(&cluster.bootstrap()[0]);
        let answer = heartbeat(&link);
        while world.gauges().1 < 1.0 {
            tokio::task::yield_now().await;
        }
        // The broker sees that nothing more comes, and closes.
        link.finish();
        assert_eq!(answer.await.unwrap().unwrap_err().blame, Blame::Nobody);
        served.await.unwrap();
        assert_eq!((world.gauges(), world.counted("session")), ((0.0, 0.0), (1.0, 0.0, 1.0)));
        assert_eq!(heartbeat(&link).await.unwrap().unwrap_err().blame, Blame::Nobody);
    }

    /// An answer to Heartbeat whose only tagged field would take four gigabytes, and its link is asked no more.
    #[tokio::test]
    async fn a_broker_that_answers_nonsense_loses_its_link() {
        let world = World::new();
        let nonsense = |asked: &Asked| {
            let head = [&asked.head.correlation.to_be_bytes()[..], &[0]].concat();
            let frame = [&[0; 3][..], &[21], &head, &[0; 6], &[1, 9, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]].concat();
            Reply::Frame(vec![Bytes::from(frame)])
        };
        let asked = AtomicU32::new(0);
        let cluster = FakeCluster::start(1, &[], move |_, request| match asked.fetch_add(1, Ordering::Relaxed) {
            0 => nonsense(&request),
            _ => Reply::Silence,
        });
        let cluster = cluster.await;
        let (link, served) = world.link(&cluster.bootstrap()[0]);
        let (first, second) = (heartbeat_read(&link), heartbeat(&link));
        assert_eq!(first.await.unwrap(), Err(Malformed::Short));
        assert!(second.await.unwrap().unwrap_err().sent, "it may have been done");
        served.await.unwrap();
        assert_eq!((world.gauges(), world.counted("protocol")), ((0.0, 0.0), (1.0, 0.0, 1.0)));
    }

    #[tokio::test]
    async fn a_link_that_cannot_be_opened_says_why() {
        let world = World::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
        let strange = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            let _closed_at_once = listener.accept().await.unwrap();
        });
        for reason in ["protocol", "eof", "connect"] {
            world.link(&address).1.await.unwrap();
            assert_eq!(world.counted(reason), (0.0, 1.0, 0.0), "{reason}");
        }
        strange.await.unwrap();
    }
}
