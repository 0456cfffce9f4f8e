//! Requests of an operator: a push to every phone that holds a pass although nothing has changed, and a parked message that is tried again or
//! dropped.

use honoken_database::statements::sql;
use honoken_domain::ids::PassId;
use honoken_projections::ReadModel;
use honoken_projections::pass_holders::{Holders, PassState};

use super::enqueue::DeliveryRequest;
use super::{Ledger, LedgerError};
use crate::message::PassContentChanged;

/// Why an operator's push could not be asked for. Some of the phones may be pushed to all the same.
#[derive(Debug, thiserror::Error)]
pub enum OperatorPushError {
    /// The read model is unavailable.
    #[error(transparent)]
    ReadModel(#[from] honoken_projections::QueryError),
    /// The ledger is unavailable.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Why a parked message was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// No such message is parked.
    #[error("no parked message has this name")]
    NotParked,
    /// It can still not be read.
    #[error("the message can still not be read: {0}")]
    StillUnreadable(String),
    /// A data store is unavailable.
    #[error(transparent)]
    Store(#[from] OperatorPushError),
}

impl From<LedgerError> for RetryError {
    fn from(fault: LedgerError) -> Self {
        Self::Store(fault.into())
    }
}

/// Why phones are pushed to.
struct Reason<'a> {
    cause: &'a str,
    urgent: bool,
}

impl Ledger {
    /// Pushes to every phone that holds a pass, at once. `cause` names this push: with the same cause no phone is pushed to twice. Gives the number of phones;
    /// `None` when there is no such pass.
    ///
    /// # Errors
    /// When a data store is unavailable.
    pub async fn push_without_change(
        &self,
        read_model: &ReadModel,
        pass: &PassId,
        cause: &str,
        now_ms: i64,
    ) -> Result<Option<u64>, OperatorPushError> {
        let state = read_model.pass_states(std::slice::from_ref(pass)).await?.remove(pass);
        let Some(state) = state else { return Ok(None) };
        let reason = Reason { cause, urgent: true };
        self.enqueue_holders(read_model, pass, &state, reason, now_ms).await.map(Some)
    }

    /// Carries out a parked message, if it can be read by now and the pass still is as it says; and deletes it.
    ///
    /// # Errors
    /// [`RetryError`]; the message stays parked.
    pub async fn retry_message(
        &self,
        read_model: &ReadModel,
        id: &str,
        now_ms: i64,
    ) -> Result<(), RetryError> {
        let payload = self.parked_payload(id).await?.ok_or(RetryError::NotParked)?;
        let message: PassContentChanged =
            serde_json::from_str(&payload).map_err(|fault| RetryError::StillUnreadable(fault.to_string()))?;
        let PassContentChanged { pass_type_identifier, serial_number, etag, urgent, .. } = message;
        let pass = PassId { pass_type_identifier, serial_number };
        let states = read_model.pass_states(std::slice::from_ref(&pass)).await;
        let state = states.map_err(OperatorPushError::from)?.remove(&pass);
        if let Some(state) = state.filter(|state| state.etag == etag) {
            let reason = Reason { cause: "", urgent };
            self.enqueue_holders(read_model, &pass, &state, reason, now_ms).await?;
        }
        self.drop_message(id).await?;
        Ok(())
    }

    /// Deletes a parked message. `false` when there is none.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn drop_message(&self, id: &str) -> Result<bool, LedgerError> {
        let doing = "dropping a parked message";
        let mut writer = self.writer(doing).await?;
        let dropped = sql("delete from parked_message where id = $1").bind(id).execute(&mut writer).await;
        Ok(writer.keep(dropped).map_err(LedgerError::of(doing))? == 1)
    }

    async fn parked_payload(&self, id: &str) -> Result<Option<String>, LedgerError> {
        let row = sql("select payload from parked_message where id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await;
        let payload = row.and_then(|row| row.map(|row| row.get("payload")).transpose());
        payload.map_err(LedgerError::of("a parked message"))
    }

    async fn enqueue_holders(
        &self,
        read_model: &ReadModel,
        pass: &PassId,
        state: &PassState,
        reason: Reason<'_>,
        now_ms: i64,
    ) -> Result<u64, OperatorPushError> {
        let mut holders = Holders::of(vec![pass.clone()]);
        let mut phones = 0;
        while !holders.are_done() {
            let page = read_model.next_holders(&mut holders).await?;
            phones += page.len() as u64;
            let request = DeliveryRequest {
                pass: pass.clone(),
                etag: state.etag.clone(),
                position: state.update_tag,
                cause: reason.cause.to_owned(),
                urgent: reason.urgent,
                devices: page.into_iter().map(|holder| holder.device).collect(),
            };
            self.enqueue(&[request], &[], now_ms).await?;
        }
        Ok(phones)
    }
}
