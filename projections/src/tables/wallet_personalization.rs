//! `wallet_personalization`: the forms of rewards programmes, and the persons who have filled them in, sealed. This crate cannot open them.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Value, execute_for_each};
use honoken_domain::ids::PassId;
use honoken_domain::pass::PassEvent;
use honoken_domain::personalization::{Enrolment, PersonalizationForm};

use crate::rows::columns::{pass_type_value, serial_number_value};
use crate::tables::apply_error::ApplyError;

/// The passes whose form or enrolment changes with the events of a batch.
#[derive(Default)]
pub(crate) struct FormChanges(BTreeMap<PassId, FormChange>);

#[derive(Default)]
struct FormChange {
    /// `None` leaves it as it is, or as it is cleared.
    form: Option<PersonalizationForm>,
    /// Whether a form was taken away, and the enrolment before it.
    clears: bool,
    /// `None` leaves it as it is.
    enrolment: Option<Box<Enrolment>>,
    sequence: i64,
}

impl FormChanges {
    /// Adds an event, if it is about a form.
    pub(crate) fn add_event(&mut self, id: &PassId, event: &PassEvent, sequence: i64) {
        match event {
            PassEvent::PersonalizationChanged { form, .. }
            | PassEvent::HiddenPersonalizationChanged { form, .. } => {
                let change = self.0.entry(id.clone()).or_default();
                if form.is_none() {
                    (change.clears, change.enrolment) = (true, None);
                }
                (change.form, change.sequence) = (form.clone(), sequence);
            }
            PassEvent::Personalized { enrolment, .. } => {
                let change = self.0.entry(id.clone()).or_default();
                (change.enrolment, change.sequence) = (Some(enrolment.clone()), sequence);
            }
            PassEvent::Repaired(repaired) => {
                let change = self.0.entry(id.clone()).or_default();
                (change.clears, change.sequence) = (true, sequence);
                change.form.clone_from(&repaired.form);
                change.enrolment = repaired.enrolment.clone().map(Box::new);
            }
            PassEvent::Issued(_)
            | PassEvent::ContentChanged { .. }
            | PassEvent::MetadataChanged { .. }
            | PassEvent::LocalizationsChanged { .. }
            | PassEvent::HiddenLocalizationsChanged { .. }
            | PassEvent::AssetsChanged { .. }
            | PassEvent::HiddenAssetsChanged { .. }
            | PassEvent::NfcChanged { .. }
            | PassEvent::Voided { .. }
            | PassEvent::Reinstated { .. }
            | PassEvent::Retired { .. } => {}
        }
    }

    /// Writes them into the table.
    pub(crate) async fn write(self, connection: &mut Connection) -> Result<(), ApplyError> {
        let (mut removed, mut forms, mut enrolments) = (Vec::new(), Vec::new(), Vec::new());
        for (id, FormChange { form, clears, enrolment, sequence }) in self.0 {
            let key = || [pass_type_value(&id), serial_number_value(&id)];
            if clears {
                let [pass_type, serial_number] = key();
                removed.push([pass_type, serial_number, sequence.into()]);
            }
            if let Some(form) = form {
                let [pass_type, serial_number] = key();
                forms.push([pass_type, serial_number, Value::json(&form)?, sequence.into()]);
            }
            if let Some(enrolment) = enrolment {
                let [pass_type, serial_number] = key();
                let (token, person) = (enrolment.token.as_str().into(), enrolment.person.as_str().into());
                enrolments.push([pass_type, serial_number, token, person, sequence.into()]);
            }
        }
        remove(connection, removed).await?;
        put_forms(connection, forms).await?;
        put_enrolments(connection, enrolments).await
    }
}

async fn remove(connection: &mut Connection, rows: Vec<[Value; 3]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, sequence) as (values {rows})
         update wallet_personalization as old
         set form = null, token = null, person = null, sequence = new.sequence
         from new
         where old.pass_type_identifier = new.pass_type_identifier and old.serial_number = new.serial_number
           and old.sequence < new.sequence",
        rows,
    )
    .await?;
    Ok(())
}

/// The row may have been cleared with the same sequence just before.
async fn put_forms(connection: &mut Connection, rows: Vec<[Value; 4]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "insert into wallet_personalization (pass_type_identifier, serial_number, form, sequence)
         values {rows}
         on conflict (pass_type_identifier, serial_number) do update
         set form = excluded.form, sequence = excluded.sequence
         where wallet_personalization.sequence <= excluded.sequence",
        rows,
    )
    .await?;
    Ok(())
}

/// The row of the form may have been written with the same sequence just before.
async fn put_enrolments(connection: &mut Connection, rows: Vec<[Value; 5]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "with new (pass_type_identifier, serial_number, token, person, sequence) as (values {rows})
         update wallet_personalization as old
         set token = new.token, person = new.person, sequence = new.sequence
         from new
         where old.pass_type_identifier = new.pass_type_identifier and old.serial_number = new.serial_number
           and old.sequence <= new.sequence",
        rows,
    )
    .await?;
    Ok(())
}
