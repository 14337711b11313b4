//! tmp
use super::*;
use kafka_protocol::messages::*;
/// tmp
pub struct DescribeGroups;
impl Api for DescribeGroups {
    const KEY: ApiKey = ApiKey::DescribeGroups;
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
/// tmp
pub struct ListGroups;
impl Api for ListGroups {
    const KEY: ApiKey = ApiKey::ListGroups;
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
/// tmp
pub struct DeleteGroups;
impl Api for DeleteGroups {
    const KEY: ApiKey = ApiKey::DeleteGroups;
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
