//! Which images are an organisation's own.

use std::collections::BTreeSet;

use honoken_database::statements::{Row, read_for_each};
use honoken_domain::ids::{Digest, OrganizationId};

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::decode;

impl ReadModel {
    /// Those of these digests that are known to be the organisation's own. One that is not may be by now: the read model can be a moment behind.
    pub async fn own_images(
        &self,
        organization_id: &OrganizationId,
        digests: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, QueryError> {
        let asked = digests.iter().map(|digest| [organization_id.as_str().into(), digest.as_str().into()]);
        let rows = read_for_each(
            &self.readers,
            "with new (organization_id, digest) as (values {rows})
             select new.digest
             from new
             join wallet_image image on image.organization_id = new.organization_id and image.digest = new.digest",
            asked.collect(),
        )
        .await;
        let digest = |row: &Row| Digest::parse(row.get::<String>("digest")?).map_err(decode);
        rows.and_then(|rows| rows.iter().map(digest).collect()).map_err(QueryError::of("images"))
    }
}
