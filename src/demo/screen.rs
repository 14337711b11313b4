//! Shows how the demo goes: one screen redrawn in place on a terminal, a plain line a second elsewhere.
//! Deciding what stands there is pure; only [`Screen`] writes.

use super::clusters::BROKERS;
use super::sample::{Flow, GROUP, GROUP_HOME, LANE, LANE_HOME, NOISY};
use super::spread::Spread;
use super::tally::Counts;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// All that is shown.
pub(super) struct View {
    pub(super) running_for: Duration,
    pub(super) flows: [FlowView; 2],
    pub(super) bootstrap: String,
    pub(super) assigned: usize,
    pub(super) commits: u64,
    pub(super) failed_commits: u64,
    /// The noisy token, once it came.
    pub(super) flood: Option<FloodView>,
    /// `None` when the admin address did not answer.
    pub(super) proxy: Option<ProxyView>,
    /// The latest lines of the log.
    pub(super) log: Vec<String>,
}

/// One flow since the view before.
pub(super) struct FlowView {
    pub(super) counts: Counts,
    pub(super) under_way: u64,
    pub(super) sent_a_second: u64,
    pub(super) read_a_second: u64,
    pub(super) took: Spread,
}

/// The noisy token since it came.
pub(super) struct FloodView {
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// To its lane; `None` when the admin address did not answer.
    pub(super) moved: Option<u64>,
    /// Of the other tokens: before it came, and since.
    pub(super) around: [Spread; 2],
}

/// What Fishplate's own metrics say.
pub(super) struct ProxyView {
    pub(super) sessions: u64,
    /// To each flow's cluster.
    pub(super) links: [u64; 2],
    pub(super) requests: u64,
    pub(super) errors: u64,
}

/// Where it is shown.
pub(super) struct Screen {
    /// How many lines of the last drawing stand on the terminal; `None` when this is no terminal.
    drawn: Option<usize>,
}

impl Screen {
    /// Redraws only where that works and nobody asked for plain text.
    pub(super) fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let redraws = io::stdout().is_terminal() && !dumb && !set("NO_COLOR");
        Self { drawn: redraws.then_some(0) }
    }

    /// Whether one screen is redrawn, so that nobody else may write to the terminal.
    pub(super) fn redraws(&self) -> bool {
        self.drawn.is_some()
    }

    /// How often to show a view.
    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(if self.redraws() { 500 } else { 1000 })
    }

    /// Writes text that stays.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        self.drawn = self.drawn.map(|_| 0);
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Shows a view, in place of the one before on a terminal.
    pub(super) fn show(&mut self, view: &View) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match &mut self.drawn {
            None => writeln!(out, "{}", line(view))?,
            Some(drawn) => {
                let lines = screen(view);
                out.write_all(redraw(*drawn, &lines).as_bytes())?;
                *drawn = lines.len();
            }
        }
        out.flush()
    }
}

/// The bytes that put `lines` in the place of `before` lines above the cursor.
fn redraw(before: usize, lines: &[String]) -> String {
    let mut text = if before > 0 { format!("\x1b[{before}A\r") } else { String::new() };
    for line in lines {
        // Each line erases what stood to its right, so nothing flickers.
        text.push_str(line);
        text.push_str("\x1b[K\n");
    }
    text.push_str("\x1b[J");
    text
}

/// A screen of at most 24 lines of 80 columns.
fn screen(view: &View) -> Vec<String> {
    let mut lines = vec![
        format!("Fishplate demo, {} s: one bootstrap, two clusters.  Ctrl-C ends it.", view.running_for.as_secs()),
        "The clusters are librdkafka's mock clusters in this process, not Apache Kafka.".to_owned(),
        String::new(),
    ];
    lines.extend(picture(view));
    lines.push(String::new());
    lines.push(format!(
        "{:<9} {:<24} {:<10} {:>7} {:>7} {:>8} {:>8}",
        "pipeline", "topic", "cluster", "sent/s", "read/s", "p50 ms", "p99 ms"
    ));
    for (flow, shown) in Flow::ALL.into_iter().zip(&view.flows) {
        lines.push(format!(
            "{:<9} {:<24} {:<10} {:>7} {:>7} {:>8} {:>8}",
            flow.pipeline(),
            flow.topic(),
            flow.cluster(),
            shown.sent_a_second,
            shown.read_a_second,
            millis(&shown.took, 50),
            millis(&shown.took, 99)
        ));
    }
    if let Some(flood) = &view.flood {
        lines.extend(noisy(flood));
    }
    lines.push(String::new());
    lines.extend(totals(view));
    if !view.log.is_empty() {
        lines.push(String::new());
        lines.extend(view.log.iter().map(|line| format!("log      {line}")));
    }
    // A line that wraps would put the next drawing in the wrong place.
    lines.iter().map(|line| line.chars().take(79).collect()).collect()
}

fn picture(view: &View) -> [String; 2] {
    let from = format!("client -> {}", view.bootstrap);
    let links = |index: usize| match view.proxy.as_ref().and_then(|proxy| proxy.links.get(index)) {
        Some(links) => format!("{links} links"),
        None => "links ?".to_owned(),
    };
    let [first, second] = Flow::ALL.map(Flow::cluster);
    let space = " ".repeat(from.len());
    [
        format!("{from} -+-> cluster {first:<10} {BROKERS} brokers, {}", links(0)),
        format!("{space}  +-> cluster {second:<10} {BROKERS} brokers, {}", links(1)),
    ]
}

fn noisy(flood: &FloodView) -> [String; 2] {
    let [before, since] = &flood.around;
    let moved = flood.moved.map_or_else(|| "?".to_owned(), |moved| moved.to_string());
    [
        format!("noisy     {NOISY}: {} sent, {moved} moved to {LANE} on {}", flood.sent, LANE_HOME.cluster()),
        format!("          the others: p99 {} ms before, {} ms since it came", millis(before, 99), millis(since, 99)),
    ]
}

fn totals(view: &View) -> Vec<String> {
    let sum = |count: fn(&Counts) -> u64| view.flows.iter().map(|flow| count(&flow.counts)).sum::<u64>();
    let under_way: u64 = view.flows.iter().map(|flow| flow.under_way).sum();
    let partitions: i32 = Flow::ALL.map(Flow::partitions).iter().sum();
    let proxy = match &view.proxy {
        Some(proxy) => {
            format!("{} client connections, {} requests, {} errors", proxy.sessions, proxy.requests, proxy.errors)
        }
        None => "its admin address does not answer".to_owned(),
    };
    vec![
        format!(
            "records  {} sent, {} acknowledged, {} read, {under_way} under way",
            sum(|c| c.sent),
            sum(|c| c.acknowledged),
            sum(|c| c.read)
        ),
        format!(
            "         {} refused, {} doubled, {} reordered, {} altered",
            sum(|c| c.refused),
            sum(|c| c.doubled),
            sum(|c| c.reordered),
            sum(|c| c.altered)
        ),
        format!(
            "group    {GROUP} on {}: {} of {partitions} partitions, {} commits, {} failed",
            GROUP_HOME.cluster(),
            view.assigned,
            view.commits,
            view.failed_commits
        ),
        format!("proxy    {proxy}"),
    ]
}

/// One line for a log or a pipe.
fn line(view: &View) -> String {
    let mut text = format!("t={}s", view.running_for.as_secs());
    for (flow, shown) in Flow::ALL.into_iter().zip(&view.flows) {
        text.push_str(&format!(
            " | {} -> {}: sent={} acknowledged={} read={} ({}/s) p50={}ms p99={}ms",
            flow.pipeline(),
            flow.cluster(),
            shown.counts.sent,
            shown.counts.acknowledged,
            shown.counts.read,
            shown.read_a_second,
            millis(&shown.took, 50),
            millis(&shown.took, 99)
        ));
    }
    if let Some(FloodView { sent, acknowledged, moved, .. }) = &view.flood {
        let moved = moved.map_or_else(|| "?".to_owned(), |moved| moved.to_string());
        text.push_str(&format!(" | {NOISY}: sent={sent} acknowledged={acknowledged} moved={moved}"));
    }
    let wrong: u64 = view.flows.iter().map(|flow| flow.counts.wrong()).sum();
    text.push_str(&format!(" | wrong={wrong} commits={} failed={}", view.commits, view.failed_commits));
    if let Some(proxy) = &view.proxy {
        let links: u64 = proxy.links.iter().sum();
        text.push_str(&format!(" | sessions={} links={links} errors={}", proxy.sessions, proxy.errors));
    }
    text
}

/// Milliseconds with one decimal, or a dash when nothing was measured.
pub(super) fn millis(took: &Spread, percent: u64) -> String {
    took.percentile(percent).map_or_else(|| "-".to_owned(), |took| format!("{:.1}", took.as_secs_f64() * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        let flow = |sent| {
            let mut took = Spread::default();
            took.add(Duration::from_micros(6200));
            let counts = Counts { sent, acknowledged: sent, read: sent - 5, ..Counts::default() };
            FlowView { counts, under_way: 5, sent_a_second: 1000, read_a_second: 998, took }
        };
        View {
            running_for: Duration::from_secs(12),
            flows: [flow(123_456), flow(61_728)],
            bootstrap: "127.0.0.1:9092".to_owned(),
            assigned: 10,
            commits: 11,
            failed_commits: 0,
            flood: Some(FloodView {
                sent: 24_000,
                acknowledged: 23_990,
                moved: Some(21_490),
                around: [Spread::default(), Spread::default()],
            }),
            proxy: Some(ProxyView { sessions: 8, links: [5, 4], requests: 4711, errors: 0 }),
            log: vec!["a warning ".repeat(20), "another".to_owned()],
        }
    }

    #[test]
    fn one_screen_shows_all_of_it() {
        let lines = screen(&view());
        assert!(lines.len() <= 24 && lines.iter().all(|line| line.chars().count() < 80), "{lines:#?}");
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn one_line_says_the_same_elsewhere() {
        insta::assert_snapshot!(line(&view()));
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        let unknown = View { proxy: None, flood: None, log: vec![], ..view() };
        let text = screen(&unknown).join("\n");
        assert!(text.contains("its admin address does not answer") && text.contains("links ?"), "{text}");
        assert!(!line(&unknown).contains("links=") && !line(&unknown).contains("noisy"));
        assert_eq!(millis(&Spread::default(), 50), "-");
    }

    #[test]
    fn a_shorter_screen_leaves_nothing_of_the_one_before() {
        let lines = ["a".to_owned(), "b".to_owned()];
        assert_eq!(redraw(0, &lines), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(redraw(3, &lines), "\x1b[3A\ra\x1b[K\nb\x1b[K\n\x1b[J");
    }
}
