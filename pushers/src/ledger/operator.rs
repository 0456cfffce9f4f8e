//! A push that an operator asks for: every phone that holds a pass is woken, although nothing has changed.

use honoken_domain::ids::PassId;
use honoken_projections::ReadModel;
use honoken_projections::wallet_push::Holders;

use super::deliveries::Wanted;
use super::{Ledger, LedgerError};

/// Why an operator's push could not be asked for. Some of the phones may be woken all the same.
#[derive(Debug, thiserror::Error)]
pub enum OperatorPushError {
    /// Who holds the pass is not known now.
    #[error(transparent)]
    ReadModel(#[from] honoken_projections::QueryError),
    /// The ledger is away.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Ledger {
    /// Wakes every phone that holds a pass, at once. `cause` names this push: the same again wakes nobody twice. Gives the number of phones;
    /// `None` when there is no such pass.
    ///
    /// # Errors
    /// When a store is away.
    pub async fn push_without_change(
        &self,
        read_model: &ReadModel,
        pass: &PassId,
        cause: &str,
        now_ms: i64,
    ) -> Result<Option<u64>, OperatorPushError> {
        let state = read_model.pass_states(std::slice::from_ref(pass)).await?.remove(pass);
        let Some(state) = state else { return Ok(None) };
        let mut holders = Holders::of(vec![pass.clone()]);
        let mut phones = 0;
        while !holders.are_done() {
            let page = read_model.next_holders(&mut holders).await?;
            phones += page.len() as u64;
            let wanted = Wanted {
                pass: pass.clone(),
                etag: state.etag.clone(),
                position: state.update_tag,
                cause: cause.to_owned(),
                urgent: true,
                devices: page.into_iter().map(|holder| holder.device).collect(),
            };
            self.enqueue(&[wanted], &[], now_ms).await?;
        }
        Ok(Some(phones))
    }
}
