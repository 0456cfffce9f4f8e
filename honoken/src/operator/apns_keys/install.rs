//! `honoken apns-keys install`: installs a key from Apple's file.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use honoken_domain::ids::{ApnsKeyId, KeyIdentifier, TeamIdentifier};
use honoken_domain::sealed::SealingKeys;
use honoken_service::apns_keys::file::KeyFile;
use honoken_service::operations::apns_keys::{self, Change, Order};
use zeroize::Zeroizing;

use crate::operator::print::print_line;
use crate::operator::session::{Environment, LogPresence, Session, StorageOptions, sealing_keys};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken apns-keys install --team-id ABCDE12345 --key-id KEY1234567 AuthKey_KEY1234567.p8

All pass types of the team are pushed with it, in place of their certificates. Make one at https://developer.apple.com/account/resources/authkeys/list with
`Apple Push Notifications service` ticked, for the production environment. Apple lets you download it once.
Running processes use it at once.";

/// The file, and the ids of the key at Apple.
#[derive(Debug, Args)]
pub struct Options {
    /// The developer team of the key, ten characters: the team of its pass types.
    #[arg(long, value_name = "ID", value_parser = |text: &str| TeamIdentifier::parse(text))]
    team_id: TeamIdentifier,
    /// The id of the key at Apple, ten characters; it is part of the file's name.
    #[arg(long, value_name = "ID", value_parser = |text: &str| KeyIdentifier::parse(text))]
    key_id: KeyIdentifier,
    /// The `AuthKey_….p8` from Apple.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    location: StorageOptions,
}

/// The limit on the size of the file: more than any key has.
const FILE_BYTES: u64 = 64 * 1024;

pub(super) async fn run(options: &Options, environment: &Environment) -> anyhow::Result<()> {
    let Options { team_id, key_id, file: path, location } = options;
    // Everything that can be wrong with the file is found before anything is opened.
    let about = || format!("{} is not the file of an APNs key", path.display());
    let file = KeyFile::read(&read(path)?).with_context(about)?;
    let id = ApnsKeyId { team_identifier: team_id.clone(), key_identifier: key_id.clone() };
    if let Some(name) = name_in(path).filter(|name| name != key_id) {
        tracing::warn!(
            "the name of the file is that of the key {name}, and the key is installed as {key_id}: is --key-id right?"
        );
    }
    let place = location.place(&environment.config)?;
    let keys = sealing_keys(&place, location, environment).await?;
    Session::with(&place, LogPresence::CreateIfMissing, environment, async |session| {
        let work = install(session, &id, file, &keys, environment);
        place.notes(environment, "putApnsKey", format!("/apns-keys/{id}"), work).await
    })
    .await
}

fn read(file: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let about = || format!("could not read {}", file.display());
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(file).with_context(about)?.take(FILE_BYTES).read_to_end(&mut bytes).with_context(about)?;
    Ok(bytes)
}

/// The name that Apple gives the file of a key is `AuthKey_{key id}.p8`.
fn name_in(file: &Path) -> Option<KeyIdentifier> {
    let name = file.file_stem()?.to_str()?.strip_prefix("AuthKey_")?;
    KeyIdentifier::parse(name).ok()
}

async fn install(
    session: &Session,
    id: &ApnsKeyId,
    file: KeyFile,
    keys: &SealingKeys,
    environment: &Environment,
) -> anyhow::Result<()> {
    let order = Order { key_ref: None, id: id.clone(), file, is_active: true };
    let (change, _) = apns_keys::install(&session.context(environment), keys, order).await?;
    let what = match change {
        Change::None => {
            return print_line(&format!("the APNs key {id} is installed already; no change was made"));
        }
        Change::SealedAnew => "sealed anew",
        Change::Installed | Change::Kept => "installed",
    };
    print_line(&format!(
        "{what}: the APNs key {id}; all pass types of team {} are pushed with it",
        id.team_identifier
    ))
}
