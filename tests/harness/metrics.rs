//! What `/metrics` shows, as any Prometheus would read it.

use std::io::{Read, Write};
use std::net::TcpStream;

/// A page of an admin address, its head before it.
pub fn page(admin: &str, path: &str) -> std::io::Result<String> {
    let mut page = String::new();
    let mut socket = TcpStream::connect(admin)?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
    socket.read_to_string(&mut page)?;
    Ok(page)
}

/// One scrape.
pub struct Metrics(String);

impl Metrics {
    /// Asks the admin address of a Fishplate.
    #[track_caller]
    pub fn of(admin: &str) -> Self {
        let page = page(admin, "/metrics").unwrap_or_else(|error| panic!("no metrics at {admin}: {error}"));
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        Self(page)
    }

    /// The sum of a family's samples that have these labels; `None` where there is no such sample.
    pub fn sum(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let of_family = |line: &&str| line.strip_prefix(family).is_some_and(|rest| rest.starts_with([' ', '{']));
        let has_all = |line: &&str| labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")));
        let samples = self.0.lines().filter(of_family).filter(has_all);
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The samples of a family, for a message.
    pub fn family(&self, family: &str) -> String {
        self.0.lines().filter(|line| line.starts_with(family)).collect::<Vec<_>>().join("\n")
    }
}
