//! tmp
use super::*;
use kafka_protocol::messages::*;
/// tmp
pub struct DescribeConfigs;
impl Api for DescribeConfigs {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
