//! What one can ask of a pass.

use strum::IntoStaticStr;

use crate::content::Content;
use crate::ids::{AuthenticationToken, Digest, ETag, OrganizationId, PassId, UnixSeconds};
use crate::images::{DefaultImages, Images};
use crate::localizations::{Language, Localization, Localizations};
use crate::pass::{ContentFault, ContentPatch, FormerParts, Increment, KeyedContent, PassKind, TicketStyle};
use crate::personalization::{Enrolment, PersonalizationForm};

/// An intent, in the imperative.
#[derive(Debug, Clone, PartialEq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PassCommand {
    /// Bring the pass into being. The same order again, however late, does nothing.
    Issue(Box<IssuePass>),
    /// Put this content in place of what is there.
    ReplaceContent {
        /// The whole new content.
        content: Content,
    },
    /// The same, for an order that may come twice: with a key that the pass remembers it does nothing.
    ReplaceContentOnce(KeyedContent),
    /// Change what a patch names, in whatever the content is by then.
    PatchContent {
        /// What to change.
        patch: ContentPatch,
    },
    /// Add to a number of the content. The same key again, after whatever else has happened, does nothing.
    Increment(Increment),
    /// Draw the pass as something else. What is not named stays as it is.
    ChangeMetadata {
        /// What it is drawn as.
        ticket_style: Option<TicketStyle>,
        /// Whether it asks for the poster layout.
        poster: Option<bool>,
    },
    /// Give the pass an image of its own.
    PutAsset {
        /// File name, `logo@2x.png`.
        file: String,
        /// Digest of bytes that are stored already.
        digest: Digest,
    },
    /// Give the pass images of its own for one slot, in place of all that it has for that slot.
    PutScales {
        /// By file name; one slot.
        assets: Images,
    },
    /// Take an image of its own away, so that the type's or the brand's shows again.
    RemoveAsset {
        /// File name, `logo@2x.png`.
        file: String,
    },
    /// Give the pass texts of its own in a language, in place of all that it has in it.
    PutLocalization {
        /// The language.
        language: Language,
        /// Its texts.
        localization: Localization,
    },
    /// Take its own texts in a language away, so that the type's show again.
    RemoveLocalization {
        /// The language.
        language: Language,
    },
    /// Bring the parts back that the pass had. It stays void or retired, or neither, and keeps its form.
    Restore(Box<FormerParts>),
    /// Find out again which images and texts the pass shows, and what else of it is in its file: those it falls back to may have changed, or the certificate.
    ResolveDefaults,
    /// Let a device be registered for it. The pass does not change; a retired one says no.
    AdmitDevice,
    /// Give the pass a form of a rewards programme, in place of what it has.
    SetPersonalization(PersonalizationForm),
    /// Take the form away, and with it the enrolment.
    RemovePersonalization,
    /// Enrol the person who has filled in the form. The same token again does nothing.
    Personalize(Box<Enrolment>),
    /// State the pass anew if it shows an image, since phones may have got its file without it.
    StateAnew {
        /// The image.
        image: Digest,
        /// The time until which files may have been without it. A later state stays as it is.
        as_of: UnixSeconds,
    },
    /// State everything about the pass in one event, so that its earlier events are not needed any more: one of them cannot be read.
    Repair,
    /// Mark the pass as no longer valid.
    Void,
    /// Make a voided pass valid again.
    Reinstate,
    /// Void the pass for ever. Its serial number is never free again.
    Retire,
}

/// What [`PassCommand::Issue`] needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuePass {
    /// Which pass.
    pub id: PassId,
    /// What it is drawn as.
    pub ticket_style: TicketStyle,
    /// Whether it asks for the poster layout of iOS 18.
    pub poster: bool,
    /// What is on it.
    pub content: Content,
    /// Images of its own.
    pub assets: Images,
    /// Texts of its own in other languages.
    pub localizations: Localizations,
    /// What phones show for the pass.
    pub authentication_token: OrderedToken,
    /// Whether it is voided at once: another service has issued it, and voided it.
    pub voided: bool,
}

/// The authentication token of an order. It is kept only if this order is the one that issues the pass.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderedToken {
    /// The order names none: a fresh random one, which the same order has otherwise the next time.
    Fresh(AuthenticationToken),
    /// The order names it, since phones know it already: it is a part of the order.
    Known(AuthenticationToken),
}

impl OrderedToken {
    /// The token itself.
    pub fn into_token(self) -> AuthenticationToken {
        match self {
            Self::Fresh(token) | Self::Known(token) => token,
        }
    }
}

/// What a decision depends on beside the command and the pass's own history.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The time of the decision.
    pub now: UnixSeconds,
    /// Who asks. A pass answers only to the organisation that issued it.
    pub organization_id: OrganizationId,
    /// The images that a pass without its own falls back to.
    pub default_images: DefaultImages,
    /// The texts that a pass without its own falls back to: those of its type.
    pub default_localizations: Localizations,
    /// Whether passes of the type may have `nfc`: the certificate installed last may sign such passes.
    pub allows_nfc: bool,
    /// What the caller believes the state to be (`If-Match`).
    pub precondition: Precondition,
    /// What every content that a change leads to must satisfy.
    pub rules: ContentRules,
}

/// Apple's rules for the content of a pass of this kind: the reasons why it is not acceptable, none when it is.
///
/// They are handed in, since this crate knows when they apply and not what they are. A content is checked where the change is decided: only there
/// is it known what it is and which style it has to fit.
pub type ContentRules = fn(PassKind, &Content) -> Vec<ContentFault>;

/// What must hold of the current tag (RFC 9110 section 13.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing was said.
    #[default]
    None,
    /// There is a current state, whichever (`*`).
    Any,
    /// The current tag is one of these. Empty when the caller named only tags that can be no pass's.
    OneOf(Vec<ETag>),
}

impl Precondition {
    /// Whether it holds for a pass in this state; `None` stands for a pass that does not exist.
    pub fn holds_for(&self, current: Option<&ETag>) -> bool {
        match (self, current) {
            (Self::None, _) | (Self::Any, Some(_)) => true,
            (Self::Any | Self::OneOf(_), None) => false,
            (Self::OneOf(tags), Some(current)) => tags.contains(current),
        }
    }
}
