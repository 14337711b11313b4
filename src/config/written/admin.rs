//! The admin address, as a file says it; tokens that stand in the config itself are left out.

use super::{text, tls};
use crate::config::admin::Admin;
use crate::config::secret::{Secret, TextFrom};
use serde_json::{Value, json};

pub(super) fn written(admin: &Admin) -> Value {
    let mut file = json!({ "bind": admin.bind.to_string() });
    if let Some(tls) = &admin.tls {
        file["tls"] = tls::server(tls);
        if let Some(tls) = file["tls"].as_object_mut() {
            // Nobody is a principal here.
            tls.remove("principal_mapping");
        }
    }
    match &admin.operators {
        Some(TextFrom::File(path)) => file["token_file"] = text(path.to_string_lossy()),
        Some(TextFrom::Text(_)) => file["token"] = Secret::HIDDEN.into(),
        None => {}
    }
    file
}
