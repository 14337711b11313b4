//! tmp
use super::*;
use kafka_protocol::messages::*;
/// tmp
pub struct DescribeCluster;
impl Api for DescribeCluster {
    const KEY: ApiKey = ApiKey::DescribeCluster;
    type Request = DescribeClusterRequest;
    type Response = DescribeClusterResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
/// tmp
pub struct DescribeTopicPartitions;
impl Api for DescribeTopicPartitions {
    const KEY: ApiKey = ApiKey::DescribeTopicPartitions;
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
