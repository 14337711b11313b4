//! Where users come from, and where they are written: files, so that this waits for the disk.

use super::Users;
use crate::config::{Config, Mistake, Sasl, Severity};
use crate::security::scram::Hash;
use crate::security::source::{self, Unusable, open_to_all};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Only who runs Fishplate reads such a file.
const MODE: u32 = 0o600;

/// The users of a listener; nobody where none of its mechanisms needs any.
///
/// # Errors
/// Where they cannot be read, or have mistakes.
pub fn load(sasl: &Sasl) -> Result<Users, Unusable> {
    let users = |from| source::load("users", from, super::MOST_BYTES, Users::read);
    sasl.users.as_ref().map_or_else(|| Ok(Users::default()), users)
}

/// The text of a file, of a size that is one's.
///
/// # Errors
/// Where it cannot be read.
pub fn read(file: &Path) -> io::Result<Zeroizing<String>> {
    source::read(file, super::MOST_BYTES)
}

/// Puts a file in the place of another in one step: who reads it meanwhile reads all of the one or of the other.
///
/// # Errors
/// Where that cannot be done; then the old one is there.
pub fn write(file: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is written, and the link stays.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let mut beside = file.clone().into_os_string();
    beside.push(format!(".{}.new", std::process::id()));
    let put = || {
        let _left_by_who_died = fs::remove_file(&beside);
        let mut new = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
        new.write_all(text.as_bytes())?;
        new.sync_all()?;
        fs::rename(&beside, &file)
    };
    put().inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// What is wrong with the users of a config's listeners: for a config in `file`. A file that is not there is a warning only, since
/// the config may be checked elsewhere than where it runs.
#[must_use]
pub fn survey(config: &Config, file: &str) -> Vec<Mistake> {
    let mut found = Vec::new();
    for listener in &config.listeners {
        let Some(sasl) = &listener.sasl else { continue };
        let mut say = |severity, what: String, instead: &str| {
            let (what, instead) = (format!("sasl of listener {}: {what}", listener.bind), instead.to_owned());
            found.push(Mistake { severity, file: file.to_owned(), place: None, what, instead });
        };
        match load(sasl) {
            Err(problem) if problem.is_missing() => {
                say(Severity::Warning, problem.to_string(), "`fishplate users add` makes it; a start needs it");
            }
            Err(problem) => say(Severity::Mistake, problem.to_string(), "`fishplate users` writes such files"),
            Ok(users) => {
                if users.is_empty() && sasl.users.is_some() {
                    say(
                        Severity::Warning,
                        "there are no users: nobody can log in".to_owned(),
                        "add some: `fishplate users add`",
                    );
                }
                for hash in sasl.mechanisms.iter().filter_map(|mechanism| Hash::of(*mechanism)) {
                    if let lacking @ 1.. = users.lacking(hash) {
                        let what =
                            format!("{lacking} of {} users cannot log in with {}", users.len(), hash.mechanism());
                        say(Severity::Warning, what, "add them again, with both mechanisms, or take this one out");
                    }
                }
            }
        }
        if let Some(what) = sasl.users.as_ref().and_then(open_to_all) {
            say(Severity::Warning, what, "chmod 600 it");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::look::Look;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    fn directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("fishplate-users-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        directory
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_only_its_owner_reads_it() {
        let directory = directory("write");
        let (file, link) = (directory.join("users"), directory.join("link"));
        write(&file, "# one\n").unwrap();
        let before = Look::at(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Look::at(&file), Some(before));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert_ne!(Look::at(&file), Some(before), "others may read it now, and who could not before will");
        let before = Look::at(&file).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "# another\n").unwrap();
        assert_ne!(Look::at(&file), Some(before));
        assert_eq!(*read(&file).unwrap(), "# another\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2, "nothing is left beside it");
        assert!(write(&directory.join("nowhere/users"), "").is_err());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_wrong_with_users_is_told_by_check() {
        let directory = directory("survey");
        let file = directory.join("users");
        let config = |sasl: &str| {
            let text = format!(
                "virtual_cluster: v\ndefault_cluster: a\nlisteners: [{{ bind: '127.0.0.1:0', sasl: {sasl} }}]\n\
                 clusters: {{ a: {{ slot: 0, bootstrap: ['a.example:1'] }} }}\n"
            );
            Config::from_text("c.yaml", &text).unwrap()
        };
        let told = |config: &Config| survey(config, "c.yaml").iter().map(|one| one.what.clone()).collect::<Vec<_>>();
        let scram = config(&format!("{{ mechanisms: [SCRAM-SHA-256], users_file: {} }}", file.display()));
        assert!(told(&scram)[0].contains("cannot be read"), "{:?}", told(&scram));
        write(&file, "alice hunter2\n").unwrap();
        let wrong = told(&scram);
        assert!(wrong[0].contains("line 1") && !wrong[0].contains("hunter2"), "{wrong:?}");
        write(&file, "").unwrap();
        assert!(told(&scram)[0].contains("nobody can log in"));
        let credential = super::super::Credential::new(Hash::Sha512, "x", std::num::NonZeroU32::new(4096).unwrap());
        let line = super::super::Line { name: "alice", hash: Hash::Sha512, credential: credential.unwrap() };
        write(&file, &super::super::with("", &[line])).unwrap();
        assert_eq!(told(&scram), ["sasl of listener 127.0.0.1:0: 1 of 1 users cannot log in with SCRAM-SHA-256"]);
        let plain = config(&format!("{{ mechanisms: [PLAIN, SCRAM-SHA-512], users_file: {} }}", file.display()));
        assert!(told(&plain).is_empty(), "{:?}", told(&plain));
        fs::remove_dir_all(directory).unwrap();
    }
}
