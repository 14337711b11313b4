//! Who may do what, as it is written.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, boolean, list, named, some, texts};
use super::super::yaml::{Entry, Node};
use super::some_texts;
use crate::rights::{Operation, Operations};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Who may do what. What no rule allows is denied.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Authorization {
    /// Principals that may do everything, such as `User:admin`.
    pub(in super::super) super_users: Option<Vec<Text>>,
    /// Groups of principals, for rules to name them by.
    #[schemars(with = "Option<BTreeMap<String, Vec<String>>>")]
    pub(in super::super) groups: Option<Vec<PrincipalGroup>>,
    /// Who may, or may not, do what to what.
    pub(in super::super) rules: Option<Vec<Rule>>,
}

/// Principals that have a name together.
#[derive(Debug)]
pub(in super::super) struct PrincipalGroup {
    pub(in super::super) name: Text,
    pub(in super::super) members: Option<Vec<Text>>,
}

/// Who may, or may not, do what to what. It names topics, groups, transactional ids or the cluster.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Rule {
    /// Principals such as `User:alice`, `User:*` for everyone, or names of groups of principals.
    #[schemars(required, length(min = 1), example = ["User:alice"])]
    pub(in super::super) principals: Option<Vec<Text>>,
    /// What they do, in Kafka's words. Read, Write, Delete and Alter imply Describe, AlterConfigs implies DescribeConfigs.
    #[schemars(required, length(min = 1), with = "Vec<OperationWord>")]
    pub(in super::super) operations: Option<Vec<Text>>,
    /// Topics: a name, the beginning of names with * behind it, or * for all.
    pub(in super::super) topics: Option<Vec<Text>>,
    /// Consumer and share groups, likewise.
    pub(in super::super) groups: Option<Vec<Text>>,
    /// Transactional ids, likewise.
    pub(in super::super) transactional_ids: Option<Vec<Text>>,
    /// Whether it is about the cluster itself. Default: false.
    pub(in super::super) cluster: Option<bool>,
    /// Addresses or networks (`10.0.0.0/8`) that they come from. Default: anywhere.
    pub(in super::super) hosts: Option<Vec<Text>>,
    /// Whether they may. A rule that denies wins over all that allow. Default: allow.
    #[schemars(with = "Option<EffectWord>")]
    pub(in super::super) effect: Option<Text>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// Stands in the schema: the word for all, and those of each [`Operation`].
struct OperationWord;

impl JsonSchema for OperationWord {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OperationWord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = [Operations::EVERY].into_iter().chain(Operation::ALL.map(Operation::word)).collect();
        json_schema!({ "description": "What is done.", "type": "string", "enum": words })
    }
}

/// Whether they may.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", inline)]
#[expect(dead_code, reason = "stands in the schema only")]
enum EffectWord {
    /// They may.
    Allow,
    /// They may not, whatever else allows it.
    Deny,
}

impl Authorization {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "authorization", reader)?;
        let authorization = Self {
            super_users: fields.optional("super_users", texts),
            groups: fields.optional("groups", |node, reader| named(node, reader, PrincipalGroup::read)),
            rules: fields.optional("rules", |node, reader| list(node, reader, Rule::read)),
        };
        fields.finish(&[]);
        Some(authorization)
    }
}

impl PrincipalGroup {
    /// Also one with nothing right in it is one: who names it names nothing wrong.
    fn read(entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let members = some(texts(&entry.value, reader), &entry.value, reader);
        Some(Self { name: Text::from_key(entry), members })
    }
}

impl Rule {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a rule", reader)?;
        let rule = Self {
            principals: fields.required("principals", "[\"User:alice\"]", some_texts),
            operations: fields.required("operations", "[Read]", some_texts),
            topics: fields.optional("topics", some_texts),
            groups: fields.optional("groups", some_texts),
            transactional_ids: fields.optional("transactional_ids", some_texts),
            cluster: fields.optional("cluster", boolean),
            hosts: fields.optional("hosts", some_texts),
            effect: fields.optional("effect", super::text),
            at: node.at,
        };
        fields.finish(&[]);
        Some(rule)
    }
}
