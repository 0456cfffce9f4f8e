//! Which answer a failure of a lower room gets: an aggregate's refusal, a store that is away, a pass that cannot be built.

use std::error::Error;
use std::sync::Arc;

use honoken_domain::brand_assets::BrandAssetsError;
use honoken_domain::ids::RegistrationId;
use honoken_domain::job::JobError;
use honoken_domain::pass::PassError;
use honoken_domain::pass_type::PassTypeError;
use honoken_domain::registration::RegistrationError;
use honoken_domain::uploaded_image::UploadedImageError;
use honoken_event_store::{DispatchError, LogError};
use honoken_projections::QueryError;
use honoken_service::blobs::BlobError;
use honoken_service::built_passes::BuildFailure;
use honoken_service::damaged_registration::MendFailure;
use honoken_service::personalization::PersonalizationFailure;

use crate::damage::Damage;
use crate::error::{ApiError, Fault};
use crate::extractors::json_body::escape;

/// Maps an aggregate's refusal to an answer.
pub trait Refusal: Error + Send + Sync + 'static {
    /// The answer.
    fn into_api_error(self) -> ApiError;

    /// The answer when an event of the aggregate with this id cannot be read, so that it cannot be asked at all.
    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError;
}

impl Refusal for PassError {
    fn into_api_error(self) -> ApiError {
        let detail = self.to_string();
        match self {
            Self::Unknown => ApiError::NO_PASS,
            Self::AlreadyIssued => ApiError::Conflict { code: "already_issued", detail },
            Self::OtherToken => ApiError::Conflict { code: "issued_with_another_token", detail },
            Self::Retired => ApiError::Conflict { code: "retired", detail },
            Self::KeyReused | Self::OrderReused => {
                ApiError::Conflict { code: "idempotency_key_reused", detail }
            }
            Self::PreconditionFailed { .. } => ApiError::PreconditionFailed { detail },
            Self::MissingImage { one_of } => {
                let slot = one_of.first().map_or("icon", |slot| slot.as_str());
                ApiError::fault("missing_image", format!("/assets/{slot}.png"), detail)
            }
            // Only a phone can cause it, and every refusal to a phone is the same.
            Self::NoOpenForm => ApiError::UnauthorizedDevice,
            Self::NoPoster { .. } => ApiError::fault("no_poster", "/poster", detail),
            Self::UnacceptableContent { faults } => {
                ApiError::Unacceptable { errors: faults.into_iter().map(Fault::from).collect() }
            }
            Self::ContentNotAnObject => ApiError::fault("wrong_type", "", detail),
            Self::ContentTooLarge => ApiError::fault("content_too_large", "", detail),
            Self::StrayNul { pointer } => ApiError::fault("stray_nul", pointer, detail),
            Self::ContentTooDeep => ApiError::fault("content_too_deep", "", detail),
            Self::LocalizationsTooLarge(_) => ApiError::fault("too_many_localizations", "", detail),
            Self::PatchTestFailed { operation } => ApiError::ConflictAt {
                code: "patch_test_failed",
                errors: vec![Fault::new("patch_test_failed", format!("/{operation}"), detail)],
            },
            Self::PatchFailed { operation, member, .. } => {
                ApiError::fault("patch_failed", format!("/{operation}/{member}"), detail)
            }
            Self::NothingToIncrement => ApiError::fault("nothing_there", "/pointer", detail),
            Self::NotANumber => ApiError::fault("not_a_number", "/pointer", detail),
            Self::IncrementOutOfRange => ApiError::fault("out_of_range", "/by", detail),
        }
    }

    fn of_damaged(_: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::PassParked(cause)
    }
}

impl Refusal for JobError {
    /// Callers only start jobs, which is never refused.
    fn into_api_error(self) -> ApiError {
        ApiError::Internal(self.into())
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::Damaged(Damage::of(format!("the job {id}"), cause))
    }
}

impl Refusal for PassTypeError {
    fn into_api_error(self) -> ApiError {
        match &self {
            Self::Unknown => ApiError::NotFound { what: "pass type" },
            Self::AlreadyCreated => ApiError::Conflict { code: "already_created", detail: self.to_string() },
            Self::AnotherOrganization { .. } | Self::AnotherTeam { .. } => ApiError::needs_force(&self),
            Self::LocalizationsTooLarge(_) => ApiError::fault("too_many_localizations", "", self.to_string()),
        }
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::Damaged(Damage::of(format!("the pass type {id}"), cause))
    }
}

impl Refusal for BrandAssetsError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }

    fn of_damaged(_: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        ApiError::Damaged(Damage::of("the images of the brand".to_owned(), cause))
    }
}

impl Refusal for UploadedImageError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        let digest = id.rsplit('/').next().unwrap_or(id);
        let damage = Damage::of(format!("the uploaded image {digest}"), cause);
        ApiError::Damaged(damage.or("; an image with any other bytes can be uploaded"))
    }
}

impl Refusal for RegistrationError {
    fn into_api_error(self) -> ApiError {
        match self {}
    }

    fn of_damaged(id: &str, cause: Box<dyn Error + Send + Sync>) -> ApiError {
        let stream = RegistrationId::parse(id).map_or_else(
            |_| "a registration".to_owned(),
            |id| {
                let device = id.device_library_identifier.shortened();
                format!("the registration of the device {device} for {}", id.pass_type_identifier)
            },
        );
        ApiError::Damaged(Damage::of(stream, cause).or(SKIP))
    }
}

/// The remedy for a registration, which is stated anew by itself.
const SKIP: &str = ", or skip the event (`/admin/projections/wallet/parked`): then the next request of the device is carried out without it";

impl<E: Refusal> From<DispatchError<E>> for ApiError {
    fn from(fault: DispatchError<E>) -> Self {
        match fault {
            DispatchError::Refused(refusal) => refusal.into_api_error(),
            DispatchError::Log(LogError::Unreadable { .. }) | DispatchError::Undecodable { .. } => {
                let id = fault.damaged().unwrap_or_default().to_owned();
                E::of_damaged(&id, fault.into())
            }
            DispatchError::Log(fault) => fault.into(),
            DispatchError::Conflict | DispatchError::OutcomeUnknown(_) => Self::Unavailable(fault.into()),
        }
    }
}

impl From<MendFailure> for ApiError {
    fn from(failure: MendFailure) -> Self {
        match failure {
            MendFailure::Registration(fault) => fault.into(),
            MendFailure::Query(fault) => fault.into(),
        }
    }
}

impl From<QueryError> for ApiError {
    fn from(fault: QueryError) -> Self {
        Self::Unavailable(fault.into())
    }
}

impl From<Arc<BuildFailure>> for ApiError {
    fn from(fault: Arc<BuildFailure>) -> Self {
        match &*fault {
            BuildFailure::Store(_)
            | BuildFailure::Image(BlobError::Store(_) | BlobError::Unknown(_) | BlobError::Damaged(_)) => {
                Self::Unavailable(fault.into())
            }
            BuildFailure::ImagesGone(files) => images_gone(files.iter().map(String::as_str)),
            BuildFailure::NoCertificate { pass_type_identifier, why } => {
                Self::NoCertificate { pass_type_identifier: pass_type_identifier.clone(), why: why.clone() }
            }
            BuildFailure::Certificate { pass_type_identifier, source } => Self::NoCertificate {
                pass_type_identifier: pass_type_identifier.clone(),
                why: format!("{source}: install one that fits with `honoken certs install`"),
            },
            BuildFailure::Image(_) | BuildFailure::Build(_) | BuildFailure::Died => {
                Self::Internal(fault.into())
            }
        }
    }
}

impl From<PersonalizationFailure> for ApiError {
    fn from(fault: PersonalizationFailure) -> Self {
        match fault {
            PersonalizationFailure::NoCertificate(_) => Self::CannotSign(fault.into()),
            // An operator has to mend it; the caller retries.
            PersonalizationFailure::Store(_)
            | PersonalizationFailure::NoKeys
            | PersonalizationFailure::Sealed(_)
            | PersonalizationFailure::Vault(_) => Self::Unavailable(fault.into()),
            PersonalizationFailure::Signature(_) | PersonalizationFailure::Unreadable => {
                Self::Internal(fault.into())
            }
        }
    }
}

/// 409 for images of a former state that the store has no more, by their file names.
pub fn images_gone<'a>(files: impl Iterator<Item = &'a str>) -> ApiError {
    let fault = |file| {
        let detail = format!("the image `{file}` of that state is gone: the store has its bytes no more");
        Fault::new("image_gone", format!("/assets/{}", escape(file)), detail)
    };
    ApiError::ConflictAt { code: "image_gone", errors: files.map(fault).collect() }
}

/// A blob error as the answer to an upload; `pointer` names the place in the body, empty for the body itself.
pub fn blob_error(fault: BlobError, pointer: &str) -> ApiError {
    match fault {
        BlobError::NotAPng(_) => ApiError::fault("not_a_png", pointer, fault.to_string()),
        BlobError::UnknownName(_) => ApiError::fault("unknown_image", pointer, fault.to_string()),
        BlobError::Damaged(digest) => ApiError::fault(
            "unknown_blob",
            pointer,
            format!(
                "the stored bytes of the image {digest} are damaged; send it to `POST /manage/v1/blobs` again"
            ),
        ),
        BlobError::Unknown(digest) => ApiError::fault(
            "unknown_blob",
            pointer,
            format!(
                "your organisation has uploaded no image with the digest {digest}; send it to `POST /manage/v1/blobs` first"
            ),
        ),
        BlobError::Died => ApiError::Internal(fault.into()),
        BlobError::Store(_) => ApiError::Unavailable(fault.into()),
    }
}
