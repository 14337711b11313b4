//! `fishplate users`: writes the files that listeners know their users from. Passwords come from a terminal, standard input or the
//! environment, never from the command line, which everybody on the machine can read.

use super::{Verdict, say, say_json};
use anyhow::{Context, anyhow, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use fishplate::config::Secret;
use fishplate::security::scram::{Credential, FEWEST_ITERATIONS, Hash, MOST_ITERATIONS};
use fishplate::security::users::{self, Line, Users, file, is_name};
use ring::rand::{SecureRandom, SystemRandom};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where a password is looked for first.
const VARIABLE: &str = "FISHPLATE_PASSWORD";

#[derive(Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add a user, or give one another password
    #[command(after_help = "\
The password is that in FISHPLATE_PASSWORD, or the first line of standard input; at a terminal it is asked for.
What is written checks passwords, and is none: but who can read it can try guesses. The file is for its owner alone (mode 0600).
A running proxy takes the file within a second or two; who is connected stays connected.
Examples:
  fishplate users add --file /etc/fishplate/users alice
  pass show kafka/capture | fishplate users add --file /etc/fishplate/users capture --mechanism scram-sha-512")]
    Add(AddArgs),
    /// Remove a user; its connections stay until they must log in anew
    Remove {
        #[command(flatten)]
        file: UsersFile,
        /// The user
        name: String,
    },
    /// Show the users of a file
    List {
        #[command(flatten)]
        file: UsersFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct UsersFile {
    /// The file of users: `users_file` of a listener's `sasl`
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
struct AddArgs {
    #[command(flatten)]
    file: UsersFile,
    /// The user
    name: String,
    /// What it may log in with; may be given several times. PLAIN is content with any of them. Default: all
    #[arg(long = "mechanism", value_enum, value_name = "MECHANISM")]
    mechanisms: Vec<Kept>,
    /// Rounds that the password is salted with: more take longer to guess, and as much longer to log in
    #[arg(long, value_name = "N", default_value_t = FEWEST_ITERATIONS, value_parser = clap::value_parser!(u32).range(i64::from(FEWEST_ITERATIONS)..=i64::from(MOST_ITERATIONS)))]
    iterations: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kept {
    /// SCRAM-SHA-256
    #[value(name = "scram-sha-256", alias = "SCRAM-SHA-256")]
    Sha256,
    /// SCRAM-SHA-512
    #[value(name = "scram-sha-512", alias = "SCRAM-SHA-512")]
    Sha512,
}

impl Kept {
    fn hash(self) -> Hash {
        match self {
            Self::Sha256 => Hash::Sha256,
            Self::Sha512 => Hash::Sha512,
        }
    }
}

pub(super) fn users(args: &UsersArgs) -> anyhow::Result<Verdict> {
    match &args.what {
        What::Add(args) => add(args),
        What::Remove { file, name } => remove(&file.file, name),
        What::List { file, json } => list(&file.file, *json),
    }
}

fn add(args: &AddArgs) -> anyhow::Result<Verdict> {
    let AddArgs { file: UsersFile { file }, name, mechanisms, iterations } = args;
    ensure!(
        is_name(name),
        "`{name}` cannot be a user's name: at most 255 visible ASCII characters, and none of them a space"
    );
    let before = text(file)?.unwrap_or_default();
    let password = password(name)?;
    let iterations = NonZeroU32::new(*iterations).ok_or_else(|| anyhow!("no iterations"))?;
    let hashes =
        if mechanisms.is_empty() { Hash::ALL.to_vec() } else { mechanisms.iter().map(|one| one.hash()).collect() };
    let line = |hash| Ok(Line { name, hash, credential: Credential::new(hash, password.reveal(), iterations)? });
    let lines = hashes.into_iter().map(line).collect::<anyhow::Result<Vec<_>>>()?;
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).map_err(|_| anyhow!("the system gives no random bytes"))?;
    put(file, &users::with(&users::keyed(&before, &secret), &lines))?;
    let of: Vec<_> = lines.iter().map(|line| line.hash.mechanism().as_str()).collect();
    say(&format!("{name} may log in with {} and PLAIN, where a listener has them\n", of.join(", ")))
}

fn remove(file: &Path, name: &str) -> anyhow::Result<Verdict> {
    let before = text(file)?.ok_or_else(|| anyhow!("{} does not exist", file.display()))?;
    let after =
        users::without(&before, name).ok_or_else(|| anyhow!("there is no user `{name}` in {}", file.display()))?;
    put(file, &after)?;
    say(&format!("{name} may not log in any more\n"))
}

fn list(file: &Path, json: bool) -> anyhow::Result<Verdict> {
    let text = text(file)?.ok_or_else(|| anyhow!("{} does not exist", file.display()))?;
    let users = read(file, &text)?;
    let mut rows: Vec<_> = users.iter().collect();
    rows.sort();
    let of = |kept: &[(Hash, u32)]| {
        kept.iter().map(|(hash, iterations)| format!("{} ({iterations})", hash.mechanism())).collect::<Vec<_>>()
    };
    let rows: Vec<_> = rows.iter().map(|(name, kept)| json!({ "user": name, "mechanisms": of(kept) })).collect();
    let answer = json!({ "total": rows.len(), "rows": rows });
    if json {
        return say_json(&answer);
    }
    say(&super::tables::shown(&answer, &[("USER", "user"), ("MECHANISMS (ITERATIONS)", "mechanisms")]))
}

/// `None` where there is no file yet. One with mistakes is not written over.
fn text(file: &Path) -> anyhow::Result<Option<Zeroizing<String>>> {
    match file::read(file) {
        Ok(text) => read(file, &text).map(|_| Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn read(file: &Path, text: &str) -> anyhow::Result<Users> {
    Users::read(text).map_err(|wrong| {
        let wrong: Vec<_> = wrong.iter().map(|wrong| format!("\n  {wrong}")).collect();
        anyhow!("{} has mistakes; mend them first:{}", file.display(), wrong.concat())
    })
}

fn put(file: &Path, text: &str) -> anyhow::Result<()> {
    file::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn password(name: &str) -> anyhow::Result<Secret> {
    let password = match std::env::var(VARIABLE) {
        Ok(password) => Secret::new(password),
        Err(_) if io::stdin().is_terminal() => ask(name)?,
        Err(_) => line()?,
    };
    ensure!(!password.reveal().is_empty(), "the password is empty");
    ensure!(!password.reveal().contains('\0'), "a password has no zero bytes");
    Ok(password)
}

/// The first line of standard input.
fn line() -> anyhow::Result<Secret> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(Secret::new(line))
}

/// Twice, and not shown.
fn ask(name: &str) -> anyhow::Result<Secret> {
    let [first, second] = [format!("password of {name}: "), "once more: ".to_owned()].map(|prompt| unseen(&prompt));
    let (first, second) = (first?, second?);
    if first != second {
        bail!("the two are not the same; nothing is written");
    }
    Ok(first)
}

fn unseen(prompt: &str) -> anyhow::Result<Secret> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    silent.local_modes.insert(LocalModes::ECHONL);
    io::stderr().write_all(prompt.as_bytes())?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let read = line();
    tcsetattr(&terminal, OptionalActions::Flush, &before)?;
    read
}
