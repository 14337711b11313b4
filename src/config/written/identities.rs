//! As whom principals come to a cluster, as a file that says the same but for what is secret.

use super::super::{Cluster, Identities, Identity, Mapped};
use super::{login, text};
use crate::rights::EVERYONE;
use serde_json::{Map, Value, json};

/// Puts it into a cluster's part of the file.
pub(super) fn add(file: &mut Value, cluster: &Cluster) {
    let identities = &cluster.identities;
    if identities.is_empty() {
        return;
    }
    let all = identities.all().iter().map(|one| (one.guise.name().to_owned(), identity(one)));
    file["identities"] = all.collect::<Map<_, _>>().into();
    if !has_everyone(identities) {
        file["unmapped"] = identities.unmapped().as_str().into();
    }
}

fn has_everyone(identities: &Identities) -> bool {
    identities.all().iter().flat_map(|one| &one.principals).any(|one| **one == *EVERYONE)
}

fn identity(mapped: &Mapped) -> Value {
    let mut file = json!({ "principals": mapped.principals.iter().map(text).collect::<Vec<_>>() });
    if let Some(of) = &mapped.login {
        file["sasl"] = login::login(of);
    }
    if let Some(Identity { certificate, key }) = mapped.tls.as_ref().and_then(|tls| tls.identity.as_ref()) {
        file["tls"] = json!({ "certificate": text(certificate.to_string_lossy()), "key": text(key.to_string_lossy()) });
    }
    file
}
