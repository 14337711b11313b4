//! Service levels and what metrics show of lag, as they are written.

use super::super::amounts::{Amount, Percentage, percentage, time};
use super::super::findings::At;
use super::super::read::{Fields, Number, Reader, boolean, number};
use super::super::yaml::Node;
use schemars::JsonSchema;

/// How soon a pipeline's groups are to have dealt with its records.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Slo {
    /// From a record's arrival until its group has committed it, from 10ms to 1h.
    #[schemars(required, example = "5s")]
    pub(in super::super) committed_within: Option<Amount>,
    /// The share of records, and of time, for which that holds, from 50% to 99.9999%.
    #[schemars(required, example = "99.9%")]
    pub(in super::super) objective: Option<Percentage>,
    #[schemars(skip)]
    pub(in super::super) at: At,
}

/// What `/metrics` shows of lag.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Metrics {
    /// Whether lag also has the names that other exporters gave it, `kafka_consumergroup_group_lag` and others. Default:
    /// false.
    pub(in super::super) compatibility: Option<bool>,
    /// Of more pairs of a group and a partition only those with the largest lag are shown. Default: 50000.
    #[schemars(with = "Option<u64>")]
    pub(in super::super) max_pairs: Option<Number>,
}

impl Slo {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "a service level", reader)?;
        let slo = Self {
            committed_within: fields.required("committed_within", "5s", time),
            objective: fields.required("objective", "99.9%", percentage),
            at: node.at,
        };
        fields.finish(&[]);
        Some(slo)
    }
}

impl Metrics {
    pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        let mut fields = Fields::of(node, "metrics", reader)?;
        let metrics = Self {
            compatibility: fields.optional("compatibility", boolean),
            max_pairs: fields.optional("max_pairs", number),
        };
        fields.finish(&[]);
        Some(metrics)
    }
}
