//! Tells operators of a transaction that would have spanned two clusters, and what to write so that the next one does not.

use super::state::Session;
use crate::api::Span;
use crate::placement::Placement;

/// Once a minute for each transactional id: its application tries again and again.
pub fn tell(session: &Session, span: &Span, placement: &Placement) {
    let Some(held_back) = session.context.seldom.pass(format!("a transaction of {}", span.id)) else { return };
    let named = |slot| placement.cluster(slot).map_or("", |cluster| cluster.name.as_str());
    let kind = span.what.kind();
    tracing::warn!(
        session = %session.id, peer = %session.peer, client = %session.client(), transactional_id = %span.id,
        home = named(span.home), kind, name = span.what.name(), lives_on = named(span.lives_on), held_back,
        "a transaction would span two clusters and is refused with INVALID_TXN_STATE; to join them, {}",
        span.advice(&placement.config)
    );
}
