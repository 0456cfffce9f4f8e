//! Sources, images and archives for the tests.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::Arc;

use serde_json::{Map, Value};
use zip::ZipArchive;

use crate::image::{Image, ImageFile};
use crate::manifest::PassFile;
use crate::tests::authority::{IDENTITY, PASS_TYPE, TEAM};
use crate::{
    Localizations, PassKind, PassSource, SigningIdentity, TicketStyle, archive, build, manifest, signature,
};

pub(super) const TOKEN: &str = "0123456789abcdef-a-secret";

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

pub(super) fn source(content: &Map<String, Value>) -> PassSource<'_> {
    PassSource {
        pass_type_identifier: PASS_TYPE,
        serial_number: "A-1",
        team_identifier: TEAM,
        organization_name: "The Museum",
        web_service_url: "https://passes.example.com",
        authentication_token: TOKEN,
        kind: PassKind::plain(TicketStyle::Event),
        voided: false,
        content,
        localizations: const { &Localizations::new() },
        leaves_out_nfc: false,
        personalization: None,
    }
}

pub(super) fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(::png::ColorType::Rgb);
    let row = vec![0x7f; width as usize * height as usize * 3];
    encoder.write_header().unwrap().write_image_data(&row).unwrap();
    bytes
}

pub(super) fn images(files: &[(&str, u32, u32)]) -> BTreeMap<ImageFile, Arc<Image>> {
    let image = |(name, width, height): &(&str, u32, u32)| {
        (ImageFile::parse(name).unwrap(), Arc::new(Image::new(png(*width, *height))))
    };
    files.iter().map(image).collect()
}

/// The icon at every scale, and a logo.
pub(super) fn usual_images() -> BTreeMap<ImageFile, Arc<Image>> {
    images(&[("icon.png", 38, 38), ("icon@2x.png", 76, 76), ("icon@3x.png", 114, 114), ("logo.png", 160, 50)])
}

pub(super) fn usual_content() -> Map<String, Value> {
    object(serde_json::json!({
        "eventName": "Night at the Museum",
        "eventDateISO": "2027-03-01T19:30:00+01:00",
        "venueName": "Grand Hall",
        "description": "A ticket",
    }))
}

/// A pass as it should be.
pub(super) fn usual_pass() -> Vec<u8> {
    pass_signed_by(&IDENTITY)
}

pub(super) fn pass_signed_by(identity: &SigningIdentity) -> Vec<u8> {
    build(&source(&usual_content()), &usual_images(), identity).unwrap()
}

/// Any files, with a right manifest and signature.
pub(super) fn signed(files: &[(&str, &[u8])], identity: &SigningIdentity) -> Vec<u8> {
    let digest = |bytes| openssl::sha::sha1(bytes);
    let files: Vec<PassFile<'_>> = files
        .iter()
        .map(|(path, bytes)| PassFile { path: (*path).to_owned(), bytes, sha1: digest(bytes) })
        .collect();
    let manifest = manifest::manifest(&files);
    {
        let signature = signature::sign(&manifest, identity).unwrap();
        crate::build::pack(&files, &manifest, Some(&signature)).unwrap()
    }
}

pub(super) type Files = Vec<(String, Vec<u8>)>;

pub(super) fn unzip(pass: &[u8]) -> Files {
    let mut archive = ZipArchive::new(Cursor::new(pass)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

pub(super) fn zip(files: &Files) -> Vec<u8> {
    archive::archive(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()))).unwrap()
}

/// The same archive with its files changed; manifest and signature stay as they were.
pub(super) fn tampered(pass: &[u8], change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = unzip(pass);
    change(&mut files);
    zip(&files)
}

#[track_caller]
pub(super) fn file<'a>(files: &'a Files, path: &str) -> &'a [u8] {
    files.iter().find(|(name, _)| name == path).map(|(_, bytes)| bytes.as_slice()).unwrap()
}

#[track_caller]
pub(super) fn file_mut<'a>(files: &'a mut Files, path: &str) -> &'a mut Vec<u8> {
    files.iter_mut().find(|(name, _)| name == path).map(|(_, bytes)| bytes).unwrap()
}
