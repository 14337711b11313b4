//! Who may see secrets and change what runs. Where the config has tokens: who sends one of them, wherever from. Where it has none: who is
//! on this machine, as over `kubectl exec`, `kubectl port-forward` or ssh; but no browser on it, which may speak for anybody's page (a token
//! no page has). Everybody may ask for the rest, as probes and scrapes do.

use super::http::AdminState;
use crate::security::brake::{Brake, network};
use crate::security::operators::{Operator, Operators};
use crate::telemetry::{AUDIT, Seldom, Telemetry};
use arc_swap::ArcSwap;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The name in the certificate that it has shown, if it has.
    pub(super) certificate: Option<Arc<str>>,
}

/// Somebody who may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Where it comes from.
    pub peer: SocketAddr,
    /// Why it may.
    pub by: By,
    /// The name in the certificate that it has shown, if it has.
    pub certificate: Option<Arc<str>>,
}

/// Why somebody may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// It is on this machine, and nobody needs a token.
    ThisMachine,
    /// It has sent this operator's token.
    Token(Operator),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThisMachine => f.write_str("this machine"),
            Self::Token(operator) => operator.fmt(f),
        }
    }
}

/// Why somebody may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is on another machine, and nobody has a token.
    Elsewhere,
    /// It calls us by a name, or for a page.
    ByName,
    /// It has sent no token.
    NoToken,
    /// It has sent one that nobody has.
    WrongToken,
    /// Others of its address have just sent such: its own was not looked at.
    Crowded,
}

impl Refusal {
    /// For the metric.
    fn word(self) -> &'static str {
        match self {
            Self::Elsewhere => "elsewhere",
            Self::ByName => "name",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::Crowded => "crowded",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Elsewhere | Self::ByName => StatusCode::FORBIDDEN,
            Self::NoToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Crowded => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elsewhere => {
                "secrets are shown, and changes taken, on Fishplate's own machine only: call it there, for example with kubectl exec or over ssh, \
                 or give its config `admin.token_file`"
            }
            Self::ByName => {
                "secrets are shown, and changes taken, where Fishplate is called by localhost or by an address and not from a web page"
            }
            Self::NoToken => {
                "this needs a token: send `Authorization: Bearer TOKEN` (fishplate takes --admin-token-file, FISHPLATE_ADMIN_TOKEN_FILE or \
                 FISHPLATE_ADMIN_TOKEN)"
            }
            Self::WrongToken => "this token is not among those of `admin.token_file`: was it replaced?",
            Self::Crowded => "wrong tokens have come from your address just now: try again in a few seconds",
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        // RFC 6750, 3.
        let asks = match self {
            Self::NoToken => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"fishplate\"")),
            Self::WrongToken => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"fishplate\", error=\"invalid_token\"")),
            Self::Crowded => Some((header::RETRY_AFTER, "4")),
            Self::Elsewhere | Self::ByName => None,
        };
        headers.extend(asks.map(|(name, value)| (name, HeaderValue::from_static(value))));
        (self.status(), headers, format!("{self}\n")).into_response()
    }
}

/// What a request shows of who makes it; nothing of it is believed yet.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    peer: Option<Peer>,
    host: Option<HeaderValue>,
    has_origin: bool,
    /// What is in the one `Authorization`.
    authorization: Option<HeaderValue>,
    /// What is asked for.
    what: String,
}

impl Claim {
    fn of(parts: &Parts) -> Self {
        let mut all = parts.headers.get_all(header::AUTHORIZATION).iter();
        let authorization = match (all.next(), all.next()) {
            (Some(one), None) => {
                let mut one = one.clone();
                // In no Debug output.
                one.set_sensitive(true);
                Some(one)
            }
            // One of several is nobody's.
            _ => None,
        };
        Self {
            peer: parts.extensions.get::<Peer>().cloned(),
            host: parts.headers.get(header::HOST).cloned(),
            has_origin: parts.headers.contains_key(header::ORIGIN),
            authorization,
            what: format!("{} {}", parts.method, parts.uri.path()),
        }
    }

    /// Its token (RFC 6750, 2.1).
    fn token(&self) -> Option<&str> {
        let (scheme, token) = self.authorization.as_ref()?.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
    }

    /// Whether who makes it may.
    fn judge(&self, operators: Option<&Operators>) -> Result<By, Refusal> {
        if let Some(operators) = operators {
            let token = self.token().ok_or(Refusal::NoToken)?;
            return operators.of(token).cloned().map(By::Token).ok_or(Refusal::WrongToken);
        }
        if !self.peer.as_ref().is_some_and(|peer| peer.address.ip().to_canonical().is_loopback()) {
            return Err(Refusal::Elsewhere);
        }
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        if self.has_origin || !host.is_some_and(is_an_address) { Err(Refusal::ByName) } else { Ok(By::ThisMachine) }
    }
}

/// A name could be anybody's that was made to lead here.
fn is_an_address(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || bare.parse::<IpAddr>().is_ok()
}

/// So many answers to wrong tokens of one address wait at a time; who sends more of them meanwhile is refused unread.
const WAITING: usize = 4;

/// Who is let in, and what becomes of others. All requests to the admin address share it.
pub struct Door {
    /// `None`: who is on this machine is one.
    operators: Option<ArcSwap<Operators>>,
    brake: Brake,
    /// Refusals in the log.
    seldom: Seldom<(IpAddr, &'static str)>,
    telemetry: Arc<Telemetry>,
}

impl Door {
    /// For these operators; for who is on this machine where there are none.
    #[must_use]
    pub fn new(operators: Option<Operators>, telemetry: &Arc<Telemetry>) -> Arc<Self> {
        telemetry.admin().began(operators.as_ref().map(Operators::len));
        Arc::new(Self {
            operators: operators.map(ArcSwap::from_pointee),
            brake: Brake::new(WAITING),
            seldom: Seldom::new(Duration::from_secs(60)),
            telemetry: Arc::clone(telemetry),
        })
    }

    /// From now on these, where there are any.
    pub fn change(&self, operators: Operators) {
        if let Some(there) = &self.operators {
            there.store(Arc::new(operators));
        }
    }

    /// Lets somebody in, or says why not, later and later to who guesses.
    pub(super) async fn admit(&self, claim: Claim) -> Result<Admitted, Refusal> {
        // Each that comes has one.
        let Some(peer) = claim.peer.clone() else { return Err(Refusal::Elsewhere) };
        let ip = peer.address.ip();
        let sends_one = self.operators.is_some() && claim.token().is_some();
        if sends_one && self.brake.is_crowded(ip, Instant::now()) {
            return Err(self.refuse(&peer, &claim, Refusal::Crowded));
        }
        let judged = claim.judge(self.operators.as_ref().map(ArcSwap::load_full).as_deref());
        let refusal = match judged {
            Ok(by) => return Ok(Admitted { peer: peer.address, by, certificate: peer.certificate }),
            Err(refusal) => self.refuse(&peer, &claim, refusal),
        };
        if refusal == Refusal::WrongToken {
            sleep(self.brake.failed(ip, None, Instant::now())).await;
        }
        Err(refusal)
    }

    /// Counts and tells it.
    fn refuse(&self, peer: &Peer, claim: &Claim, refusal: Refusal) -> Refusal {
        self.telemetry.admin().refused(refusal.word());
        if let Some(held_back) = self.seldom.pass((network(peer.address.ip()), refusal.word())) {
            tracing::warn!(
                target: AUDIT, peer = %peer.address, certificate = peer.certificate.as_deref(), asks = claim.what,
                reason = refusal.word(), held_back, "an operator's request was refused"
            );
        }
        refusal
    }
}

impl Admitted {
    /// Says that it was shown what others are not.
    pub(super) fn was_shown(&self, of: &str) {
        tracing::info!(
            target: AUDIT, peer = %self.peer, operator = %self.by, certificate = self.certificate.as_deref(), of,
            "tokens are shown to an operator"
        );
    }

    /// Says that a rate was not taken: what is wrong with it is told to who asked, and may have a token in it.
    pub(super) fn was_refused(&self, pipeline: &str, limit: &str) {
        tracing::info!(
            target: AUDIT, peer = %self.peer, operator = %self.by, certificate = self.certificate.as_deref(), pipeline, limit,
            "a rate that an operator wanted cannot be set"
        );
    }
}

/// Somebody who may: before a body is read.
impl FromRequestParts<AdminState> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &AdminState) -> Result<Self, Refusal> {
        state.door.admit(Claim::of(parts)).await
    }
}

impl<S: Sync> FromRequestParts<S> for Claim {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use tokio::time::timeout;

    const TOKEN: &str = "planted-0123456789abcdef";

    fn claim(peer: &str, headers: &[(&str, &str)]) -> Claim {
        let mut request = Request::builder().method("POST").uri("/api/v1/limits?x=y");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer { address: peer.parse().unwrap(), certificate: None });
        Claim::of(&parts)
    }

    #[test]
    fn without_tokens_it_is_who_is_on_this_machine_and_no_page() {
        for (peer, headers, judged) in [
            ("127.0.0.1:1", &[("host", "127.0.0.1:9644")][..], Ok(By::ThisMachine)),
            ("[::1]:1", &[("host", "[::1]:9644")], Ok(By::ThisMachine)),
            ("[::ffff:127.0.0.1]:1", &[("host", "localhost")], Ok(By::ThisMachine)),
            ("127.0.0.1:1", &[("host", "127.0.0.1"), ("authorization", "Bearer whatever")], Ok(By::ThisMachine)),
            ("10.0.0.1:1", &[("host", "10.0.0.2:9644")], Err(Refusal::Elsewhere)),
            ("10.0.0.1:1", &[("host", "10.0.0.2"), ("authorization", "Bearer whatever")], Err(Refusal::Elsewhere)),
            ("127.0.0.1:1", &[("host", "fishplate.example")], Err(Refusal::ByName)),
            ("127.0.0.1:1", &[("host", "127.0.0.1"), ("origin", "null")], Err(Refusal::ByName)),
            ("127.0.0.1:1", &[], Err(Refusal::ByName)),
        ] {
            assert_eq!(claim(peer, headers).judge(None), judged, "{peer} {headers:?}");
        }
    }

    #[test]
    fn with_tokens_it_is_who_sends_one_and_nobody_else() {
        let operators = Operators::read(&format!("alice {TOKEN}")).unwrap();
        let bearer = format!("Bearer {TOKEN}");
        let alice = Ok(By::Token(Operator::Named("alice".into())));
        for (peer, headers, judged) in [
            ("10.0.0.1:1", &[("host", "fishplate.example"), ("authorization", &*bearer)][..], alice.clone()),
            ("127.0.0.1:1", &[("authorization", &*bearer.replace("Bearer", "bEARER "))], alice),
            ("127.0.0.1:1", &[("host", "127.0.0.1:9644")], Err(Refusal::NoToken)),
            ("127.0.0.1:1", &[("authorization", TOKEN)], Err(Refusal::NoToken)),
            ("127.0.0.1:1", &[("authorization", "Basic YTpi")], Err(Refusal::NoToken)),
            ("127.0.0.1:1", &[("authorization", &*bearer), ("authorization", &*bearer)], Err(Refusal::NoToken)),
            ("127.0.0.1:1", &[("authorization", "Bearer ")], Err(Refusal::WrongToken)),
            ("127.0.0.1:1", &[("authorization", &bearer[..bearer.len() - 1])], Err(Refusal::WrongToken)),
        ] {
            assert_eq!(claim(peer, headers).judge(Some(&operators)), judged, "{peer} {headers:?}");
        }
    }

    #[test]
    fn names_are_nobodys_word() {
        for host in ["localhost", "localhost:9644", "127.0.0.1:9644", "[::1]:9644", "10.0.0.1"] {
            assert!(is_an_address(host), "{host}");
        }
        for host in ["", "example.com", "127.0.0.1.example.com:9644", "localhost.example:1", "a b"] {
            assert!(!is_an_address(host), "{host}");
        }
    }

    #[tokio::test]
    async fn who_guesses_waits_and_who_sends_the_right_one_does_not() {
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let door = Door::new(Some(Operators::read(TOKEN).unwrap()), &telemetry);
        let from =
            |address: &str, token: &str| door.admit(claim(address, &[("authorization", &format!("Bearer {token}"))]));
        let began = Instant::now();
        for _ in 0..3 {
            assert_eq!(from("10.0.0.1:1", "wrong").await, Err(Refusal::WrongToken));
        }
        assert!(began.elapsed() >= Duration::from_millis(100 + 200 + 400));
        assert!(from("10.0.0.1:1", TOKEN).await.is_ok(), "an address may be that of a whole office");
        // The place of the last one is free a moment after its answer
        sleep(Duration::from_millis(20)).await;
        // Many guesses at a time, by who does not wait for answers: beyond a few none is looked at, and others are none the worse
        let guess = || timeout(Duration::from_millis(1), from("10.0.0.1:1", "wrong"));
        let _untold = tokio::join!(guess(), guess(), guess(), guess());
        assert_eq!(from("10.0.0.1:1", TOKEN).await.unwrap_err(), Refusal::Crowded);
        assert!(from("10.0.0.2:1", TOKEN).await.is_ok());
        let refused = |reason| telemetry.shown("fishplate_admin_refused_total", &[("reason", reason)]);
        assert_eq!((refused("wrong_token"), refused("crowded")), (Some(7.0), Some(1.0)));
        door.change(Operators::read("planted-another-token").unwrap());
        assert_eq!(from("10.0.0.3:1", TOKEN).await, Err(Refusal::WrongToken));
        assert_eq!(from("10.0.0.3:1", "planted-another-token").await.unwrap().by.to_string(), "line 1");
    }
}
