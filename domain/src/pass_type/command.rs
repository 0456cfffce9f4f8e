//! What an operator asks of a pass type.

use strum::IntoStaticStr;

use crate::ids::{CertRef, JobId, OrganizationId, PassTypeIdentifier, TeamIdentifier};
use crate::images::Images;
use crate::localizations::{Language, Localization};

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PassTypeCommand {
    /// Give the pass type to an organisation.
    Create {
        /// The identifier, as registered with Apple.
        pass_type_identifier: PassTypeIdentifier,
        /// Whose it is.
        organization_id: OrganizationId,
        /// The developer team whose certificate signs its passes.
        team_identifier: TeamIdentifier,
    },
    /// Give the pass type to an organisation, and let this certificate sign its passes; it need not exist before.
    Assign {
        /// The identifier, as registered with Apple.
        pass_type_identifier: PassTypeIdentifier,
        /// Whose it is.
        organization_id: OrganizationId,
        /// The developer team of the certificate.
        team_identifier: TeamIdentifier,
        /// The certificate.
        cert_ref: CertRef,
        /// Whether it may come from another organisation or team, which orphans the passes that phones hold.
        force: bool,
        /// The job that brings the passes with `nfc` up to date.
        job: Option<JobId>,
    },
    /// Give the passes of this type images to fall back to, beside those that are there.
    PutAssets {
        /// File names and digests of bytes that are stored already.
        assets: Images,
        /// The job that brings them to the passes that exist already. Without one these stay as they are.
        job: Option<JobId>,
    },
    /// Give the passes of this type an image to fall back to at every scale, in place of all that are there for its slot.
    PutScales {
        /// File names and digests of bytes that are stored already.
        assets: Images,
        /// As above.
        job: Option<JobId>,
    },
    /// Take one of these images away, so that the brand's shows again.
    RemoveAsset {
        /// File name, `logo@2x.png`.
        file: String,
        /// As above.
        job: Option<JobId>,
    },
    /// Give the passes of this type texts in a language to fall back to, in place of all that are there in it.
    PutLocalization {
        /// The language.
        language: Language,
        /// Its texts.
        localization: Localization,
        /// As above.
        job: Option<JobId>,
    },
    /// Take the texts in a language away.
    RemoveLocalization {
        /// The language.
        language: Language,
        /// As above.
        job: Option<JobId>,
    },
}
