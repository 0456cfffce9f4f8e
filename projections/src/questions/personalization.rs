//! The form of a pass, and the person who has filled it in.

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{Digest, OrganizationId, PassId};
use honoken_domain::personalization::PersonalizationForm;
use honoken_domain::sealed::Sealed;

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// The form of a pass that has one.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonalizationRow {
    /// The organisation that issued the pass.
    pub organization_id: OrganizationId,
    /// Whether the pass is retired, so that no person can enrol any more.
    pub retired: bool,
    /// The form.
    pub form: PersonalizationForm,
    /// The person who has filled it in.
    pub enrolled: Option<EnrolledPerson>,
}

/// A person who has filled in a form.
#[derive(Debug, Clone, PartialEq)]
pub struct EnrolledPerson {
    /// SHA-256 of the phone's token.
    pub token: Digest,
    /// The person's data, sealed.
    pub person: Sealed,
}

impl ReadModel {
    /// The form of a pass; `None` when it has none, and likewise when there is no such pass. The database returns one row in any case, so that
    /// the time of the answer does not tell whether a pass exists.
    pub async fn personalization(&self, id: &PassId) -> Result<Option<PersonalizationRow>, QueryError> {
        let row = sql("select pass.organization_id, pass.retired, personalization.form, personalization.token, personalization.person
             from (select 1 as asked_for) new
             left join wallet_pass pass on pass.pass_type_identifier = $1 and pass.serial_number = $2
             left join wallet_personalization personalization
               on personalization.pass_type_identifier = $1 and personalization.serial_number = $2")
        .bind(id.pass_type_identifier.as_str())
        .bind(id.serial_number.as_str())
        .fetch_one(&self.readers)
        .await;
        row.and_then(|row| personalization_row(&row)).map_err(QueryError::of("the form of a pass"))
    }
}

fn personalization_row(row: &Row) -> sqlx::Result<Option<PersonalizationRow>> {
    let organization_id = row.get::<Option<String>>("organization_id")?;
    let (Some(organization_id), Some(form)) = (organization_id, row.optional_json("form")?) else {
        return Ok(None);
    };
    let text = |column| row.get::<Option<String>>(column);
    let enrolled = match (text("token")?, text("person")?) {
        (Some(token), Some(person)) => Some(EnrolledPerson {
            token: Digest::parse(token).map_err(invalid_value)?,
            person: Sealed::parse(person).map_err(invalid_value)?,
        }),
        _ => None,
    };
    Ok(Some(PersonalizationRow {
        organization_id: OrganizationId::parse(organization_id).map_err(invalid_value)?,
        retired: row.get("retired")?,
        form,
        enrolled,
    }))
}
