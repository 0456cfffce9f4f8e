//! The phones that this sender has claimed, from the claim until the result is written; and when there may be more to claim.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::{PassTypeIdentifier, PushToken};
use honoken_projections::pass_holders::Holder;
use honoken_projections::{QueryError, ReadModel};

use super::coalesce::holder;
use crate::ledger::claims::{Claim, NextPush};
use crate::ledger::phone_topic::PhoneTopic;
use crate::ledger::{Ledger, LedgerError};
use crate::ports::{Credential, Credentials, NoCredential};

pub(super) struct Claims {
    phones: HashMap<PhoneTopic, ClaimedPhone>,
    /// Phones that were claimed while the read model could not say where they are reached. They come before new ones.
    unresolved: Option<Vec<Claim>>,
    /// The ledger is being asked.
    claiming: bool,
    may_be_due: bool,
    next_due_ms: Option<i64>,
    /// The answer to a claim was lost, so the ledger may take phones for claimed that this sender does not know of.
    in_doubt: bool,
}

struct ClaimedPhone {
    claimed: Claim,
    /// Pushes without a result.
    jobs: usize,
    result: PushResult,
}

/// The result of a push for its phone. Of several pushes, the greatest in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PushResult {
    /// Nothing was sent, and nothing is pending.
    Ended,
    Sent,
    /// It was not tried, and is due again then.
    PutBack(i64),
    /// It has failed, and is tried again then, or when something new comes.
    Retry(i64),
    /// It has failed, and the phone is left alone until then.
    BackOff(i64),
}

/// A claim that is to be made.
pub(super) struct ClaimRequest {
    pub(super) sender: Arc<str>,
    pub(super) limit: u32,
    pub(super) now_ms: i64,
    /// Phones to go on with instead.
    unresolved: Option<Vec<Claim>>,
    /// The phones that this sender knows of, when the ledger may take more for claimed.
    known: Option<HashSet<PhoneTopic>>,
}

/// The phones that were claimed, their push tokens, and the credentials to push with.
#[derive(Default)]
pub(super) struct ClaimResponse {
    pub(super) claimed: Vec<Claim>,
    pub(super) tokens: HashMap<Holder, PushToken>,
    pub(super) credentials: HashMap<PassTypeIdentifier, Result<(Arc<str>, Credential), NoCredential>>,
    /// When something is due, if nothing is.
    pub(super) next_due_ms: Option<i64>,
    pub(super) fault: Option<ClaimFault>,
}

/// Why nothing could be claimed.
pub(super) enum ClaimFault {
    /// Perhaps something was, and the answer was lost.
    Ledger(LedgerError),
    /// Something was, and it is not known where to push.
    ReadModel(QueryError),
}

impl Claims {
    /// The ledger has not been asked yet.
    pub(super) fn new() -> Self {
        Self {
            phones: HashMap::new(),
            unresolved: None,
            claiming: false,
            may_be_due: true,
            next_due_ms: None,
            in_doubt: false,
        }
    }

    /// Something may be due now.
    pub(super) fn may_be_due(&mut self) {
        self.may_be_due = true;
    }

    /// How long to wait until something is due, if that is known.
    pub(super) fn wait(&self, now_ms: i64) -> Option<Duration> {
        let wait_ms = (self.next_due_ms? - now_ms).clamp(0, 60_000);
        Some(Duration::from_millis(wait_ms.cast_unsigned()))
    }

    /// The time that [`wait`](Self::wait) gave is over.
    pub(super) fn wait_is_over(&mut self) {
        self.next_due_ms = None;
        self.may_be_due = true;
    }

    pub(super) fn is_claiming(&self) -> bool {
        self.claiming
    }

    /// Whether it is time to ask the ledger.
    pub(super) fn should_claim(&self) -> bool {
        !self.claiming && (self.may_be_due || self.unresolved.is_some())
    }

    /// Begins a claim; one of the three methods below follows.
    pub(super) fn begin(&mut self, sender: Arc<str>, limit: u32, now_ms: i64) -> ClaimRequest {
        (self.claiming, self.may_be_due) = (true, false);
        let known = std::mem::take(&mut self.in_doubt).then(|| self.phones.keys().cloned().collect());
        ClaimRequest { sender, limit, now_ms, unresolved: self.unresolved.take(), known }
    }

    pub(super) fn ledger_failed(&mut self) {
        (self.claiming, self.in_doubt) = (false, true);
    }

    pub(super) fn read_model_failed(&mut self, claimed: Vec<Claim>) {
        (self.claiming, self.unresolved) = (false, Some(claimed));
    }

    pub(super) fn succeeded(&mut self, claimed: usize, next_due_ms: Option<i64>) {
        self.claiming = false;
        self.may_be_due |= claimed > 0;
        self.next_due_ms = next_due_ms.or(self.next_due_ms);
    }

    pub(super) fn contains(&self, key: &PhoneTopic) -> bool {
        self.phones.contains_key(key)
    }

    /// A phone is claimed, and so many pushes are to be sent to it.
    pub(super) fn add(&mut self, claimed: Claim, jobs: usize) {
        self.phones.insert(claimed.key.clone(), ClaimedPhone { claimed, jobs, result: PushResult::Ended });
    }

    /// A push to a phone has a result. Gives whether it was the last one without.
    pub(super) fn push_ended(&mut self, key: &PhoneTopic, result: PushResult) -> bool {
        let Some(phone) = self.phones.get_mut(key) else { return false };
        phone.jobs -= 1;
        phone.result = phone.result.max(result);
        phone.jobs == 0
    }

    /// How often a phone has failed in a row before.
    pub(super) fn failures_of(&self, key: &PhoneTopic) -> u32 {
        self.phones.get(key).map_or(0, |phone| phone.claimed.attempts)
    }

    /// The end of a phone's claim, to be written. A phone that was sent a push gets the next one after `quiet_until_ms`; 0: at once.
    pub(super) fn next(&self, key: &PhoneTopic, now_ms: i64, quiet_until_ms: i64) -> Option<NextPush> {
        let ClaimedPhone { claimed, result, .. } = self.phones.get(key)?;
        Some(match *result {
            PushResult::Ended => claimed.ended(now_ms),
            PushResult::Sent => claimed.sent(now_ms, quiet_until_ms),
            PushResult::PutBack(until_ms) => claimed.put_back(until_ms),
            PushResult::Retry(until_ms) => claimed.retry(until_ms),
            PushResult::BackOff(until_ms) => claimed.back_off(until_ms),
        })
    }

    /// The results of these phones are written: they may be claimed again.
    pub(super) fn written(&mut self, phones: &[NextPush]) {
        for next in phones {
            self.phones.remove(next.key());
        }
        self.may_be_due = true;
    }
}

impl ClaimRequest {
    /// Claims phones, and asks for their push tokens and for the credentials to push with.
    pub(super) async fn carry_out(
        self,
        ledger: &Ledger,
        read_model: &ReadModel,
        credentials: &impl Credentials,
    ) -> ClaimResponse {
        let mut response = ClaimResponse::default();
        match self.claim(ledger, &mut response.next_due_ms).await {
            Ok(claimed) => response.claimed = claimed,
            Err(fault) => response.fault = Some(ClaimFault::Ledger(fault)),
        }
        let holders: HashSet<_> =
            response.claimed.iter().flat_map(|claimed| claimed.pending.iter().map(holder)).collect();
        match read_model.push_tokens(&holders.into_iter().collect::<Vec<_>>()).await {
            Ok(tokens) => response.tokens = tokens,
            Err(fault) => response.fault = Some(ClaimFault::ReadModel(fault)),
        }
        for claimed in &response.claimed {
            let topic = &claimed.key.pass_type_identifier;
            if !response.credentials.contains_key(topic) {
                let credential = credentials.of(topic).await;
                let credential = credential.map(|credential| (credential.id().into(), credential));
                response.credentials.insert(topic.clone(), credential);
            }
        }
        response
    }

    async fn claim(self, ledger: &Ledger, next_due_ms: &mut Option<i64>) -> Result<Vec<Claim>, LedgerError> {
        let Self { sender, limit, now_ms, unresolved, known } = self;
        if let Some(unresolved) = unresolved {
            return Ok(unresolved);
        }
        if let Some(known) = known {
            ledger.free_unknown(&sender, |key| known.contains(key), now_ms).await?;
        }
        if ledger.claims_are_free() {
            let claimed = ledger.claim(&sender, limit, now_ms).await?;
            if claimed.is_empty() {
                *next_due_ms = ledger.next_due().await?;
            }
            return Ok(claimed);
        }
        match ledger.next_due().await? {
            Some(due) if due <= now_ms => ledger.claim(&sender, limit, now_ms).await,
            later => {
                *next_due_ms = later;
                Ok(Vec::new())
            }
        }
    }
}
