//! The command line: what may be typed, and the operation behind each command. Shows answers; decides nothing, and no
//! exit code either.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use fishplate::admin::live::live;
use fishplate::admin::operations::{self, Check};
use fishplate::admin::outlook::{self, AskedRecord};
use fishplate::app::Source;
use fishplate::config::{self, Config, Reading};
#[cfg(feature = "demo")]
use fishplate::demo::DemoOptions;
use fishplate::telemetry::{Telemetry, log};
use remote::{ReachArgs, Remote};
use serde::Serialize;

mod backlog;
mod lag;
mod limits;
mod provision;
mod remote;
mod tables;
mod text;
mod tokens;
mod users;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As asked.
    Fine,
    /// Something was found.
    Found,
    /// A cluster could not be reached.
    Unreachable,
    /// This program cannot do what was asked.
    #[cfg(not(feature = "demo"))]
    Unusable,
}

const AFTER_HELP: &str = "\
Examples:
  fishplate check -c config/minimal.yaml                    find every mistake of a config
  fishplate check -c config/minimal.yaml --live             ... and ask its clusters too
  fishplate explain -c config/full.yaml --topic events_eu   say where a topic lives, and why
  fishplate run -c config/minimal.yaml                      be the proxy
  kcat -b 127.0.0.1:9092 -L                                 ... and look at it as a client does

Exit codes:
  0  fine
  1  found something: mistakes, or a failure
  2  wrong usage
  3  cannot reach a cluster

Colours are for terminals and obey NO_COLOR.";

/// A Kafka-compatible proxy that shows several clusters as one.
#[derive(Debug, Parser)]
#[command(name = "fishplate", version, after_help = AFTER_HELP, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Be the proxy, until SIGTERM or Ctrl-C
    #[command(
        after_help = "config/full.yaml explains every key of the config; config/minimal.yaml is the least that works."
    )]
    Run(RunArgs),
    /// Find every mistake of a config, with its line and what to write instead
    #[command(after_help = "\
Exit code 0: the proxy would run with it (there may be warnings). 1: there are mistakes, or --live found something.
3: --live could not reach a cluster or a broker.")]
    Check(CheckArgs),
    /// Say where a topic, a group and a transactional id live, and why; what a client is shown; and what contract and limits
    /// would make of a record
    #[command(after_help = "\
Examples:
  fishplate explain -c config/full.yaml --topic events_eu
  fishplate explain -c config/full.yaml --client librdkafka/2.3.0
  fishplate explain -c config/full.yaml --topic events_eu --group clickhouse-ingestion-1
  fishplate explain -c config/full.yaml --topic orders_eu --transactional-id orders-1
  fishplate explain -c config/full.yaml --topic events_eu --header token=phc_abc --header timestamp=1760000000000
  fishplate explain -c config/full.yaml --principal User:capture --topic events_eu
  fishplate explain --admin 127.0.0.1:9644 --topic events_eu --header token=phc_abc
The file says what such a record would meet that is the first one; a running proxy (--admin), with its own config, what its
key has left now. Nothing is charged for the question.")]
    Explain(ExplainArgs),
    /// Say what a reload of this file would change on the running proxy, and what would be refused
    #[command(after_help = "\
Exit code 0: nothing would change. 1: something would, or would be refused. 3: the running proxy cannot be reached.
Topics with records keep their homes, so clusters are asked what they hold; this program asks them itself: run it where the
addresses of the file, and those that brokers advertise, lead to them.")]
    Diff(tables::DiffArgs),
    /// Show the running proxy's topics, and where each lives
    Topics(tables::TableArgs),
    /// Show consumer groups, and where each lives
    Groups(tables::TableArgs),
    /// Show who is connected to the running proxy
    Clients(tables::TableArgs),
    /// Show who speaks most in a pipeline that has limits or a contract: which tokens have the most records, bytes, records
    /// moved aside and records held
    #[command(after_help = "\
Examples:
  fishplate tokens --pipeline events
  fishplate tokens --pipeline events --by diverted --window 10m --watch
Tokens are masked: their first characters and a sum of all, the same everywhere. --reveal shows them to who has an admin token
(--admin-token-file); where the config has none, to who calls it on Fishplate's own machine. Each number is what a token said
since it was among those who say most: at least so much.")]
    Tokens(tokens::TokensArgs),
    /// Show how far consumer groups are behind, in records and in time, the worst first, and why
    #[command(after_help = "\
Examples:
  fishplate lag
  fishplate lag --group clickhouse-ingestion --watch
  fishplate lag --pipeline events --limit 10
WHY is the first of these that holds: `no members`, `throttled` (its clients were told to wait within a minute), `not fetched` (most of
it was never handed out), `surge` (producers write more than twice of what they did), `not committed` (it was handed out).
A time with < is at most so long: the record came past Fishplate; one with ~ is by the record's own time stamp.")]
    Lag(lag::LagArgs),
    /// Show whose records a group has not dealt with: a partition is read from where the group stands on, and counted by a key that the
    /// pipeline's limits count by
    #[command(after_help = "\
Example:
  fishplate backlog --group clickhouse-ingestion --topic events_eu --partition 3
At most 16 MiB are read, for at most five seconds; the answer says how far that went. Tokens are masked, as in `fishplate tokens`.")]
    Backlog(backlog::BacklogArgs),
    /// Show the running proxy's limits as they are in force; `limits set` puts another rate in force until the next reload
    #[command(after_help = "\
Examples:
  fishplate limits --pipeline events
  fishplate limits set --pipeline events --limit per-token --rate 500/s
What stands under UNTIL RELOAD was set so, and is in no file: the limit's rate, or keys (masked) with one of their own.")]
    Limits(limits::LimitsArgs),
    /// Add, remove and show the users that may log in at listeners with `sasl`
    Users(users::UsersArgs),
    /// Write Prometheus rules with tests of them, Grafana dashboards and runbooks for the pipelines of a config
    #[command(after_help = "\
Examples:
  fishplate provision -c config/full.yaml --out monitoring
  fishplate provision -c config/full.yaml --out monitoring --check        in CI: are they what the config makes?
  promtool test rules monitoring/tests/*.yml
Exit code 1 with --check: some differ. Files of pipelines that are gone are removed, and nothing that somebody else wrote.")]
    Provision(provision::ProvisionArgs),
    /// Show it at work: two clusters inside this process, Fishplate before them, events flowing through
    #[command(after_help = "\
Needs no cluster and no config; stays until Ctrl-C. It is in builds with the feature `demo`:
  cargo run --release --features demo -- demo")]
    Demo(DemoArgs),
    /// Print the JSON schema of the config, for an editor
    #[command(after_help = "\
An editor with the YAML language server reads it from this line at the top of a config:
  # yaml-language-server: $schema=schema.json")]
    Schema,
    /// Print the version
    Version,
    /// Print a script that completes commands in a shell
    #[command(after_help = "Example: fishplate completions bash > /etc/bash_completion.d/fishplate")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The config file
    #[arg(short, long, value_name = "FILE", env = "FISHPLATE_CONFIG", hide_env_values = true)]
    config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    file: FileArgs,
    /// How log lines look, on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Plain)]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or by room (fishplate::session=debug). FISHPLATE_LOG wins.
    /// Without either, the config's `log`, which a reload may change; without that, info
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Plain,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Ask the clusters too: reachable, versions, topics, groups and transactional ids that are not where the config says, and
    /// where the records of such topics are
    #[arg(long)]
    live: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The config file
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "FISHPLATE_CONFIG",
        hide_env_values = true,
        required_unless_present = "admin"
    )]
    config: Option<PathBuf>,
    /// Ask the running proxy at this admin address, and explain by its config
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
    /// The topic
    #[arg(long, value_name = "TOPIC", required_unless_present_any = ["group", "transactional_id", "client", "principal"])]
    topic: Option<String>,
    /// The consumer group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// The transactional id of a producer
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,
    /// The client: what it calls itself (KIP-511), as in `fishplate clients` and in the log
    #[arg(long, value_name = "NAME[/VERSION]")]
    client: Option<String>,
    /// The principal, as in User:alice: what it may do to the above, and by which rule; to the cluster where none is named
    #[arg(long, value_name = "PRINCIPAL", value_parser = principal)]
    principal: Option<String>,
    /// Where the principal comes from, for rules that name hosts
    #[arg(long, value_name = "ADDRESS", requires = "principal")]
    host: Option<IpAddr>,
    /// A header of a record to the topic; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "topic", value_parser = header)]
    headers: Vec<(String, String)>,
    /// The record's key
    #[arg(long, value_name = "KEY", requires = "topic")]
    key: Option<String>,
    /// The client id of who sends it
    #[arg(long, value_name = "ID", requires = "topic")]
    client_id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// End by itself after this time, with a verdict
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    time: Option<Duration>,
}

/// `name=value`; the value may have more of them.
fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `10s`, `2m` or plain seconds.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) =
        text.strip_suffix('m').map_or((text.strip_suffix('s').unwrap_or(text), 1), |minutes| (minutes, 60));
    let number: u32 = number.parse().map_err(|_| "write for example 10s or 2m")?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}

/// What was typed. An error may also be help that was asked for.
pub(crate) fn parse() -> Result<Command, clap::Error> {
    Cli::try_parse().map(|cli| cli.command)
}

pub(crate) fn perform(command: Command) -> anyhow::Result<Verdict> {
    match command {
        Command::Run(args) => run(&args),
        Command::Check(args) => check(&args),
        Command::Explain(args) => explain(&args),
        Command::Diff(args) => tables::diff(&args),
        Command::Topics(args) => tables::topics(&args),
        Command::Groups(args) => tables::groups(&args),
        Command::Clients(args) => tables::clients(&args),
        Command::Tokens(args) => tokens::tokens(&args),
        Command::Lag(args) => lag::lag(&args),
        Command::Backlog(args) => backlog::backlog(&args),
        Command::Limits(args) => limits::limits(&args),
        Command::Users(args) => users::users(&args),
        Command::Provision(args) => provision::provision(&args),
        Command::Demo(args) => demo(&args),
        Command::Schema => say(&config::schema()?),
        Command::Version => say(&format!("fishplate {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => completions(shell),
    }
}

fn run(args: &RunArgs) -> anyhow::Result<Verdict> {
    let (config, hash) = read(&args.file);
    let Some(config) = config else { return Ok(Verdict::Found) };
    let format = match args.log_format {
        LogFormat::Plain => log::Format::Plain,
        LogFormat::Json => log::Format::Json,
    };
    let level = log::init(format, args.log.as_deref().or(config.log.as_deref()).unwrap_or(log::DEFAULT))?;
    let level = if args.log.is_some() { level.fixed() } else { level };
    let source = Source { file: args.file.config.clone(), hash, level };
    crate::runtime()?.block_on(fishplate::app::run(config, Some(source)))?;
    Ok(Verdict::Fine)
}

fn check(args: &CheckArgs) -> anyhow::Result<Verdict> {
    let (mut check, config) = operations::check(&args.file.config);
    if let (Some(config), true) = (config, args.live) {
        if io::stderr().is_terminal() {
            complain("asking the clusters ...\n");
        }
        let uncounted = Telemetry::new()?;
        check.live = Some(crate::runtime()?.block_on(live(&config, &uncounted)));
    }
    if args.json {
        say_json(&check)?;
    } else {
        say(&text::check(&check, colours(&io::stdout())))?;
    }
    Ok(verdict(&check))
}

fn verdict(check: &Check) -> Verdict {
    match &check.live {
        _ if !check.fine => Verdict::Found,
        Some(live) if !live.all_reached() => Verdict::Unreachable,
        Some(live) if !live.found.is_empty() => Verdict::Found,
        _ => Verdict::Fine,
    }
}

fn explain(args: &ExplainArgs) -> anyhow::Result<Verdict> {
    let config = match (&args.admin, &args.config) {
        (Some(admin), _) => match Remote::at(admin, &args.reach).get("/api/v1/config") {
            Ok(running) => Config::from_text("the running proxy's config", &running.to_string())?,
            Err(error) => return tables::unreachable(&error),
        },
        (None, Some(file)) => match load(&FileArgs { config: file.clone() }) {
            Some(config) => config,
            None => return Ok(Verdict::Found),
        },
        // It is required.
        (None, None) => return Ok(Verdict::Found),
    };
    let asked = operations::Asked {
        topic: args.topic.as_deref(),
        group: args.group.as_deref(),
        transactional_id: args.transactional_id.as_deref(),
        client: args.client.as_deref(),
        principal: args.principal.as_deref(),
        host: args.host,
    };
    let mut explanation = operations::explain(&config, asked);
    explanation.record = match (record(args), &args.admin) {
        (None, _) => None,
        (Some(record), None) => Some(outlook::by_config(&config, &record)),
        (Some(record), Some(admin)) => match Remote::at(admin, &args.reach).post("/api/v1/explain", &record) {
            Ok(answer) => Some(serde_json::from_value(answer)?),
            Err(error) => return tables::unreachable(&error),
        },
    };
    if args.json { say_json(&explanation) } else { say(&text::explanation(&explanation)) }
}

/// `User:alice`.
fn principal(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("write for example User:{}", text.trim_matches(':'))),
    }
}

/// The record that is asked about, if one is.
fn record(args: &ExplainArgs) -> Option<AskedRecord> {
    let ExplainArgs { headers, key, client_id, .. } = args;
    let topic = args.topic.clone().filter(|_| !headers.is_empty() || key.is_some() || client_id.is_some())?;
    Some(AskedRecord { topic, headers: headers.clone(), key: key.clone(), client_id: client_id.clone() })
}

#[cfg(feature = "demo")]
fn demo(args: &DemoArgs) -> anyhow::Result<Verdict> {
    let options = DemoOptions { duration: args.time, ..DemoOptions::default() };
    let verdict = crate::runtime()?.block_on(fishplate::demo::run(options))?;
    Ok(if verdict.passed() { Verdict::Fine } else { Verdict::Found })
}

/// Nothing of the demo is in this build; what was asked is repeated with what makes one that has it.
#[cfg(not(feature = "demo"))]
fn demo(args: &DemoArgs) -> anyhow::Result<Verdict> {
    let time = args.time.map(|time| format!(" --for {}s", time.as_secs())).unwrap_or_default();
    complain(&format!(
        "fishplate: this build has no demo in it; build one that has:\n  cargo run --release --features demo -- demo{time}\n"
    ));
    Ok(Verdict::Unusable)
}

fn completions(shell: Shell) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fishplate", &mut script);
    say(&String::from_utf8(script)?)
}

/// The config; what is wrong with it goes to standard error.
fn load(args: &FileArgs) -> Option<Config> {
    read(args).0
}

/// The same, with the sum over its text.
fn read(args: &FileArgs) -> (Option<Config>, u32) {
    let Reading { config, found, hash, .. } = Reading::of_file(&args.config);
    if !found.is_empty() {
        complain(&found.render(colours(&io::stderr())));
    }
    (config, hash)
}

/// Colours help a person; a file, a pipe and NO_COLOR want none.
fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn say(text: &str) -> anyhow::Result<Verdict> {
    match io::stdout().write_all(text.as_bytes()) {
        // Who reads no further (`| head`) has what was wanted.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Verdict::Fine),
        other => Ok(other.map(|()| Verdict::Fine)?),
    }
}

fn say_json(answer: &impl Serialize) -> anyhow::Result<Verdict> {
    say(&(serde_json::to_string_pretty(answer)? + "\n"))
}

/// To standard error; where that is closed nobody can be told.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(name: Option<&str>) -> String {
        let mut cli = Cli::command();
        cli.build();
        let command = match name {
            Some(name) => cli.find_subcommand_mut(name).expect("a command"),
            None => &mut cli,
        };
        command.render_long_help().to_string()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_teaches() {
        insta::assert_snapshot!("help", help(None));
        for name in [
            "run",
            "check",
            "explain",
            "diff",
            "topics",
            "groups",
            "clients",
            "tokens",
            "lag",
            "backlog",
            "limits",
            "users",
            "provision",
            "demo",
            "schema",
            "completions",
        ] {
            insta::assert_snapshot!(format!("help_{name}"), help(Some(name)));
        }
    }

    #[test]
    fn a_time_has_a_unit() {
        for (text, time) in
            [("10s", Some(10)), ("2m", Some(120)), ("7", Some(7)), ("10h", None), ("", None), ("-1s", None)]
        {
            assert_eq!(seconds(text).ok(), time.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn wrong_usage_is_told_from_help() {
        let error = |line: &str| Cli::try_parse_from(line.split(' ')).expect_err(line).use_stderr();
        for line in ["fishplate", "fishplate runn", "fishplate check --jsn", "fishplate explain -c x"] {
            assert!(error(line), "{line}");
        }
        for line in ["fishplate --help", "fishplate help check", "fishplate -V"] {
            assert!(!error(line), "{line}");
        }
    }
}
