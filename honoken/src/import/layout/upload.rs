//! One image: read, sent, and asked for again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use honoken_domain::ids::Digest;
use honoken_pkpass::image::{MAX_IMAGE_BYTES, read_png};
use honoken_service::image_store::StoredFile;
use http::{Method, StatusCode};

use super::super::line::Call;
use super::super::outcome::{Kind, Outcome, Refusal};
use super::super::sender::{Sender, Stop};
use super::source::Source;
use super::target::{Owner, Target, target};

/// How often an image is asked for until it is the one that was sent: another process may show it a moment later.
const LOOKS: u32 = 20;

/// The time between two looks.
const BETWEEN: Duration = Duration::from_millis(250);

/// Who sends.
#[derive(Clone)]
pub(super) struct Senders {
    pub(super) integrator: Sender,
    /// Only operators change the brand.
    pub(super) operator: Option<Sender>,
}

/// What became of an image.
#[derive(Debug)]
pub(super) enum Done {
    /// It is there now.
    Sent,
    /// It was there already.
    Unchanged,
    /// It would be sent.
    WouldBeSent,
    /// It was not taken.
    Refused(Box<Refusal>),
}

/// Sends an image, or judges it alone where there is no sender.
///
/// # Errors
/// When no other image would fare better.
pub(super) async fn upload(
    source: Source,
    senders: Option<Senders>,
    image: Arc<StoredFile>,
) -> anyhow::Result<Done> {
    let refuse = |code: &str, detail: String| Ok(Done::Refused(Refusal::of_line(code, detail)));
    let Some(target) = target(&image.path) else {
        return refuse(
            "unknown_place",
            "images are below PASS_TYPE/SERIAL/, PASS_TYPE/ or brand-assets/, and those of a language one folder deeper".to_owned(),
        );
    };
    if image.bytes > MAX_IMAGE_BYTES as u64 {
        let detail = format!("the image has {} bytes, and {MAX_IMAGE_BYTES} at most are taken", image.bytes);
        return refuse("too_large", detail);
    }
    let bytes = source.read(&image.path).await?;
    let Some(senders) = senders else {
        return match read_png(&bytes) {
            Ok(_) => Ok(Done::WouldBeSent),
            Err(fault) => refuse("not_a_png", fault.to_string()),
        };
    };
    let sender = match &target.owner {
        Owner::Brand => senders.operator,
        Owner::Pass(..) | Owner::PassType(_) => Some(senders.integrator),
    };
    let Some(sender) = sender else {
        return refuse(
            "no_operator",
            "only an operator changes the images of the brand: set HONOKEN_ADMIN_USERNAME and HONOKEN_ADMIN_PASSWORD".to_owned(),
        );
    };
    Ok(send(&sender, &target, bytes).await?)
}

async fn send(sender: &Sender, target: &Target, bytes: Bytes) -> Result<Done, Stop> {
    let digest = Digest::of(&bytes);
    let call = Call {
        kind: Kind::Image,
        subject: target.subject(),
        method: Method::PUT,
        path: target.path(),
        body: bytes.into(),
    };
    let done = match sender.carry_out(&call).await? {
        Outcome::Refused(refusal) => return Ok(Done::Refused(refusal)),
        Outcome::Unchanged => Done::Unchanged,
        _ => Done::Sent,
    };
    for look in 1..=LOOKS {
        let answer = sender.read(&call.path).await?;
        // A pass may have an image that its style does not show.
        if answer.status == StatusCode::NOT_FOUND || Digest::of(&answer.body) == digest {
            return Ok(done);
        }
        if look < LOOKS {
            tokio::time::sleep(BETWEEN).await;
        }
    }
    let detail = "the service took the image and shows other bytes for it".to_owned();
    let refusal = Refusal::of_line("not_kept", detail);
    Ok(Done::Refused(Box::new(Refusal { subject: call.subject, ..*refusal })))
}

/// A worker's result.
pub(super) struct Uploaded {
    pub(super) image: Arc<StoredFile>,
    pub(super) done: anyhow::Result<Done>,
}
