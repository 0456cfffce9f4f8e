//! Builds passes from folders: `cargo run -p honoken-pkpass --example build -- CERTIFICATES FOLDER...`
//!
//! CERTIFICATES holds `pass.pem`, `pass.key` and `intermediate.pem`. Each FOLDER holds `order.json` (`style`, `poster`, `voided`,
//! `serialNumber`, `content`) and images, and gets `ours.pkpass`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use honoken_pkpass::image::{Image, ImageFile};
use honoken_pkpass::{Localizations, PassKind, PassSource, SigningIdentity, TicketStyle, build, lint};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let certificates = arguments.next().ok_or("name the folder of the certificates")?;
    let read = |name: &str| fs::read(Path::new(&certificates).join(name));
    let identity =
        SigningIdentity::from_pem(&read("pass.pem")?, &read("pass.key")?, &read("intermediate.pem")?)?;
    for folder in arguments {
        build_one(Path::new(&folder), &identity)?;
    }
    Ok(())
}

fn build_one(folder: &Path, identity: &SigningIdentity) -> Result<(), Box<dyn Error>> {
    let order: Value = serde_json::from_slice(&fs::read(folder.join("order.json"))?)?;
    let text = |key: &str| order[key].as_str().ok_or_else(|| format!("order.json has no text {key}"));
    let content = order["content"].as_object().ok_or("order.json has no content")?;
    let kind = PassKind { style: TicketStyle::parse(text("style")?)?, poster: order["poster"] == true };
    if let Some(error) = lint(kind, content).into_iter().find(honoken_pkpass::Finding::is_error) {
        return Err(format!("{}: {error}", folder.display()).into());
    }
    let source = PassSource {
        pass_type_identifier: text("passTypeIdentifier")?,
        serial_number: text("serialNumber")?,
        team_identifier: text("teamIdentifier")?,
        organization_name: text("organizationName")?,
        web_service_url: text("webServiceURL")?,
        authentication_token: text("authenticationToken")?,
        kind,
        voided: order["voided"] == true,
        content,
        localizations: &Localizations::new(),
        leaves_out_nfc: false,
        personalization: None,
    };
    let pass = build(&source, &images(folder)?, identity)?;
    fs::write(folder.join("ours.pkpass"), pass)?;
    Ok(())
}

fn images(folder: &Path) -> Result<BTreeMap<ImageFile, Arc<Image>>, Box<dyn Error>> {
    let mut images = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "png") {
            let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
            images.insert(ImageFile::parse(name)?, Arc::new(Image::new(fs::read(&path)?)));
        }
    }
    Ok(images)
}
