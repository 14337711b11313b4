//! Sets the log up: structured lines on stderr, plain or JSON. Called once, by whoever owns the process.

use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;

/// The environment variable that overrides what is logged, in `tracing`'s words: `info`, `fishplate::upstream=debug,warn`.
pub const VARIABLE: &str = "FISHPLATE_LOG";

/// Where nobody says how much is logged.
pub const DEFAULT: &str = "info";

/// Where lines go that say who came, who was turned away, and what was changed by whom.
pub const AUDIT: &str = "fishplate::audit";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, place, message, fields.
    #[default]
    Plain,
    /// One JSON object a line, the fields at its top level.
    Json,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// What is to be logged does not parse.
    #[error(
        "`{filter}` (from {source_of}) is not a log filter: {why}; write for example `info` or `fishplate=debug,warn`"
    )]
    Filter {
        /// As it was given.
        filter: String,
        /// Where it was given.
        source_of: &'static str,
        /// The parser's words.
        why: ParseError,
    },
    /// Somebody set a log up before.
    #[error("the log is already set up in this process")]
    Twice,
}

/// From here on, events at or above `filter` (or [`VARIABLE`], where it is set) go to stderr.
///
/// # Errors
/// See [`LogError`].
pub fn init(format: Format, filter: &str) -> Result<Level, LogError> {
    // Colours only where a person reads, and never against NO_COLOR's wish (any value but an empty one, no-color.org).
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    init_to(io::stderr, format, colours, filter)
}

/// The same, to somewhere else.
///
/// # Errors
/// See [`LogError`].
pub fn init_to<W>(writer: W, format: Format, colours: bool, filter: &str) -> Result<Level, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let variable = std::env::var(VARIABLE).ok();
    let filter = quiet(choose(variable.as_deref(), filter)?);
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    let (set, swap): (_, Swap) = match format {
        Format::Plain => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            (lines.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            (lines.try_init(), Box::new(move |filter| handle.reload(filter).is_ok()))
        }
    };
    set.map_err(|_| LogError::Twice)?;
    Ok(Level { fixed: variable.is_some_and(|text| !text.trim().is_empty()), swap: Some(swap) })
}

type Swap = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

/// How much is logged, to be changed while the process runs.
pub struct Level {
    fixed: bool,
    swap: Option<Swap>,
}

impl Level {
    /// One that nothing changes any more: it was given on the command line.
    #[must_use]
    pub fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    /// From now on this; false where the variable or the command line has said something else, which stands.
    pub fn set(&self, filter: &str) -> bool {
        let Some(swap) = self.swap.as_ref().filter(|_| !self.fixed) else { return false };
        EnvFilter::try_new(filter).is_ok_and(|filter| swap(quiet(filter)))
    }
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Level").field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

/// Crates of which no more than warnings is logged: below INFO, AWS's tell what they sign and with what, credentials that last for
/// hours; and `notify` tells of each change in a folder, also of each line that is written to a log in it.
const KEPT_QUIET: [&str; 9] = [
    "aws",
    "aws_config",
    "aws_credential_types",
    "aws_runtime",
    "aws_sdk_sts",
    "aws_sigv4",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "notify",
];

/// Whatever is wanted of all, and of these as wholes; who names a part of one (`aws_sigv4::http_request=trace`) has wanted that very thing.
fn quiet(filter: EnvFilter) -> EnvFilter {
    if filter.max_level_hint().is_some_and(|most| most <= LevelFilter::INFO) {
        return filter;
    }
    let directives = KEPT_QUIET.iter().filter_map(|name| format!("{name}=warn").parse().ok());
    directives.fold(filter, EnvFilter::add_directive)
}

fn choose(variable: Option<&str>, given: &str) -> Result<EnvFilter, LogError> {
    let (filter, source_of) = match variable {
        Some(text) if !text.trim().is_empty() => (text, VARIABLE),
        _ => (given, "the command line"),
    };
    EnvFilter::try_new(filter).map_err(|why| LogError::Filter { filter: filter.to_owned(), source_of, why })
}

/// How many there are, and the first few in their order: a line has no room for thousands of names.
#[must_use]
pub fn few(names: &mut [String]) -> Option<(usize, String)> {
    const NAMED: usize = 5;
    names.sort_unstable();
    let first = names.get(..NAMED.min(names.len()))?.join(", ");
    (!names.is_empty()).then_some((names.len(), first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_unless_it_is_empty() {
        let chosen = |variable, given| choose(variable, given).map(|filter| filter.to_string()).unwrap();
        assert_eq!(chosen(None, "info"), "info");
        assert_eq!(chosen(Some(" "), "info"), "info");
        assert_eq!(chosen(Some("fishplate=trace"), "info"), "fishplate=trace");
    }

    #[test]
    fn what_would_tell_secrets_is_never_wanted() {
        let set = |text: &str| quiet(EnvFilter::new(text)).to_string();
        assert_eq!(set("info"), "info");
        assert_eq!(set("warn,fishplate::audit=off"), EnvFilter::new("warn,fishplate::audit=off").to_string());
        for text in ["trace", "fishplate=debug,warn", "aws_sigv4=trace"] {
            let set = set(text);
            assert!(set.contains("aws_sigv4=warn") && set.contains("aws=warn"), "{set}");
            assert!(!set.contains("aws_sigv4=trace"), "{set}");
        }
    }

    #[test]
    fn a_filter_that_does_not_parse_says_where_it_stands_and_what_to_write() {
        let text = choose(Some("fishplate=loud"), "info").unwrap_err().to_string();
        assert!(text.starts_with("`fishplate=loud` (from FISHPLATE_LOG) is not a log filter: "), "{text}");
        assert!(text.ends_with("write for example `info` or `fishplate=debug,warn`"), "{text}");
    }

    #[test]
    fn a_thousand_names_are_a_number_and_the_first_few() {
        let mut names: Vec<_> = (0..1_000).map(|number| format!("t{number:03}")).collect();
        names.reverse();
        assert_eq!(few(&mut names), Some((1_000, "t000, t001, t002, t003, t004".to_owned())));
        assert_eq!(few(&mut ["x".to_owned()]), Some((1, "x".to_owned())));
        assert_eq!(few(&mut []), None);
    }
}
