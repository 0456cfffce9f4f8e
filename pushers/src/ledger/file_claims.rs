//! The phones of a file that are claimed. A file has one sender, in the process that has it open, and its claims are void when it is opened again: so
//! they are kept in memory, and a claim writes nothing. On a server they are in the column `claimed_by`.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use honoken_database::statements::{Connection, Readers, Row, Statement, execute_for_each, sql};
use tokio::time::Instant;

use super::phone_topic::PhoneTopic;

/// Claimed phones that are looked at whenever there is nothing else.
const FEW: usize = 64;

/// How often all that are due are looked at, while very many are claimed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The claims of a file; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct FileClaims(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    claimed: HashSet<PhoneTopic>,
    /// The last phone that was looked at, in the order in which they are due. Those before it are claimed, or were put there since.
    last: Option<Place>,
    /// When all were looked at that are due.
    looked_at_all: Option<Instant>,
}

impl State {
    /// Whether those are to be looked at again that come before [`last`](Self::last): there are few, or it is a while ago.
    fn should_look_at_all(&self) -> bool {
        self.last.is_none()
            || self.claimed.len() <= FEW
            || self.looked_at_all.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY)
    }
}

/// A place in the order in which phones are due.
#[derive(Debug, Clone)]
struct Place {
    due_at_ms: i64,
    phone: PhoneTopic,
}

impl Place {
    fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self { due_at_ms: row.get("due_at")?, phone: PhoneTopic::read(row)? })
    }
}

impl FileClaims {
    /// Finds phones that are due and not claimed, in the order in which they are due. They are claimed when [`add`](Self::add) is called.
    pub(super) async fn find(
        &self,
        connection: &mut Connection,
        limit: u32,
        now_ms: i64,
    ) -> sqlx::Result<Vec<Row>> {
        let many = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut found, mut urgent) = (BTreeMap::new(), Vec::new());
        let (mut after, mut may_begin_anew) = {
            let state = self.state();
            (state.last.clone(), state.last.is_some() && state.should_look_at_all())
        };
        loop {
            if after.is_none() {
                self.state().looked_at_all = Some(Instant::now());
            }
            let wanted = many - found.len();
            let rows = due(after.as_ref(), now_ms, wanted).fetch_all(&mut *connection).await?;
            if let Some(last) = rows.last() {
                after = Some(Place::read(last)?);
            }
            let is_last_page = rows.len() < wanted;
            for row in rows {
                let phone = PhoneTopic::read(&row)?;
                if self.state().claimed.contains(&phone) || found.contains_key(&phone) {
                    continue;
                }
                if row.get("urgent")? {
                    urgent.push(phone.row());
                }
                found.insert(phone, row);
            }
            if found.len() >= many || (is_last_page && !may_begin_anew) {
                break;
            }
            if is_last_page {
                (after, may_begin_anew) = (None, false);
            }
        }
        // Something urgent that comes from now on is told from what has come before.
        execute_for_each(
            connection,
            "with claimed (pass_type, device) as (values {rows})
             update wake set urgent = false
             from claimed
             where pass_type_identifier = claimed.pass_type and device_library_identifier = claimed.device",
            urgent,
        )
        .await?;
        self.state().last = after;
        Ok(found.into_values().collect())
    }

    pub(super) fn add(&self, phones: impl IntoIterator<Item = PhoneTopic>) {
        self.state().claimed.extend(phones);
    }

    pub(super) fn remove<'a>(&self, phones: impl IntoIterator<Item = &'a PhoneTopic>) {
        let mut state = self.state();
        for phone in phones {
            state.claimed.remove(phone);
        }
    }

    /// Frees all but these.
    pub(super) fn retain(&self, is_known: impl Fn(&PhoneTopic) -> bool) {
        let mut state = self.state();
        state.claimed.retain(is_known);
        (state.last, state.looked_at_all) = (None, None);
    }

    /// When the next phone is due that is not claimed. While very many are claimed, only those behind them count, and all of them now and then.
    pub(super) async fn next_due(&self, readers: &Readers) -> sqlx::Result<Option<i64>> {
        let (many, last) = {
            let state = self.state();
            // One more than are claimed: one of them is not.
            let many = i64::try_from(state.claimed.len()).unwrap_or(i64::MAX).saturating_add(1);
            (many, if state.should_look_at_all() { None } else { state.last.clone() })
        };
        let asked = match &last {
            None => sql("select due_at, pass_type_identifier, device_library_identifier from wake
                 where due_at is not null
                 order by due_at
                 limit $1")
            .bind(many),
            Some(Place { due_at_ms, phone }) => sql("select due_at, pass_type_identifier, device_library_identifier from wake
                 where due_at is not null and (due_at, pass_type_identifier, device_library_identifier) > ($1, $2, $3)
                 order by due_at, pass_type_identifier, device_library_identifier
                 limit 1")
            .bind(*due_at_ms)
            .bind(phone.pass_type_identifier.as_str())
            .bind(phone.device_library_identifier.as_str()),
        };
        for row in &asked.fetch_all(readers).await? {
            let Place { due_at_ms, phone } = Place::read(row)?;
            if !self.state().claimed.contains(&phone) {
                return Ok(Some(due_at_ms));
            }
        }
        Ok(None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock can panic half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for phones that are due, behind a place in their order.
fn due(after: Option<&Place>, now_ms: i64, limit: usize) -> Statement {
    const FIRST: &str =
        "select due_at, pass_type_identifier, device_library_identifier, attempts, enqueued, urgent from wake
         where due_at <= $1
         order by due_at, pass_type_identifier, device_library_identifier
         limit $2";
    const BEHIND: &str =
        "select due_at, pass_type_identifier, device_library_identifier, attempts, enqueued, urgent from wake
         where due_at <= $1 and (due_at, pass_type_identifier, device_library_identifier) > ($3, $4, $5)
         order by due_at, pass_type_identifier, device_library_identifier
         limit $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    match after {
        None => sql(FIRST).bind(now_ms).bind(limit),
        Some(Place { due_at_ms, phone }) => sql(BEHIND)
            .bind(now_ms)
            .bind(limit)
            .bind(*due_at_ms)
            .bind(phone.pass_type_identifier.as_str())
            .bind(phone.device_library_identifier.as_str()),
    }
}
