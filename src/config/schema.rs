//! The JSON schema of the config file, made from the types of `raw`. Knows nothing else.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

use super::raw;

/// The schema as indented JSON with a line break at its end, as `config/schema.json` holds it.
///
/// # Errors
///
/// Never in practice: a schema is plain JSON.
pub fn schema() -> Result<String, serde_json::Error> {
    let mut schema = SchemaSettings::default().into_generator().into_root_schema_for::<raw::File>();
    RecursiveTransform(forget_null).transform(&mut schema);
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// A key that may be left out may not be there without a value: `null` goes from every type.
fn forget_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_mut_slice() {
            let one = one.take();
            schema.insert("type".to_owned(), one);
        }
    }
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    choices.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let only = std::mem::take(only);
        schema.remove("anyOf");
        for (key, value) in only {
            schema.ensure_object().entry(key).or_insert(value);
        }
    }
}
