//! `fishplate demo` as a user runs it: what it prints and how it ends.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails so")]
#![cfg(feature = "demo")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Demo {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fishplate"));
        let mut child = command.arg("demo").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The first line that begins with `start`.
    fn line(&mut self, start: &str) -> String {
        (&mut self.out).lines().map(Result::unwrap).find(|line| line.starts_with(start)).unwrap()
    }

    /// The rest of what it prints, and its exit code.
    fn end(&mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn for_a_time_it_ends_by_itself_with_a_verdict() {
    let mut demo = Demo::start(&["--for", "2s"]);
    let (text, code) = demo.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("librdkafka's mock clusters, not Apache Kafka"), "{text}");
    assert!(text.contains("\nPASSED: sent = acknowledged = read;"), "{text}");
    assert!(!text.contains('\x1b'), "plain lines where there is no terminal: {text}");
}

#[test]
fn otherwise_it_stays_until_ctrl_c() {
    let mut demo = Demo::start(&[]);
    assert!(demo.line("t=1s ").contains("events -> ingestion: sent="));
    let told = Command::new("kill").args(["-INT", &demo.child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let (text, code) = demo.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\nPASSED: "), "{text}");
}
