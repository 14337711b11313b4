//! Looks at the running demo again and again, and shows what it sees.

use super::client::{Shared, Source};
use super::sample::Flow;
use super::scrape::Metrics;
use super::screen::{FloodView, FlowView, ProxyView, Screen, View};
use super::tally::{Counts, Look};
use super::words::LastLines;
use super::{DemoError, Front, Interrupt};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::{sleep, sleep_until};

/// One run, from its first record on.
pub(super) struct Watch<'a> {
    shared: &'a Shared,
    front: &'a Front,
    log: &'a LastLines,
    start: Instant,
    before: Instant,
    seen: [Counts; 2],
}

impl<'a> Watch<'a> {
    pub(super) fn new(shared: &'a Shared, front: &'a Front, log: &'a LastLines) -> Self {
        Self { shared, front, log, start: Instant::now(), before: Instant::now(), seen: Default::default() }
    }

    pub(super) async fn until_over(
        &mut self,
        duration: Option<Duration>,
        source: &Source,
        screen: &mut Screen,
        mut interrupt: Interrupt<'_>,
    ) -> Result<(), DemoError> {
        let start = self.start;
        let time_is_up = async move {
            match duration {
                Some(duration) => sleep_until((start + duration).into()).await,
                None => std::future::pending().await,
            }
        };
        let mut time_is_up = pin!(time_is_up);
        while !source.gave_up() {
            tokio::select! {
                () = sleep(screen.interval()) => screen.show(&self.view().await)?,
                () = time_is_up.as_mut() => break,
                () = interrupt.as_mut() => break,
            }
        }
        Ok(())
    }

    /// What happened since the view before.
    pub(super) async fn view(&mut self) -> View {
        let metrics = Metrics::read(self.front.admin).await;
        let passed = self.before.elapsed().as_millis().max(1);
        self.before = Instant::now();
        let rate = |now: u64, before: u64| {
            u64::try_from(u128::from(now.saturating_sub(before)) * 1000 / passed).unwrap_or(u64::MAX)
        };
        let flows = Flow::ALL.map(|flow| self.shared.tally.look(flow));
        let counts = flows.each_ref().map(|look| look.counts);
        let [events_before, logs_before] = std::mem::replace(&mut self.seen, counts);
        let shown = |look: Look, before: Counts| FlowView {
            sent_a_second: rate(look.counts.sent, before.sent),
            read_a_second: rate(look.counts.read, before.read),
            counts: look.counts,
            under_way: look.under_way,
            took: look.lately,
        };
        let [events, logs] = flows;
        let progress = &self.shared.progress;
        View {
            running_for: self.start.elapsed(),
            flows: [shown(events, events_before), shown(logs, logs_before)],
            bootstrap: self.front.bootstrap.clone(),
            assigned: progress.assigned.load(Ordering::Relaxed),
            commits: progress.commits.load(Ordering::Relaxed),
            failed_commits: progress.failed_commits.load(Ordering::Relaxed),
            flood: flood(self.shared, metrics.as_ref()),
            proxy: metrics.map(|metrics| proxy(&metrics)),
            log: self.log.lines(),
        }
    }
}

/// What the noisy token came to so far, once it came.
fn flood(shared: &Shared, metrics: Option<&Metrics>) -> Option<FloodView> {
    let sent = shared.flooded.sent.load(Ordering::Relaxed);
    (sent > 0).then(|| FloodView {
        sent,
        acknowledged: shared.flooded.acknowledged.load(Ordering::Relaxed),
        moved: metrics.map(|metrics| metrics.sum("fishplate_lane_records_total", r#"lane="overflow""#)),
        around: shared.tally.around_the_flood(Flow::Events),
    })
}

fn proxy(metrics: &Metrics) -> ProxyView {
    let links = |flow: Flow| metrics.sum("fishplate_links", &format!("cluster=\"{}\",use=\"session\"", flow.cluster()));
    ProxyView {
        sessions: metrics.sum("fishplate_sessions", ""),
        links: Flow::ALL.map(links),
        requests: metrics.sum("fishplate_requests_total", ""),
        errors: metrics.sum("fishplate_errors_total", ""),
    }
}
