//! tmp
use super::*;
use kafka_protocol::messages::*;
/// tmp
pub struct CreateTopics;
impl Api for CreateTopics {
    const KEY: ApiKey = ApiKey::CreateTopics;
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
/// tmp
pub struct DeleteTopics;
impl Api for DeleteTopics {
    const KEY: ApiKey = ApiKey::DeleteTopics;
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;
    type Origin = ();
    fn plan(_: &Self::Request, _: &Seen<'_>) -> Plan<Self> {
        Plan::Answer(Default::default())
    }
    fn absorb(_: &mut Self::Response, _: (), _: Result<Self::Response, Fault>, _: &Seen<'_>, _: &mut Effects) {}
}
