//! Whether `honoken dev` may use an event log: only one that it began itself, and never one that `serve` has run on.
//!
//! `dev` sends pushes to no phone and records them as not sent, installs a certificate of its own, and gives everybody who can read its folder
//! every right. On the database of a service all of that is damage. So it leaves a mark in the event log that it begins, and `serve` leaves
//! one in every event log that it runs on.

use honoken_event_store::{Mark, Origin};

use crate::dev::sample;
use crate::storage::Storage;

/// Refuses an event log that is not one of `dev`. Nothing is changed.
///
/// # Errors
/// When it is not, with what to do; or when the storage cannot be read.
pub async fn check(storage: &Storage) -> anyhow::Result<()> {
    let Some(reason) = foreign(&storage.origin().await?) else { return Ok(()) };
    anyhow::bail!(
        "{reason}, and `honoken dev` would harm it: it sends no pushes, installs a certificate of its own and weakens its credentials. Start it with \
         `honoken serve`; or give `dev` a place of its own: another folder with --data-dir, and no DATABASE_URL, or one of an empty database"
    )
}

/// Leaves the mark of `dev`, once the tables are there and before anything else is in them.
///
/// # Errors
/// When the storage cannot be written.
pub async fn claim(storage: &Storage) -> anyhow::Result<()> {
    storage.put_mark(Mark::Dev).await
}

/// Why an event log is not one of `dev`. An earlier release left no mark; an event log that has the organisation of `dev` alone is its work.
fn foreign(origin: &Origin) -> Option<&'static str> {
    let has_own_organization_alone = || origin.organizations == [sample::ORGANIZATION];
    if origin.is_served {
        Some("`honoken serve` has run on this database")
    } else if origin.is_of_dev || !origin.has_events || has_own_organization_alone() {
        None
    } else {
        Some("this database was not begun by `honoken dev`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_goes_on_with_what_it_began_and_with_nothing_that_was_served() {
        let of = |is_of_dev, is_served, has_events, organizations: &[&str]| {
            let organizations = organizations.iter().map(|&name| name.to_owned()).collect();
            foreign(&Origin { is_of_dev, is_served, has_events, organizations }).is_some()
        };
        assert!(!of(false, false, false, &[]), "an empty one is begun");
        assert!(!of(true, false, true, &["club", "dev"]), "organisations made meanwhile are its own");
        assert!(!of(false, false, true, &["dev"]), "one of a release that left no marks");
        assert!(of(false, false, true, &["club", "dev"]));
        assert!(of(false, false, true, &["club"]));
        assert!(of(false, false, true, &[]), "some events, and no organisation of dev");
        assert!(of(true, true, true, &["dev"]));
        assert!(of(false, true, false, &[]), "serve may have no organisation yet");
    }
}
