//! What an alert, a rule and the rules of one subject are.

use super::cases::Case;
use std::fmt;

/// The rules of one file, and what they must do.
pub(super) struct Book {
    /// Of the file, without its ending.
    pub(super) name: String,
    /// What is computed ahead.
    pub(super) recorded: Vec<Recorded>,
    /// What somebody is told.
    pub(super) alerts: Vec<Alert>,
    /// When they must fire and when be silent.
    pub(super) cases: Vec<Case>,
}

/// A series that is computed ahead.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) expr: String,
}

/// A label and its value.
pub(super) type Label = (&'static str, String);

/// How much of a hurry there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Somebody must look now.
    Page,
    /// Somebody must look on a working day.
    Ticket,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        })
    }
}

/// What somebody is told, and when.
pub(super) struct Alert {
    /// One of the runbooks.
    pub(super) name: &'static str,
    pub(super) expr: String,
    /// How long it must hold.
    pub(super) pending: &'static str,
    pub(super) severity: Severity,
    /// A pipeline's name, or one of the words that metrics have for none and several.
    pub(super) pipeline: String,
    /// The label that tells it from others of its name in the same file: a window, a lane, a cluster.
    pub(super) mark: Option<Label>,
    pub(super) summary: String,
    pub(super) description: String,
    /// What it compares with, in words.
    pub(super) bound: String,
}
