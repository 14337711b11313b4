//! How Fishplate logs in to a cluster, as a file that says the same but for what is secret.

use super::super::oauth::{Endpoint, MskIam, TokensFrom};
use super::super::{Login, Secret};
use super::text;
use serde_json::{Map, Value, json};

/// What stands at `sasl`.
pub(super) fn login(login: &Login) -> Value {
    match login {
        Login::Password { mechanism, username, .. } => {
            json!({ "mechanism": mechanism.as_str(), "username": text(username), "password": Secret::HIDDEN })
        }
        Login::Tokens(TokensFrom::File(file)) => {
            json!({ "mechanism": login.mechanism().as_str(), "token_file": text(file.to_string_lossy()) })
        }
        Login::Tokens(TokensFrom::Endpoint(Endpoint { url, client_id, scope, audience, ca, .. })) => with(
            json!({
                "mechanism": login.mechanism().as_str(),
                "token_url": text(url.to_string()),
                "client_id": text(client_id),
                "client_secret": Secret::HIDDEN,
            }),
            [
                ("scope", scope.as_deref()),
                ("audience", audience.as_deref()),
                ("ca", ca.as_ref().map(|ca| ca.to_string_lossy()).as_deref()),
            ],
        ),
        Login::Tokens(TokensFrom::MskIam(MskIam { region, role, profile })) => with(
            json!({ "mechanism": MskIam::NAME, "region": text(region) }),
            [("role", role.as_deref()), ("profile", profile.as_deref())],
        ),
    }
}

/// The keys that there are besides.
fn with<'a>(mut file: Value, keys: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Value {
    let more: Map<_, _> = keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), text(value?)))).collect();
    if let Some(file) = file.as_object_mut() {
        file.extend(more);
    }
    file
}
