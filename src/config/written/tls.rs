//! TLS as it is written: paths, and nothing of what is in the files.

use super::super::{ClientTls, Identity, Tls};
use super::text;
use serde_json::{Value, json};
use std::path::Path;

fn path(path: &Path) -> Value {
    text(path.to_string_lossy())
}

/// A listener's.
pub(in super::super) fn server(tls: &Tls) -> Value {
    let Identity { certificate, key } = &tls.identity;
    let mut file = json!({ "certificate": path(certificate), "key": path(key) });
    if let Some(clients) = &tls.clients {
        file["client_ca"] = path(&clients.ca);
        file["client_auth"] = clients.auth.as_str().into();
        file["principal_mapping"] = clients.principals.written().map(text).collect::<Vec<_>>().into();
    }
    file["min_version"] = tls.min_version.as_str().into();
    file
}

/// A cluster's.
pub(super) fn client(tls: &ClientTls) -> Value {
    let mut file = json!({ "min_version": tls.min_version.as_str() });
    if let Some(ca) = &tls.ca {
        file["ca"] = path(ca);
    }
    if let Some(Identity { certificate, key }) = &tls.identity {
        file["certificate"] = path(certificate);
        file["key"] = path(key);
    }
    if let Some(name) = &tls.server_name {
        file["server_name"] = text(name);
    }
    file
}

/// A cluster's, for people.
pub(in super::super) fn words(tls: &ClientTls) -> String {
    let of = |Identity { certificate, key }: &Identity| {
        format!(", certificate {}, key {}", certificate.display(), key.display())
    };
    let shown = tls.identity.as_ref().map(of);
    let name = tls.server_name.as_ref().map(|name| format!(", server_name {name}"));
    let ca = tls.ca.as_ref().map_or_else(|| "ca of the system".to_owned(), |ca| format!("ca {}", ca.display()));
    let version = tls.min_version.as_str();
    format!("{ca}{}{}, {version} and later", shown.unwrap_or_default(), name.unwrap_or_default())
}
