//! Share groups' reading. A member names a topic once, when its session begins to read it.

use super::{Guard, Guarded, Screened, words};
use crate::api::groups::shares::{ShareAnswer, ShareRequest};
use crate::api::{Seen, codes};
use crate::rights::{Kind, Operation};
use crate::types::View;
use kafka_protocol::messages as m;
use uuid::Uuid;

macro_rules! reads {
    ($($request:ident, $response:ident;)*) => {$(
        impl Guarded for m::$request {
            type Answer = m::$response;

            fn screen(&mut self, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<Self::Answer> {
                screen(self, guard, seen)
            }

            fn join(answer: &mut Self::Answer, told: Self::Answer) {
                answer.add(told);
            }
        }
    )*};
}

reads! {
    ShareFetchRequest, ShareFetchResponse;
    ShareAcknowledgeRequest, ShareAcknowledgeResponse;
}

/// Takes out the topics that a member may not read. A session that is split looks at each partition where it places it; what nobody
/// knows is not sent (`groups::shares`).
fn screen<R: ShareRequest>(request: &mut R, guard: &Guard<'_>, seen: &Seen<'_>) -> Screened<R::Answer> {
    if !guard.may(Operation::Read, Kind::Group, request.group()) {
        let code = codes::GROUP_AUTHORIZATION_FAILED;
        return Screened::Nothing(R::Answer::failed(code, words(code)));
    }
    if seen.view == View::Single {
        return Screened::All;
    }
    let is_denied = |id: Uuid| {
        let place = seen.placement.topic_by_id(id);
        place.is_some_and(|place| !guard.may(Operation::Read, Kind::Topic, &place.topic.name))
    };
    let code = codes::TOPIC_AUTHORIZATION_FAILED;
    request.take_out(is_denied, code, words(code)).map_or(Screened::All, Screened::Some)
}
