//! Cases in which an alert must fire or be silent: series over time, and who is told what at which minute.

use super::alerts::Label;

/// One case.
#[derive(Clone)]
pub(super) struct Case {
    /// What happens, in a sentence.
    pub(super) says: String,
    /// Series, as promtool writes them: name with labels, and values a minute apart.
    pub(super) series: Vec<(String, String)>,
    /// The minute at which it is looked.
    pub(super) minute: u64,
    pub(super) alert: &'static str,
    /// Which one of that name; `None`: whichever.
    pub(super) mark: Option<Label>,
    /// Whether it fires then.
    pub(super) fires: bool,
}

impl Case {
    /// The alert fires at that minute.
    pub(super) fn fires(
        alert: &'static str,
        says: impl Into<String>,
        minute: u64,
        series: Vec<(String, String)>,
    ) -> Self {
        Self { says: says.into(), series, minute, alert, mark: None, fires: true }
    }

    /// It is silent.
    pub(super) fn silent(
        alert: &'static str,
        says: impl Into<String>,
        minute: u64,
        series: Vec<(String, String)>,
    ) -> Self {
        Self { fires: false, ..Self::fires(alert, says, minute, series) }
    }

    /// Only of the one with this label.
    pub(super) fn of(self, label: &'static str, value: &str) -> Self {
        Self { mark: Some((label, value.to_owned())), ..self }
    }
}

/// A counter that grows by so much each minute, for so long.
pub(super) fn grows(by: impl std::fmt::Display, minutes: u64) -> String {
    format!("0+{by}x{minutes}")
}

/// A value that stays.
pub(super) fn stays(at: impl std::fmt::Display, minutes: u64) -> String {
    format!("{at}+0x{minutes}")
}
