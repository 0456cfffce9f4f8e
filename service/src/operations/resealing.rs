//! Seals every secret in use under the current encryption key, step by step: certificates and the keys that wait for theirs, APNs keys, and the
//! keys of personal data.
//!
//! A step may be repeated, since a secret under the current key is left as it is. What is revoked is left out: nothing needs it.

use std::error::Error;

use honoken_domain::apns_key::{ApnsKey, ApnsKeyCommand, ApnsKeyInstallation};
use honoken_domain::certificate::{Certificate, CertificateCommand, Installation, RequestedKey};
use honoken_domain::ids::{CertRef, PassId};
use honoken_domain::job::{Job, JobCommand, JobCursor, JobFailure, JobWork, RESEAL};
use honoken_domain::sealed::{Sealed, SealingKeys};
use honoken_event_store::{DispatchError, Position};
use honoken_projections::QueryError;
use honoken_projections::apns_keys::ApnsKeyRow;
use honoken_projections::certificates::{CertificateRow, NamedCertificate};
use honoken_projections::jobs::{JobRow, JobState};

use crate::apns_keys::seal;
use crate::ids;
use crate::install;
use crate::operations::context::Context;
use crate::operations::requests;
use crate::personalization::{PersonalizationFailure, Personalizations};

/// Names or passes of one step.
const STEP: u32 = 100;

/// The kinds of secrets, in the order of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Private keys of certificates, and those that wait for their certificates.
    Certificates,
    /// APNs keys.
    ApnsKeys,
    /// Keys of personal data.
    Persons,
}

/// Some secrets that are done.
#[derive(Debug)]
pub struct Step {
    /// The place behind which the work goes on.
    pub to: JobCursor,
    /// The kind of these secrets.
    pub kind: Kind,
    /// The number of secrets looked at.
    pub done: u64,
    /// Those of them that were sealed anew; the others were under the current key, or are among the failures.
    pub resealed: u64,
    /// Those that stay under another key, and why.
    pub failures: Vec<JobFailure>,
}

impl Step {
    fn new(to: String, kind: Kind) -> Self {
        Self { to: JobCursor::new(to), kind, done: 0, resealed: 0, failures: Vec::new() }
    }

    /// Takes note of a secret that was under another key.
    fn note(&mut self, subject: String, outcome: Result<(), Fault>) -> Result<(), StoreError> {
        match outcome {
            Ok(()) => self.resealed += 1,
            Err(Fault::Secret { code, detail }) => self.fail(None, subject, code, detail),
            Err(Fault::Store(fault)) => return Err(fault),
        }
        Ok(())
    }

    fn fail(&mut self, pass: Option<PassId>, subject: String, code: &str, detail: String) {
        tracing::error!("{subject} was not sealed anew: {detail}");
        self.failures.push(JobFailure { pass, subject: Some(subject), code: code.to_owned(), detail });
    }
}

/// A store is unavailable: the step may be repeated.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Why a secret was not sealed anew.
enum Fault {
    /// It stays as it is.
    Secret {
        code: &'static str,
        detail: String,
    },
    Store(StoreError),
}

impl Fault {
    fn closed(fault: &dyn Error) -> Self {
        Self::Secret { code: "does_not_open", detail: fault.to_string() }
    }
}

impl<E: Error + Send + Sync + 'static> From<DispatchError<E>> for Fault {
    fn from(fault: DispatchError<E>) -> Self {
        match fault {
            DispatchError::Refused(refusal) => Self::Secret {
                code: "changed_meanwhile",
                detail: format!("it was changed meanwhile ({refusal}): repeat the resealing"),
            },
            fault if fault.damaged().is_some() => {
                let detail = "an event of it cannot be read: install it under another name, or restore the event log from the backup";
                Self::Secret { code: "unreadable", detail: detail.to_owned() }
            }
            fault => Self::Store(fault.into()),
        }
    }
}

/// The place up to which secrets are done.
enum Place<'a> {
    Certificates { after: &'a str },
    ApnsKeys { after: &'a str },
    Persons { after: Option<PassId> },
    End,
}

impl<'a> Place<'a> {
    fn of(cursor: Option<&'a JobCursor>) -> Self {
        let Some(cursor) = cursor else { return Self::Certificates { after: "" } };
        match cursor.as_str().split_once('/') {
            Some(("certificate", after)) => Self::Certificates { after },
            Some(("apnsKey", after)) => Self::ApnsKeys { after },
            Some(("person", after)) => Self::Persons { after: PassId::parse(after).ok() },
            _ => Self::End,
        }
    }

    fn next(&self) -> Self {
        match self {
            Self::Certificates { .. } => Self::ApnsKeys { after: "" },
            Self::ApnsKeys { .. } => Self::Persons { after: None },
            Self::Persons { .. } | Self::End => Self::End,
        }
    }
}

/// How much there is to do.
#[derive(Debug)]
pub struct Extent {
    /// The number of secrets in use, under whatever key.
    pub total: u64,
    /// The revoked certificates and APNs keys under other keys, in words. They stay so.
    pub left_out: Vec<String>,
}

/// The secrets, and the keys that open and seal them.
#[derive(Debug, Clone, Copy)]
pub struct Resealing<'a> {
    /// The stores, and the actor.
    pub context: Context<'a>,
    /// The current one of these keys seals.
    pub keys: &'a SealingKeys,
    /// The keys of personal data, over the same encryption keys.
    pub personalizations: &'a Personalizations,
}

impl Resealing<'_> {
    /// The secrets that there are: so many in use, and the revoked ones.
    ///
    /// # Errors
    /// When a store is unavailable.
    pub async fn extent(&self) -> Result<Extent, StoreError> {
        let (mut total, mut left_out) = (self.personalizations.keys().await?, Vec::new());
        for named in &self.context.read_model.all_named_certificates().await? {
            total += u64::from(named.requested.is_some());
            match &named.installed {
                Some(row) if !row.revoked => total += 1,
                Some(row) if self.is_old(&row.installation.private_key) => left_out.push(of_certificate(row)),
                _ => {}
            }
        }
        for row in &self.apns_key_rows().await? {
            if row.active {
                total += 1;
            } else if self.is_old(&row.installation.private_key) {
                left_out.push(of_apns_key(&row.installation));
            }
        }
        Ok(Extent { total, left_out })
    }

    /// The job that does it while the service runs: one of the same key that is not finished, else a new one, which says from the start how much there
    /// is to do and which secrets stay as they are.
    ///
    /// # Errors
    /// When a store is unavailable.
    pub async fn job(&self) -> Result<JobRow, StoreError> {
        let Context { dispatcher, read_model, ids, metadata, .. } = self.context;
        let key = self.keys.current();
        let same = |job: &JobRow| matches!(job.work, JobWork::Reseal { key: asked, .. } if asked == key);
        if let Some(job) = read_model.unfinished_job(RESEAL).await?.filter(same)
            && !self.is_damaged(&job).await?
        {
            return Ok(job);
        }
        let Extent { total, left_out } = self.extent().await?;
        let (work, at) = (JobWork::Reseal { key, left_out }, self.context.now());
        let id = ids::job_id(ids, metadata.recorded_at_ms);
        let start = JobCommand::Start { work: work.clone(), total, at };
        let committed = dispatcher.dispatch::<Job>(id.as_str(), start, &(), metadata).await?;
        let is_shown = self.context.projector.shows(&committed, self.context.visible).await;
        let row = if is_shown { read_model.job(&id).await? } else { None };
        Ok(row.unwrap_or_else(|| JobRow {
            id,
            work,
            state: JobState::Running,
            cursor: None,
            total: Some(total),
            done: 0,
            failed: 0,
            failures: Vec::new(),
            started_at: Some(at),
            finished_at: None,
        }))
    }

    /// Whether an event of a job cannot be read, so that it will never end. A job that can be asked is not started twice.
    async fn is_damaged(&self, job: &JobRow) -> Result<bool, StoreError> {
        let Context { dispatcher, metadata, .. } = self.context;
        let again = JobCommand::Start { work: job.work.clone(), total: 0, at: self.context.now() };
        match dispatcher.dispatch::<Job>(job.id.as_str(), again, &(), metadata).await {
            Ok(_) => Ok(false),
            Err(fault) if fault.damaged().is_some() => Ok(true),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Seals the next secrets anew. `None` when there are none behind this place.
    ///
    /// # Errors
    /// When a store is unavailable: some secrets of the step may be sealed anew then.
    pub async fn step(&self, from: Option<&JobCursor>) -> Result<Option<Step>, StoreError> {
        let mut place = Place::of(from);
        loop {
            let step = match &place {
                Place::Certificates { after } => self.certificates(after).await?,
                Place::ApnsKeys { after } => self.apns_keys(after).await?,
                Place::Persons { after } => self.persons(after.as_ref()).await?,
                Place::End => return Ok(None),
            };
            if step.is_some() {
                return Ok(step);
            }
            place = place.next();
        }
    }

    async fn certificates(&self, after: &str) -> Result<Option<Step>, StoreError> {
        let page = self.context.read_model.named_certificates(after, STEP).await?;
        let Some(last) = page.last() else { return Ok(None) };
        let mut step = Step::new(format!("certificate/{}", last.cert_ref), Kind::Certificates);
        for named in &page {
            if let Some(row) = in_use(named) {
                step.done += 1;
                if self.is_old(&row.installation.private_key) {
                    step.note(of_certificate(row), self.certificate(row).await)?;
                }
            }
            if let Some(key) = &named.requested {
                step.done += 1;
                if self.is_old(&key.private_key) {
                    let subject = format!("the key that waits for the certificate {}", named.cert_ref);
                    step.note(subject, self.waiting_key(&named.cert_ref, key).await)?;
                }
            }
        }
        Ok(Some(step))
    }

    async fn apns_keys(&self, after: &str) -> Result<Option<Step>, StoreError> {
        let rows = self.apns_key_rows().await?;
        let active = rows.iter().filter(|row| row.active);
        let mut page: Vec<(String, &ApnsKeyInstallation)> = active
            .map(|row| (row.installation.id().to_string(), &row.installation))
            .filter(|(id, _)| id.as_str() > after)
            .collect();
        page.sort_by(|(one, _), (other, _)| one.cmp(other));
        page.truncate(STEP as usize);
        let Some((last, _)) = page.last() else { return Ok(None) };
        let mut step = Step::new(format!("apnsKey/{last}"), Kind::ApnsKeys);
        for (_, installation) in page {
            step.done += 1;
            if self.is_old(&installation.private_key) {
                step.note(of_apns_key(installation), self.apns_key(installation).await)?;
            }
        }
        Ok(Some(step))
    }

    async fn persons(&self, after: Option<&PassId>) -> Result<Option<Step>, StoreError> {
        let Some(page) = self.personalizations.reseal_behind(after, STEP).await? else { return Ok(None) };
        let mut step = Step::new(format!("person/{}", page.last), Kind::Persons);
        (step.done, step.resealed) = (page.looked_at, page.resealed);
        for (pass, fault) in page.failures {
            let detail = match &fault {
                PersonalizationFailure::Sealed(reason) => reason.to_string(),
                fault => fault.to_string(),
            };
            let subject = format!("the key of the person of {pass}");
            step.fail(Some(pass), subject, "does_not_open", detail);
        }
        Ok(Some(step))
    }

    async fn apns_key_rows(&self) -> Result<Vec<ApnsKeyRow>, QueryError> {
        self.context.read_model.apns_keys_changed_after(Position(0)).await
    }

    fn is_old(&self, sealed: &Sealed) -> bool {
        sealed.key_version() != self.keys.current()
    }

    async fn waiting_key(&self, cert_ref: &CertRef, stored: &RequestedKey) -> Result<(), Fault> {
        let public_key = &stored.public_key;
        let opened = self.keys.open(&stored.private_key, &RequestedKey::owner(cert_ref, public_key));
        let opened = opened.map_err(|fault| Fault::closed(&fault))?;
        let private_key = requests::seal(&opened, cert_ref, public_key, self.keys, self.context.ids);
        let command = CertificateCommand::ResealRequest { public_key: public_key.clone(), private_key };
        self.tell_certificate(cert_ref, command).await
    }

    async fn certificate(&self, row: &CertificateRow) -> Result<(), Fault> {
        let stored = &row.installation;
        let (pass_type, fingerprint) = (&stored.pass_type_identifier, &stored.fingerprint);
        let opened = self.keys.open(&stored.private_key, &Installation::owner(pass_type, fingerprint));
        let opened = opened.map_err(|fault| Fault::closed(&fault))?;
        let text = std::str::from_utf8(&opened).map_err(|fault| Fault::closed(&fault))?;
        let private_key = install::seal(text, pass_type, fingerprint, self.keys, self.context.ids);
        let command = CertificateCommand::Reseal { fingerprint: fingerprint.clone(), private_key };
        self.tell_certificate(&row.cert_ref, command).await
    }

    async fn tell_certificate(&self, cert_ref: &CertRef, command: CertificateCommand) -> Result<(), Fault> {
        let Context { dispatcher, metadata, .. } = self.context;
        let told = dispatcher.dispatch::<Certificate>(cert_ref.as_str(), command, &(), metadata).await?;
        self.context.settle(&told).await;
        Ok(())
    }

    async fn apns_key(&self, stored: &ApnsKeyInstallation) -> Result<(), Fault> {
        let (id, fingerprint) = (stored.id(), &stored.fingerprint);
        let opened = self.keys.open(&stored.private_key, &ApnsKeyInstallation::owner(&id, fingerprint));
        let opened = opened.map_err(|fault| Fault::closed(&fault))?;
        let private_key = seal::seal(&opened, &id, fingerprint, self.keys, self.context.ids);
        let command = ApnsKeyCommand::Reseal { fingerprint: fingerprint.clone(), private_key };
        let Context { dispatcher, metadata, .. } = self.context;
        let told = dispatcher.dispatch::<ApnsKey>(&id.to_string(), command, &(), metadata).await?;
        self.context.settle(&told).await;
        Ok(())
    }
}

fn in_use(named: &NamedCertificate) -> Option<&CertificateRow> {
    named.installed.as_ref().filter(|row| !row.revoked)
}

fn of_certificate(row: &CertificateRow) -> String {
    format!("the certificate {} of {}", row.cert_ref, row.installation.pass_type_identifier)
}

fn of_apns_key(installation: &ApnsKeyInstallation) -> String {
    format!("the APNs key {} ({})", installation.name(), installation.id())
}
