//! Where an image of the layout belongs, by its name.

use honoken_domain::ids::{PassTypeIdentifier, SerialNumber};
use percent_encoding::utf8_percent_encode;

use super::super::line::NOT_UNRESERVED;
use super::super::outcome::Subject;

/// The folder with the images of the brand.
const BRAND: &str = "brand-assets";

/// What the name of a folder with the images of a language ends with.
const LANGUAGE: &str = ".lproj";

/// What an image belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// A pass: its pass type and its serial number.
    Pass(String, String),
    /// All passes of a type.
    PassType(String),
    /// All passes.
    Brand,
}

/// Where an image belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) owner: Owner,
    /// Its file name, with the folder of its language.
    pub(super) file: String,
}

/// Reads a name. `None` for a place that is none of the layout.
pub(super) fn target(path: &str) -> Option<Target> {
    let (folders, name) = match path.rsplit_once('/') {
        Some((folders, name)) => (folders.split('/').collect(), name),
        None => (Vec::new(), path),
    };
    let (folders, file) = match folders.as_slice() {
        [folders @ .., language] if language.ends_with(LANGUAGE) => (folders, format!("{language}/{name}")),
        folders => (folders, name.to_owned()),
    };
    let is_type = |text: &str| PassTypeIdentifier::parse(text).is_ok();
    let owner = match folders {
        [BRAND] => Owner::Brand,
        [pass_type] if is_type(pass_type) => Owner::PassType((*pass_type).to_owned()),
        [pass_type, serial] if is_type(pass_type) && SerialNumber::parse(*serial).is_ok() => {
            Owner::Pass((*pass_type).to_owned(), (*serial).to_owned())
        }
        _ => return None,
    };
    Some(Target { owner, file })
}

impl Target {
    /// The path of the image in the service.
    pub(super) fn path(&self) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, &NOT_UNRESERVED).to_string();
        // `@` and the slash of a language are part of the file's name.
        let file = encoded(&self.file);
        match &self.owner {
            Owner::Pass(pass_type, serial) => {
                format!("/manage/v1/passes/{}/{}/assets/{file}", encoded(pass_type), encoded(serial))
            }
            Owner::PassType(pass_type) => {
                format!("/manage/v1/pass-types/{}/assets/{file}", encoded(pass_type))
            }
            Owner::Brand => format!("/admin/brand-assets/{file}"),
        }
    }

    /// What it is about, for a refusal.
    pub(super) fn subject(&self) -> Subject {
        let (pass_type_identifier, serial_number) = match &self.owner {
            Owner::Pass(pass_type, serial) => (Some(pass_type.clone()), Some(serial.clone())),
            Owner::PassType(pass_type) => (Some(pass_type.clone()), None),
            Owner::Brand => (None, None),
        };
        Subject { pass_type_identifier, serial_number, device: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Option<String> {
        target(name).map(|target| target.path())
    }

    #[test]
    fn a_name_says_where_an_image_belongs() {
        for (name, expected) in [
            ("pass.a/S-1/icon.png", "/manage/v1/passes/pass.a/S-1/assets/icon.png"),
            ("pass.a/S 1/logo@2x.png", "/manage/v1/passes/pass.a/S%201/assets/logo%402x.png"),
            ("pass.a/S-1/de.lproj/logo.png", "/manage/v1/passes/pass.a/S-1/assets/de.lproj%2Flogo.png"),
            ("pass.a/logo.png", "/manage/v1/pass-types/pass.a/assets/logo.png"),
            ("pass.a/de.lproj/logo.png", "/manage/v1/pass-types/pass.a/assets/de.lproj%2Flogo.png"),
            ("brand-assets/icon.png", "/admin/brand-assets/icon.png"),
            ("brand-assets/de.lproj/icon.png", "/admin/brand-assets/de.lproj%2Ficon.png"),
        ] {
            assert_eq!(path(name).as_deref(), Some(expected), "{name}");
        }
        for other in ["icon.png", "images/S-1/icon.png", "pass.a/b/c/icon.png", "brand-assets/a/icon.png"] {
            assert_eq!(path(other), None, "{other}");
        }
    }
}
