//! The images that are an organisation's own.

use std::collections::BTreeSet;

use honoken_database::statements::{Row, read_for_each, sql};
use honoken_domain::ids::{Digest, OrganizationId};

use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

impl ReadModel {
    /// Whether an image is known to have been given to a pass or a pass type, to be an organisation's own, or to be the brand's.
    pub async fn is_image_known(&self, digest: &Digest) -> Result<bool, QueryError> {
        let row = sql("select organization_id from wallet_image where digest = $1 limit 1")
            .bind(digest.as_str())
            .fetch_optional(&self.readers)
            .await;
        if row.map_err(QueryError::of("an image"))?.is_some() {
            return Ok(true);
        }
        let brand = self.brand_assets().await?.unwrap_or_default();
        Ok(brand.values().any(|shown| shown == digest))
    }

    /// The images that organisations may name, by organisation and digest, behind one of them.
    pub async fn images_of_organizations(
        &self,
        after: Option<&(OrganizationId, Digest)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, Digest)>, QueryError> {
        self.image_page(
            "select organization_id, digest from wallet_image
             where (organization_id, digest) > ($1, $2)
             order by organization_id, digest
             limit $3",
            after,
            limit,
        )
        .await
    }

    /// The images that count in the room of organisations, by organisation and digest, behind one of them.
    pub async fn counted_images(
        &self,
        after: Option<&(OrganizationId, Digest)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, Digest)>, QueryError> {
        self.image_page(
            "select organization_id, digest from wallet_image
             where (organization_id, digest) > ($1, $2) and bytes is not null
             order by organization_id, digest
             limit $3",
            after,
            limit,
        )
        .await
    }

    async fn image_page(
        &self,
        statement: &'static str,
        after: Option<&(OrganizationId, Digest)>,
        limit: u32,
    ) -> Result<Vec<(OrganizationId, Digest)>, QueryError> {
        let rows = sql(statement)
            .bind(after.map_or("", |(organization_id, _)| organization_id.as_str()))
            .bind(after.map_or("", |(_, digest)| digest.as_str()))
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await;
        let image = |row: &Row| {
            let organization_id = OrganizationId::parse(row.get::<String>("organization_id")?);
            let digest = Digest::parse(row.get::<String>("digest")?);
            Ok((organization_id.map_err(invalid_value)?, digest.map_err(invalid_value)?))
        };
        rows.and_then(|rows| rows.iter().map(image).collect()).map_err(QueryError::of("images"))
    }

    /// Those of these digests whose images are known to be the organisation's own. An image that was uploaded a moment ago may be missing, since
    /// the read model can be behind.
    pub async fn own_images(
        &self,
        organization_id: &OrganizationId,
        digests: &BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, QueryError> {
        let pairs = digests.iter().map(|digest| [organization_id.as_str().into(), digest.as_str().into()]);
        let rows = read_for_each(
            &self.readers,
            "with new (organization_id, digest) as (values {rows})
             select new.digest
             from new
             join wallet_image image on image.organization_id = new.organization_id and image.digest = new.digest",
            pairs.collect(),
        )
        .await;
        let digest = |row: &Row| Digest::parse(row.get::<String>("digest")?).map_err(invalid_value);
        rows.and_then(|rows| rows.iter().map(digest).collect()).map_err(QueryError::of("images"))
    }
}
