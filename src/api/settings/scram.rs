//! DescribeUserScramCredentials and AlterUserScramCredentials: a cluster's own users, on every cluster, told together. They
//! are who logs in at the clusters; at Fishplate nobody does by these. Where clusters have different iterations of one
//! mechanism the fewer are told. A user that some cluster has is no unknown one.

use crate::api::everywhere::{
    Changes, Merged, UNHEARD, Where, Word, add_each, asked_everywhere, changed_where_it_belongs, join,
};
use crate::api::scrub::scrubbed_message;
use crate::api::untag::Untag;
use crate::api::{Seen, codes};
use crate::types::Slot;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, ApiKey, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::HashMap;

asked_everywhere!(
    DescribeUserScramCredentials,
    DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse
);

impl Merged for DescribeUserScramCredentials {
    fn unheard() -> Self::Response {
        DescribeUserScramCredentialsResponse::default().with_error_code(UNHEARD).with_error_message(None)
    }

    fn merge(so_far: &mut Self::Response, told: Self::Response, from: Slot, seen: &Seen<'_>) {
        so_far.throttle_time_ms = so_far.throttle_time_ms.max(told.throttle_time_ms);
        let why = scrubbed_message(told.error_message, from, seen.placement);
        Self::fail(so_far, Word { code: told.error_code, why });
        let mut told = told.results;
        for user in &mut told {
            user.untag();
            user.error_message = scrubbed_message(user.error_message.take(), from, seen.placement);
        }
        add_each(&mut so_far.results, told, |user| user.user.clone(), put_together);
    }

    fn fail(so_far: &mut Self::Response, word: Word) {
        join(&mut so_far.error_code, &mut so_far.error_message, word, UNHEARD);
    }
}

fn put_together(known: &mut DescribeUserScramCredentialsResult, user: DescribeUserScramCredentialsResult) {
    let word = Word { code: user.error_code, why: user.error_message };
    join(&mut known.error_code, &mut known.error_message, word, codes::RESOURCE_NOT_FOUND);
    for info in user.credential_infos {
        match known.credential_infos.iter_mut().find(|known| known.mechanism == info.mechanism) {
            Some(known) => known.iterations = known.iterations.min(info.iterations),
            None => known.credential_infos.push(info),
        }
    }
}

/// What is to be changed of one user, who is answered for once.
#[derive(Clone)]
pub struct OfUser {
    user: StrBytes,
    deletions: Vec<ScramCredentialDeletion>,
    upsertions: Vec<ScramCredentialUpsertion>,
}

changed_where_it_belongs!(
    AlterUserScramCredentials,
    AlterUserScramCredentialsRequest,
    AlterUserScramCredentialsResponse {}
);

impl Changes for AlterUserScramCredentials {
    type Change = OfUser;
    type Told = AlterUserScramCredentialsResult;
    type Key = StrBytes;

    fn changes(request: &Self::Request) -> Vec<OfUser> {
        let mut users = Users::default();
        for deletion in &request.deletions {
            users.change(&deletion.name, |user| user.deletions.push(deletion.clone()));
        }
        for upsertion in &request.upsertions {
            users.change(&upsertion.name, |user| user.upsertions.push(upsertion.clone()));
        }
        users.all
    }

    fn request(request: &Self::Request, changes: Vec<OfUser>) -> Self::Request {
        let (deletions, upsertions) =
            changes.into_iter().map(|user| (user.deletions, user.upsertions)).unzip::<_, _, Vec<_>, Vec<_>>();
        request.clone().with_deletions(deletions.concat()).with_upsertions(upsertions.concat())
    }

    fn place(_: &OfUser, _: &Seen<'_>) -> Result<Where, Word> {
        Ok(Where::Everywhere)
    }

    fn unheard(change: &OfUser) -> AlterUserScramCredentialsResult {
        let told = AlterUserScramCredentialsResult::default().with_user(change.user.clone());
        told.with_error_code(UNHEARD).with_error_message(None)
    }

    fn told(answer: &mut Self::Response) -> &mut Vec<AlterUserScramCredentialsResult> {
        &mut answer.results
    }

    fn throttle_ms(answer: &mut Self::Response) -> &mut i32 {
        &mut answer.throttle_time_ms
    }

    fn word(told: &mut AlterUserScramCredentialsResult) -> (&mut i16, &mut Option<StrBytes>) {
        (&mut told.error_code, &mut told.error_message)
    }

    fn key(told: &AlterUserScramCredentialsResult, _: usize) -> StrBytes {
        told.user.clone()
    }
}

/// The users of a request, each once, in the order in which they are first named.
#[derive(Default)]
struct Users {
    all: Vec<OfUser>,
    places: HashMap<StrBytes, usize>,
}

impl Users {
    fn change(&mut self, name: &StrBytes, change: impl FnOnce(&mut OfUser)) {
        let all = &mut self.all;
        let at = *self.places.entry(name.clone()).or_insert_with(|| {
            all.push(OfUser { user: name.clone(), deletions: Vec::new(), upsertions: Vec::new() });
            all.len() - 1
        });
        if let Some(user) = self.all.get_mut(at) {
            change(user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::testing::{Effort, World, at, round, text};
    use kafka_protocol::messages::describe_user_scram_credentials_response::CredentialInfo;

    fn user(name: &str, code: i16, infos: &[(i8, i32)]) -> DescribeUserScramCredentialsResult {
        let info = |(mechanism, iterations): &(i8, i32)| {
            CredentialInfo::default().with_mechanism(*mechanism).with_iterations(*iterations)
        };
        DescribeUserScramCredentialsResult::default()
            .with_user(text(name))
            .with_error_code(code)
            .with_error_message(None)
            .with_credential_infos(infos.iter().map(info).collect())
    }

    #[test]
    fn users_of_all_clusters_are_told_together() {
        let request = DescribeUserScramCredentialsRequest::default().with_users(None);
        let (answer, _) = round::<DescribeUserScramCredentials>(&request, &World::default().seen(0), |to, _| {
            let told = if to == at(0, 2) {
                vec![user("u", 91, &[]), user("v", 0, &[(1, 8192)]), user("w", 91, &[])]
            } else {
                vec![user("u", 0, &[(2, 4096)]), user("v", 0, &[(1, 4096)]), user("w", 91, &[])]
            };
            Ok(DescribeUserScramCredentialsResponse::default().with_results(told))
        });
        let expected = [user("u", 0, &[(2, 4096)]), user("v", 0, &[(1, 4096)]), user("w", 91, &[])];
        assert_eq!((answer.error_code, answer.results), (0, expected.to_vec()));
    }

    #[test]
    fn a_user_is_changed_on_every_cluster_and_answered_for_once() {
        let deletion = |name| ScramCredentialDeletion::default().with_name(text(name)).with_mechanism(1);
        let upsertion = ScramCredentialUpsertion::default().with_name(text("u")).with_mechanism(2);
        let request = AlterUserScramCredentialsRequest::default()
            .with_deletions(vec![deletion("u"), deletion("v"), deletion("w")])
            .with_upsertions(vec![upsertion]);
        let (answer, _) = round::<AlterUserScramCredentials>(&request, &World::default().seen(0), |to, part| {
            assert_eq!(part, request);
            let code = |user: &OfUser| match (user.user.as_str(), to == at(0, 2)) {
                ("u", _) | ("v", true) => 0,
                _ => 91,
            };
            let told = |user: &OfUser| AlterUserScramCredentials::unheard(user).with_error_code(code(user));
            let results = AlterUserScramCredentials::changes(&part).iter().map(told).collect();
            Ok(AlterUserScramCredentialsResponse::default().with_results(results))
        });
        let told: Vec<_> = answer.results.iter().map(|told| (told.user.as_str(), told.error_code)).collect();
        assert_eq!(told, [("u", 0), ("v", 0), ("w", 91)], "who is gone from where it was is gone");
    }

    #[test]
    fn very_many_users_keep_nobody_waiting() {
        // Given a request that changes more users than anybody has
        let began = Effort::begin();
        let deletion = |number: i32| ScramCredentialDeletion::default().with_name(text(&number.to_string()));
        let request = AlterUserScramCredentialsRequest::default().with_deletions((0..60_000).map(deletion).collect());
        // When both clusters tell of each of them, in an order of their own
        let (answer, _) = round::<AlterUserScramCredentials>(&request, &World::default().seen(0), |_, part| {
            let told = |one: &ScramCredentialDeletion| {
                AlterUserScramCredentialsResult::default().with_user(one.name.clone()).with_error_message(None)
            };
            let results = part.deletions.iter().rev().map(told).collect();
            Ok(AlterUserScramCredentialsResponse::default().with_results(results))
        });
        // Then each is answered for, and it does not take the square of that
        assert!(answer.results.len() == 60_000 && answer.results.iter().all(|told| told.error_code == 0));
        began.must_be_small();
    }
}
