//! What a client says it is (KIP-511). What it is shown for that is `config::Clients`' to say.

use std::fmt;

/// A client's software, as it names itself in ApiVersions 3+.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Software {
    /// Its name; empty where it gave none.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl fmt::Display for Software {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.version.as_str()) {
            ("", _) => f.write_str("a client without a name"),
            (name, "") => f.write_str(name),
            (name, version) => write!(f, "{name} {version}"),
        }
    }
}

/// A client that has not said what it is.
pub static NAMELESS: Software = Software { name: String::new(), version: String::new() };

impl Software {
    /// As a client says it: of bounded length, and fit for a line of the log.
    #[must_use]
    pub fn said(name: &str, version: &str) -> Self {
        let plain = |c: char| if c.is_control() { '_' } else { c };
        let text = |text: &str| text.chars().take(100).map(plain).collect();
        Self { name: text(name), version: text(version) }
    }
}
