//! Reads Fishplate's own metrics, over HTTP as any Prometheus would: what the screen says of the proxy is what an
//! operator sees.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const WAIT: Duration = Duration::from_secs(1);

/// One scrape's text.
#[derive(Default)]
pub(super) struct Metrics(String);

impl Metrics {
    /// Asks `admin`; `None` when it does not answer in a second.
    pub(super) async fn read(admin: SocketAddr) -> Option<Self> {
        let asking = async {
            let mut stream = TcpStream::connect(admin).await.ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: fishplate\r\nconnection: close\r\n\r\n").await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            let (head, body) = answer.split_once("\r\n\r\n")?;
            head.starts_with("HTTP/1.1 200 ").then(|| Self(body.to_owned()))
        };
        timeout(WAIT, asking).await.ok()?
    }

    /// The sum of a family's samples whose labels contain `label` (any, if it is empty).
    pub(super) fn sum(&self, family: &str, label: &str) -> u64 {
        let samples = self.0.lines().filter_map(|line| line.strip_prefix(family)).filter_map(|rest| {
            let (labels, value) = rest.rsplit_once(' ')?;
            let of_family = labels.is_empty() || labels.starts_with('{');
            (of_family && labels.contains(label)).then(|| value.parse::<u64>().ok())?
        });
        samples.sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::http::{AdminState, serve};
    use crate::admin::{Door, Readiness};
    use crate::telemetry::{Telemetry, Use};
    use crate::types::Guise;
    use std::sync::Arc;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn sums_are_of_one_family_and_one_label() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let telemetry = Arc::new(Telemetry::new().unwrap());
        let (one, two) = (telemetry.cluster(&"one".into()), telemetry.cluster(&"two".into()));
        let _open = (
            one.link_opened(Use::Session, Guise::OWN),
            one.link_opened(Use::Own, Guise::OWN),
            two.link_opened(Use::Own, Guise::OWN),
            telemetry.session_opened(),
        );
        let door = Door::new(None, &telemetry);
        let state = AdminState { telemetry, readiness: Arc::new(Readiness::new([])), view: Arc::default(), door };
        tokio::spawn(serve(listener, None, state, std::future::pending()));
        let metrics = Metrics::read(address).await.unwrap();
        assert_eq!(metrics.sum("fishplate_links", ""), 3);
        assert_eq!(metrics.sum("fishplate_links", r#"cluster="one""#), 2);
        assert_eq!(metrics.sum("fishplate_sessions", ""), 1);
        assert_eq!(metrics.sum("fishplate_nothing", ""), 0);
    }

    #[tokio::test]
    async fn nobody_there_is_none() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert!(Metrics::read(nobody).await.is_none());
    }
}
