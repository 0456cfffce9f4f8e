//! `honoken keys reseal`: secrets that are sealed under another encryption key, with the progress.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use honoken_domain::job::JobFailure;
use honoken_projections::jobs::JobRow;
use honoken_service::encryption_keys;
use honoken_service::operations::resealing::{Extent, Kind, Resealing, Step};
use honoken_service::personalization::Personalizations;
use honoken_service::running_process::RunningProcess;
use honoken_service::signers::Signers;
use tokio::time::timeout;

use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Environment, LogPresence, Place, Session, StorageOptions, opening_keys};

/// What the help shows.
pub const EXAMPLES: &str = "\
Examples:
  export HONOKEN_ENCRYPTION_KEY_V1=… HONOKEN_ENCRYPTION_KEY_V2=… HONOKEN_ENCRYPTION_KEY_CURRENT=2
  honoken keys reseal

Give all processes both keys first; once this is done, the older one is no longer needed. Safe to repeat. While the service runs on SQLite files, it does
the work, as for `honoken admin POST /admin/reseal`.";

/// The storage with the sealed keys.
#[derive(Debug, Args)]
pub struct Reseal {
    #[command(flatten)]
    location: StorageOptions,
}

/// `honoken keys reseal`
///
/// # Errors
/// When there is no encryption key, or a secret stays under another one.
pub async fn run(options: &Reseal, environment: &Environment) -> anyhow::Result<()> {
    let place = options.location.place(&environment.config)?;
    // No key is generated here: the sealed private keys need the key that sealed them.
    let keys = opening_keys(&place, &options.location, environment)?.with_context(|| {
        format!(
            "the encryption key is missing: put secrets/encryption-key back, or {}",
            encryption_keys::HOW_TO_SET
        )
    })?;
    if let Place::Running(process) = &place {
        process.check_keys(Some(&keys)).await?;
    }
    Session::with(&place, LogPresence::MustExist, environment, async |session| {
        let vault = match &place {
            Place::Storage(storage) => storage.open_vault().await?,
            Place::Running(process) => process.open_vault(),
        };
        let ids = environment.ids.clone();
        let personalizations = Personalizations::new(vault.clone(), Signers::none(), Some(keys.clone()), ids);
        let context = session.context(environment);
        let resealing = Resealing { context, keys: &keys, personalizations: &personalizations };
        let work = async {
            match &place {
                Place::Storage(_) => all(&resealing).await.and_then(|counted| counted.report(keys.current())),
                Place::Running(process) => in_process(&resealing, session, process).await,
            }
        };
        let worked = place.notes(environment, "reseal", "/reseal".to_owned(), work).await;
        vault.close().await;
        worked
    })
    .await
}

/// The longest time without an event, after which the process is asked whether it is still there.
const ALIVE: Duration = Duration::from_secs(5);

/// Lets the running process do it as a job, and follows that.
async fn in_process(
    resealing: &Resealing<'_>,
    session: &Session,
    process: &RunningProcess,
) -> anyhow::Result<()> {
    let mut seen = session.progress();
    let mut job = resealing.job().await.map_err(anyhow::Error::from_boxed)?;
    let mut progress = Progress::of("secrets", job.total.unwrap_or_default());
    while job.finished_at.is_none() {
        if timeout(ALIVE, seen.changed()).await.is_err() {
            process.check_keys(Some(resealing.keys)).await?;
        }
        job = session.read_model.job(&job.id).await?.context("the job is no longer in the read model")?;
        progress.at(job.done);
    }
    progress.clear();
    for JobFailure { subject, detail, .. } in &job.failures {
        tracing::error!("{} was not sealed anew: {detail}", subject.as_deref().unwrap_or("a secret"));
    }
    let (key, JobRow { id, done, failed, .. }) = (resealing.keys.current(), &job);
    anyhow::ensure!(
        *failed == 0,
        "{failed} of {done} secrets are still sealed under another key than {key}: see the job {id}"
    );
    print_line(&format!(
        "the running service is done, secrets looked at: {done} (job {id}); all that is in use is sealed under encryption key {key}"
    ))
}

/// Takes one step after the other.
async fn all(resealing: &Resealing<'_>) -> anyhow::Result<Counted> {
    let Extent { total, left_out } = resealing.extent().await.map_err(anyhow::Error::from_boxed)?;
    let mut counted = Counted { left_out, ..Counted::default() };
    let (mut progress, mut cursor) = (Progress::of("secrets", total), None);
    while let Some(step) = resealing.step(cursor.as_ref()).await.map_err(anyhow::Error::from_boxed)? {
        progress.advance(step.done);
        counted.add(&step);
        cursor = Some(step.to);
    }
    progress.clear();
    Ok(counted)
}

/// Secrets by kind, in the order of [`Kind`].
#[derive(Debug, Default)]
struct Counted {
    resealed: [u64; 3],
    failed: [u64; 3],
    left_out: Vec<String>,
}

impl Counted {
    fn add(&mut self, step: &Step) {
        let kind = match step.kind {
            Kind::Certificates => 0,
            Kind::ApnsKeys => 1,
            Kind::Persons => 2,
        };
        self.resealed[kind] += step.resealed;
        self.failed[kind] += step.failures.len() as u64;
    }

    fn report(&self, current: u32) -> anyhow::Result<()> {
        let [certificates, apns_keys, persons] = self.resealed;
        let [failed_certificates, failed_apns_keys, failed_persons] = self.failed;
        anyhow::ensure!(
            self.failed == [0; 3],
            "{failed_certificates} certificates, {failed_apns_keys} APNs keys and {failed_persons} keys of personal data are still sealed under \
             another key than {current}; {certificates}, {apns_keys} and {persons} were sealed anew"
        );
        for name in &self.left_out {
            tracing::info!("{name} is revoked, and was left under the key of before");
        }
        let left = match self.left_out.len() {
            0 => String::new(),
            revoked => format!(
                " ({revoked} revoked certificates and APNs keys were left under the keys of before: nothing needs them any more)"
            ),
        };
        print_line(&format!(
            "{certificates} certificates, {apns_keys} APNs keys and {persons} keys of personal data were sealed anew; all that is in use is sealed \
             under encryption key {current}{left}"
        ))
    }
}
