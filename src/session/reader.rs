//! Reads a session's requests and hands each to its API, one after the other; ends the session when the client does.

use super::clients::Software;
use super::context::Context;
use super::login::{self, Login, Then};
use super::state::Session;
use super::ticket::Ticket;
use super::{fetch, generic, produce, shares, subscriptions};
use crate::api::groups::heartbeats::{ConsumerGroupHeartbeat, ShareGroupHeartbeat};
use crate::api::overview::{metadata, versions as api_versions};
use crate::api::{Api, Refusals, each};
use crate::error::Blame;
use crate::telemetry::AUDIT;
use crate::types::Principal;
use crate::wire::client_id::without_options;
use crate::wire::codec::frame_response;
use crate::wire::frame::{FrameError, Reader};
use crate::wire::head::RequestHead;
use crate::wire::malformed::Malformed;
use crate::wire::outlet::Together;
use crate::wire::pool::{Pool, Tab};
use crate::wire::transport::Transport;
use crate::wire::versions;
use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, MetadataRequest};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until};

/// From this version on a client says what it is (KIP-511).
const SAYS_SOFTWARE: i16 = 3;

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("a request that cannot be read: {0}")]
    Malformed(#[from] Malformed),
    #[error("{}", not_served(*api, *version))]
    NotServed { api: i16, version: i16 },
    /// Before it has logged in, or in the midst of it.
    #[error("{} where the client must log in; is its security.protocol SASL_PLAINTEXT or SASL_SSL?", named(*api))]
    Outside { api: i16 },
    #[error("the system gives no random bytes, and so nobody can log in")]
    Randomness,
    /// What is no records takes many times its size once it is decoded.
    #[error(
        "a request ({api:?}) of {size} bytes; only Produce may be larger than an eighth of `memory.requests`, which is \
         {share} bytes: raise that"
    )]
    Large { api: ApiKey, size: usize, share: usize },
}

fn named(api: i16) -> String {
    ApiKey::try_from(api).map_or_else(|()| format!("API {api}"), |name| format!("{name:?} (API {api})"))
}

/// What is not served, and what is.
fn not_served(api: i16, version: i16) -> String {
    let instead = versions::served(api).map(|served| format!(": versions {} to {} are", served.lowest(), served.max));
    let (name, instead) = (named(api), instead.unwrap_or_default());
    format!("{name} in version {version} is not served{instead}")
}

impl Broken {
    /// A word for the metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Frame(FrameError::Io(_) | FrameError::Cut) => "io",
            Self::Frame(FrameError::TooLarge { .. }) | Self::Malformed(_) | Self::Large { .. } => "protocol",
            Self::NotServed { .. } => "refused",
            Self::Outside { .. } | Self::Randomness => "login",
        }
    }
}

/// Serves one client connection to its end. `shown` is who it is by its certificate, where that counts.
pub async fn serve(context: Arc<Context>, socket: Transport, peer: SocketAddr, shown: Option<Principal>) {
    let socket = Arc::new(socket);
    let session = Ending(Session::new(&context, Arc::clone(&socket), peer));
    tracing::debug!(session = %session.id, %peer, "client connected");
    if let Some(principal) = shown {
        tracing::info!(
            target: AUDIT, session = %session.id, %peer, listener = %session.front.bound, %principal,
            "a client has shown its certificate"
        );
        session.identify(principal);
    }
    match read_all(&session, &socket).await {
        Ok(()) => session.gauge.closing("client"),
        Err(broken) => {
            session.gauge.closing(broken.reason());
            log(&session, &broken);
        }
    }
    let (client, reason) = (session.client(), session.gauge.reason());
    tracing::debug!(session = %session.id, %peer, %client, reason, "client gone");
}

/// Takes the session apart however its reader ends, so that a mistake of ours in one request leaves no client waiting.
struct Ending(Arc<Session>);

impl std::ops::Deref for Ending {
    type Target = Arc<Session>;

    fn deref(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn read_all(session: &Arc<Session>, socket: &Transport) -> Result<(), Broken> {
    let context = &session.context;
    let reader = Reader::new(Arc::clone(&context.shared.pool), context.limits().frame);
    let mut reader = reader.telling(Arc::clone(&session.amid));
    let mut login = context.gate().map(|gate| Login::new(Arc::clone(gate)));
    let mut together = Together::default();
    reader.limit(largest(login.as_ref(), context));
    while let Some(size) = together.wait(reader.length(socket)).await? {
        let takes = Pool::takes(size, session.requests.capacity());
        let charge = match session.requests.try_draw(takes) {
            Some(charge) => charge,
            None => together.wait(session.requests.draw_alone(takes)).await,
        };
        let tab = Arc::new(Mutex::new(charge));
        let frame = together.wait(reader.body(socket, Arc::clone(&tab))).await?;
        // The socket still gives what had come before we closed it; serving that would overtake what was refused.
        if session.is_closed() {
            return Ok(());
        }
        match &mut login {
            Some(login) if login.takes(&frame, Instant::now()) => {
                if let Then::Ends = together.wait(login.take(session, &frame, &tab)).await? {
                    return Ok(());
                }
                reader.limit(largest(Some(login), context));
                // Also who is outside must take its answers.
                together.wait(room(session, socket)).await;
                continue;
            }
            Some(login) if login.is_over(Instant::now()) => {
                session.gauge.closing("expired");
                return Ok(());
            }
            _ => {}
        }
        together.gather(|| dispatch(session, frame, &tab))?;
        let pause = session.pause.lock().take();
        if let Some(until) = pause {
            together.wait(sleep_until(until.into())).await;
        }
        together.wait(room(session, socket)).await;
    }
    Ok(())
}

/// The largest frame that is read: small ones until the client has logged in.
fn largest(login: Option<&Login>, context: &Context) -> usize {
    let limit = context.limits().frame;
    if login.is_some_and(Login::is_outside) { limit.min(login::LARGEST_FRAME) } else { limit }
}

/// How often a client that is read no further is looked for.
const LOOK_FOR_CLIENT: Duration = Duration::from_millis(250);

/// Waits until the session may take more, or the client has hung up: nothing more comes then than what is in the socket
/// already, and what stands there behind a long poll must not wait for it (L5).
async fn room(session: &Session, socket: &Transport) {
    let mut room = pin!(session.room());
    if poll_fn(|cx| Poll::Ready(room.as_mut().poll(cx))).await.is_ready() {
        return;
    }
    while !socket.has_hung_up().await {
        tokio::select! {
            () = &mut room => return,
            () = sleep(LOOK_FOR_CLIENT) => {}
        }
    }
}

/// A client that hung up is no news; one that sends what cannot be read is, now and then.
fn log(session: &Session, broken: &Broken) {
    let Session { id, peer, .. } = session;
    let client = session.client();
    if matches!(broken, Broken::Frame(FrameError::Io(_) | FrameError::Cut)) {
        return tracing::debug!(session = %id, %peer, %client, reason = %broken, "a client connection failed");
    }
    if let Some(held_back) = session.context.seldom.pass(format!("{} {}", peer.ip(), broken.reason())) {
        tracing::warn!(
            session = %id, %peer, %client, reason = %broken, held_back,
            "closing a client connection: it sent what Fishplate does not take"
        );
    }
}

fn dispatch(session: &Arc<Session>, frame: Bytes, tab: &Tab) -> Result<(), Broken> {
    let mut head = RequestHead::read(&frame)?;
    head.client_id = head.client_id.map(without_options);
    session.hear_client_id(&head);
    if head.api_key == ApiKey::ApiVersions as i16 {
        return Ok(answer_versions(session, head, &frame)?);
    }
    let (key, version) = (head.api_key, head.version);
    let not_served = || Broken::NotServed { api: key, version };
    let api = versions::serves(key, version).ok_or_else(not_served)?;
    if api != ApiKey::Produce && session.requests.is_large(frame.len()) {
        return Err(Broken::Large { api, size: frame.len(), share: session.requests.capacity() });
    }
    let ticket = Ticket::new(session, api, head, &frame).charged(tab);
    match api {
        ApiKey::Produce => produce::submit(ticket, &frame),
        ApiKey::Fetch => fetch::submit(ticket, &frame),
        ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => {
            login::out_of_order(ticket);
            Ok(())
        }
        ApiKey::Metadata => answer_metadata(ticket, &frame),
        ApiKey::ConsumerGroupHeartbeat => subscriptions::submit::<ConsumerGroupHeartbeat>(ticket, &frame),
        ApiKey::ShareFetch => shares::fetch(ticket, &frame),
        ApiKey::ShareAcknowledge => shares::acknowledge(ticket, &frame),
        ApiKey::ShareGroupHeartbeat => subscriptions::submit::<ShareGroupHeartbeat>(ticket, &frame),
        _ => each::show(api, Submit { ticket, frame: &frame }).ok_or_else(not_served)?,
    }?;
    Ok(())
}

/// A request that goes the common way.
struct Submit<'f> {
    ticket: Ticket,
    frame: &'f Bytes,
}

impl each::Visitor for Submit<'_> {
    type Output = Result<(), Malformed>;

    fn visit<A: Api>(self) -> Self::Output {
        generic::submit::<A>(self.ticket, self.frame)
    }
}

pub(super) fn answer_versions(session: &Arc<Session>, head: RequestHead, frame: &Bytes) -> Result<(), Malformed> {
    let transactions = session.context.current.load().config.transaction_version;
    let (answer, version) = api_versions::answer(head.version, transactions);
    let says_software = version == head.version && version >= SAYS_SOFTWARE;
    let mut ticket = Ticket::new(session, ApiKey::ApiVersions, head, frame);
    if says_software {
        introduce(session, &ticket.read(frame)?);
    }
    ticket.answer_in(version, &answer, &[]);
    Ok(())
}

/// The first word stands: a client that changed its name would change its view.
fn introduce(session: &Session, request: &ApiVersionsRequest) {
    let software = Software::said(&request.client_software_name, &request.client_software_version);
    if session.software.get().is_none() {
        let _first_stands = session.software.set(software);
        session.view(&session.context.current.load().config);
    }
}

/// A client that cannot keep nodes of one address apart is refused here, before it can lose anything, where its listener
/// shows them to all.
fn answer_metadata(mut ticket: Ticket, frame: &Bytes) -> Result<(), Malformed> {
    let session = Arc::clone(ticket.session());
    let client = session.client();
    if !session.front.harms(&client.name, &client.version, &session.context.current.load().config) {
        return match written_metadata(&mut ticket, frame)? {
            Some(body) => {
                let (version, correlation) = (ticket.head().version, ticket.head().correlation);
                ticket.reply(Some(frame_response(ApiKey::Metadata, version, correlation, vec![body])));
                Ok(())
            }
            None => generic::submit::<metadata::Metadata>(ticket, frame),
        };
    }
    if let Some(held_back) = session.context.seldom.pass(format!("{} {client}", session.peer.ip())) {
        tracing::warn!(
            session = %session.id, peer = %session.peer, %client, held_back,
            "refusing a client that is not known to keep several nodes of one address apart and might lose data: its \
             listener says `nodes: brokers`. Let it come to one with `nodes: auto`, or put it into `clients:` if it can"
        );
    }
    ticket.blame(Blame::Client);
    session.close("refused");
    Ok(())
}

/// The answer, where nothing must be found out first.
fn written_metadata(ticket: &mut Ticket, frame: &Bytes) -> Result<Option<Bytes>, Malformed> {
    let request: MetadataRequest = ticket.read(frame)?;
    let session = Arc::clone(ticket.session());
    let placement = session.context.current.load();
    let written = session.see(ticket.head().version, &placement, Refusals::none(), |seen| {
        session.apply(metadata::leaderless(&request, seen));
        // What was written once is not for the eyes of everybody.
        if seen.guard.is_some() {
            return None;
        }
        Some((metadata::written(&request, seen)?, metadata::Metadata::pipeline(&request, seen)))
    });
    let Some(((body, codes), pipeline)) = written else { return Ok(None) };
    ticket.of_pipeline(pipeline);
    ticket.note(&codes);
    Ok(Some(body))
}

#[cfg(test)]
mod tests {
    use super::super::context::Limits;
    use super::*;
    use crate::config::{Config, Nodes};
    use crate::placement::build::tests::TWO;
    use crate::placement::{Front, task};
    use crate::policy::rulings::Rulings;
    use crate::telemetry::Telemetry;
    use crate::types::{BrokerId, HostPort, Slot, Target, View};
    use crate::upstream::connect::Shared;
    use crate::wire::codec::encode_request;
    use kafka_protocol::protocol::StrBytes;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    /// A session of a client, on clusters of which nothing was heard.
    async fn session(limits: Limits) -> (TcpStream, Arc<Session>, JoinHandle<()>) {
        let config = Arc::new(Config::from_text("two.yaml", TWO).unwrap());
        let shared = Shared::new(0, 1 << 20);
        let (current, telemetry) = (task::start(config, &[]), Arc::new(Telemetry::new().unwrap()));
        let nodes = Nodes::All(View::Brokers);
        let front = Front { nodes, ..Front::plain(HostPort::new("h", 1)) };
        let rulings = Rulings::new(&telemetry);
        let context = Context::new(current, Vec::new(), telemetry, rulings, front, shared, limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(there, listener.accept());
        let (socket, peer) = accepted.unwrap();
        let serving = tokio::spawn(serve(Arc::clone(&context), Transport::plain(socket), peer, None));
        while context.sessions.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        let session = context.sessions.iter().next().map(|entry| Arc::clone(entry.value())).unwrap();
        (client.unwrap(), session, serving)
    }

    fn hello() -> Vec<u8> {
        let hello = ApiVersionsRequest::default().with_client_software_name(StrBytes::from_static_str("kgo"));
        encode_request(ApiKey::ApiVersions, 3, 1, None, &hello, &[]).unwrap().concat()
    }

    #[tokio::test]
    async fn nothing_is_served_that_came_before_the_session_was_closed() {
        let (mut client, session, serving) = session(Limits::default()).await;
        let refused = encode_request(ApiKey::Metadata, 9, 1, None, &MetadataRequest::default(), &[]).unwrap();
        client.write_all(&[refused.concat(), hello()].concat()).await.unwrap();
        serving.await.unwrap();
        assert!(session.software.get().is_none(), "the second request was read");
    }

    #[tokio::test]
    async fn a_client_that_takes_no_answers_is_read_no_further() {
        let (client, session, serving) = session(Limits { responses: 10_000, ..Limits::default() }).await;
        let (_answers, mut requests) = client.into_split();
        let flood = tokio::spawn(async move {
            let many = hello().repeat(1_000);
            while requests.write_all(&many).await.is_ok() {}
        });
        sleep(Duration::from_millis(500)).await;
        assert!(session.backlog() < 20_000, "{}", session.backlog());
        session.close("test");
        timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
        flood.abort();
    }

    /// [L5]
    #[tokio::test]
    async fn l5_a_client_that_leaves_while_it_is_read_no_further_is_noticed() {
        let (mut client, session, serving) = session(Limits { in_flight: 1, ..Limits::default() }).await;
        // A promise that nobody keeps, as that of a long poll.
        session.promise(1);
        client.write_all(&hello().repeat(3)).await.unwrap();
        sleep(Duration::from_millis(50)).await;
        assert!(!serving.is_finished());
        drop(client);
        timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_session_that_is_over_opens_no_links() {
        let (client, session, serving) = session(Limits::default()).await;
        drop(client);
        serving.await.unwrap();
        assert!(session.context.sessions.is_empty());
        let to = Target { cluster: Slot::new(0).unwrap(), broker: BrokerId(1) };
        let fault = session.links.to(to, &session.context.current.load(), &session.context.telemetry).unwrap_err();
        assert_eq!((&*fault.reason, fault.blame), ("the client is gone", Blame::Nobody));
    }
}
