//! A pipeline: which topics it has, where they live, and what holds for their records.

use super::super::findings::At;
use super::super::read::{Fields, Reader, Text, list, text, texts};
use super::super::yaml::Node;
use super::{Canary, Contract, Lanes, Limit, Slo, some_texts};
use schemars::JsonSchema;

/// A named set of topics and the cluster they live on.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Pipeline {
    /// Stands in metrics, logs and alerts.
    #[schemars(required)]
    pub(in super::super) name: Option<Text>,
    /// Patterns: a glob with * and ?, a /regex/ of the whole name, and either with ! before it to exclude.
    #[schemars(required, length(min = 1))]
    pub(in super::super) topics: Option<Vec<Text>>,
    /// Patterns of the consumer groups whose home is this pipeline's cluster.
    pub(in super::super) groups: Option<Vec<Text>>,
    /// Patterns of the transactional ids whose home it is. What one transaction writes must live there too.
    pub(in super::super) transactional_ids: Option<Vec<Text>>,
    /// A name out of `clusters`.
    #[schemars(required)]
    pub(in super::super) cluster: Option<Text>,
    /// What headers its records must have.
    pub(in super::super) contract: Option<Contract>,
    /// How much of what may come. Each counts every record; the first that is exceeded decides.
    pub(in super::super) limits: Option<Vec<Limit>>,
    /// Where records go that are moved aside.
    pub(in super::super) lanes: Option<Lanes>,
    /// Which records go to the same topic on another cluster. Contract and limits apply first.
    pub(in super::super) canaries: Option<Vec<Canary>>,
    /// How soon its groups are to have dealt with records.
    pub(in super::super) slo: Option<Slo>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

impl Pipeline {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a pipeline", reader)?;
        let pipeline = Self {
            name: fields.required("name", "events", text),
            topics: fields.required("topics", "[\"events*\"]", some_texts),
            groups: fields.optional("groups", texts),
            transactional_ids: fields.optional("transactional_ids", texts),
            cluster: fields.required("cluster", "main", text),
            contract: fields.optional("contract", Contract::read),
            limits: fields.optional("limits", |node, reader| list(node, reader, Limit::read)),
            lanes: fields.optional("lanes", Lanes::read),
            canaries: fields.optional("canaries", |node, reader| list(node, reader, Canary::read)),
            slo: fields.optional("slo", Slo::read),
            at: node.at,
        };
        fields.finish(&["mirror"]);
        Some(pipeline)
    }
}
