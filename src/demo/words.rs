//! What the demo says besides its screen: the config, what to try next; and what the log says, kept for the screen.

use super::sample::Flow;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// What is said first.
pub(super) fn introduction(config: &str, bootstrap: &str, admin: SocketAddr) -> String {
    let indented: String = config.lines().map(|line| format!("    {line}").trim_end().to_owned() + "\n").collect();
    let [events, logs] = Flow::ALL.map(Flow::topic);
    format!(
        "Two clusters in this process (librdkafka's mock clusters, not Apache Kafka), Fishplate before them,
sample events through it. Half way one noisy token floods the topic of events: what of it is above
the limit is moved to the lane, and the others' latency stays as it was. Its config:

{indented}
To try from another terminal while it runs; clients need nothing but the bootstrap address:

    bootstrap.servers={bootstrap}
    kcat -b {bootstrap} -L
    kcat -b {bootstrap} -C -t {events} -o -5 -e -f '%h\\n%s\\n\\n'
    kafka-console-consumer.sh --bootstrap-server {bootstrap} --topic {logs} --partition 0
    kafka-console-producer.sh --bootstrap-server {bootstrap} --topic {events}
    curl http://{admin}/metrics
    fishplate tokens --pipeline events --by diverted --admin {admin} --watch

(Groups of the Java client do not work on a mock cluster, with or without Fishplate: hence --partition.)

Waiting for the consumer group: a mock cluster holds a group's first rebalance for three seconds."
    )
}

/// The log's latest lines, for a screen that nothing else may write to.
#[derive(Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

const LINES: usize = 3;

impl LastLines {
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }
}

/// An event is written in one call, with its end of line.
impl io::Write for LastLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock();
        for line in String::from_utf8_lossy(bytes).lines() {
            if kept.len() == LINES {
                kept.pop_front();
            }
            kept.push_back(line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LastLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_introduction_says_what_it_is_and_what_to_try() {
        let admin = "127.0.0.1:9644".parse().unwrap();
        insta::assert_snapshot!(introduction("a: 1\n\nb: 2\n", "127.0.0.1:9092", admin));
    }

    #[test]
    fn the_latest_three_lines_are_kept() {
        let kept = LastLines::default();
        for text in ["one\n", "two\nthree\n", "fo\tur\x1b[2J\n"] {
            kept.make_writer().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(kept.lines(), ["two", "three", "fo ur [2J"]);
    }
}
