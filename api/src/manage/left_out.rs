//! Warnings about parts of a pass that are left out of its file, since no phone would open the pass with them, or offer them.

use honoken_domain::images::Images;
use honoken_domain::pass::{Pass, PassEvent};
use honoken_domain::served;
use honoken_pkpass::image::{ImageName, ImageSlot};
use honoken_pkpass::{Finding, Severity};

/// Everything that is left out of a pass as it is now. The pointer of `nfc` is below `root`.
pub fn of(pass: &Pass, root: &str) -> Vec<Finding> {
    let nfc = pass.leaves_out_nfc().then(|| nfc(root));
    nfc.into_iter().chain(of_form(pass)).collect()
}

/// The form of a pass, if no person has filled it in and it is left out.
pub fn of_form(pass: &Pass) -> Option<Finding> {
    let (_, is_in_file) = pass.open_form()?;
    if is_in_file {
        return None;
    }
    let has_nfc = pass.shown().is_some_and(|(_, content)| served::has_nfc(content));
    let has_own_logo = pass.own_images().is_some_and(has_form_logo);
    let missing = [
        (!has_nfc, "`nfc` in its content"),
        (pass.leaves_out_nfc(), "a certificate that may sign passes with NFC"),
        (!has_own_logo, "an image `personalizationLogo.png` of its own or of its pass type"),
    ];
    let missing: Vec<&str> =
        missing.into_iter().filter_map(|(is_missing, what)| is_missing.then_some(what)).collect();
    let needs =
        if missing.is_empty() { "a certificate that may sign passes with NFC" } else { &missing.join(", ") };
    Some(Finding {
        severity: Severity::Warning,
        code: "personalization_left_out".into(),
        pointer: String::new(),
        detail: format!(
            "the form is kept and left out of the file, since Wallet would not offer it: the pass needs {needs}"
        ),
    })
}

/// The same for a pass that would be issued.
pub fn when_issued(events: &[PassEvent], root: &str) -> Option<Finding> {
    let is_left_out = events
        .iter()
        .any(|event| matches!(event, PassEvent::Issued(issued) if issued.nfc_left_out == Some(true)));
    is_left_out.then(|| nfc(root))
}

/// Whether a warning says that the logo of a form is not shown, which is wrong for a pass with a form.
pub fn is_about_form_logo(warning: &Finding) -> bool {
    let file = warning.pointer.strip_prefix("/assets/").unwrap_or_default();
    warning.code == "image_not_shown" && is_form_logo(file)
}

fn has_form_logo(images: &Images) -> bool {
    images.keys().any(|file| is_form_logo(file))
}

fn is_form_logo(file: &str) -> bool {
    ImageName::parse(file).is_ok_and(|name| name.slot() == ImageSlot::PersonalizationLogo)
}

fn nfc(root: &str) -> Finding {
    Finding {
        severity: Severity::Warning,
        code: "nfc_left_out".into(),
        pointer: format!("{root}/{}", served::NFC),
        detail: "`nfc` is kept and left out of the file: no phone opens a pass with it unless Apple has issued the certificate \"with NFC\". \
                 Install such a certificate; where only its name does not say so, with `honoken certs install --enhanced`"
            .to_owned(),
    }
}
