//! Actions of operators that come by no request: on the command line. They are noted among the others, before they are carried out.

use std::future::Future;

use anyhow::Context;
use honoken_office::Office;
use honoken_office::audit::Entry;
use honoken_telemetry::error_chain;

use crate::clock::Clock;
use crate::ids::{self, IdSource};

/// The place where they are noted, and the person who acts.
pub struct Record<'a> {
    /// The records of the office. They are closed after the action.
    pub office: Office,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Random values.
    pub ids: &'a dyn IdSource,
    /// The name of the person: no operator over HTTP has one with a colon.
    pub actor: &'a str,
}

/// An action, as it is noted.
#[derive(Debug)]
pub struct Action {
    /// The name: that of the operation over HTTP, where there is such a one.
    pub name: &'static str,
    /// The path of that operation below `/admin`.
    pub target: String,
}

impl Record<'_> {
    /// Notes an action, has it carried out, and notes its result: the exit status of the command, 0 or 1.
    ///
    /// # Errors
    /// When it cannot be noted: then it is not carried out. Those of `work`.
    pub async fn note<T>(
        self,
        action: Action,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let Self { office, clock, ids, actor } = self;
        let at_ms = clock.unix_ms();
        let entry = Entry {
            id: ids::entry_id(ids, at_ms),
            at_ms,
            actor: actor.to_owned(),
            from: None,
            action: action.name.to_owned(),
            target: action.target,
            result: None,
        };
        let begun = office.begin_action(&entry).await;
        begun.context("the action cannot be noted among those of operators, and is not carried out")?;
        let worked = work.await;
        let result = i64::from(worked.is_err());
        let Entry { id, actor, action, target, .. } = &entry;
        tracing::info!(
            audit.actor = actor,
            audit.action = action,
            audit.target = target,
            audit.result = result,
            "{actor}: {action} {target}: {result}"
        );
        if let Err(fault) = office.end_action(id, result).await {
            tracing::error!(
                error = error_chain(&fault),
                "the result of an action of an operator could not be noted"
            );
        }
        office.close().await;
        worked
    }
}
