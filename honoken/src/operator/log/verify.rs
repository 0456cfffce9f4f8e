//! `honoken log verify`

use honoken_domain::ids::UnixSeconds;
use honoken_event_store::{EventLog, Log, Position};
use honoken_projections::Comparison;
use honoken_service::clock::Clock;
use honoken_service::ids::IdSource;
use honoken_service::image_store::{ImageStore, Place as ImagePlace};
use honoken_service::operations::log_verification::{
    Faults, NamedImages, name_those_in_need, verify_events, verify_images,
};
use honoken_service::stores;

use crate::config::Config;
use crate::operator::print::print_line;
use crate::operator::progress::Progress;
use crate::operator::session::{Place, StorageOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  honoken log verify --data-dir /srv/honoken
  DATABASE_URL=postgres://honoken@localhost/honoken HONOKEN_ASSETS_URL=fs:/srv/images honoken log verify

It reads, and changes nothing. It ends with status 1 when there is a fault, and has a line for each of the first hundred. The fresh read model
that it compares with needs room where temporary files are (TMPDIR). HONOKEN_RETENTION_DAYS must be that of the service.";

/// Verifies the event log.
///
/// # Errors
/// When it cannot be read, or has faults.
pub(super) async fn run(
    options: &StorageOptions,
    config: &Config,
    clock: &dyn Clock,
    ids: &dyn IdSource,
) -> anyhow::Result<()> {
    let place = options.place(config)?;
    let log = place.open_log(ids).await?;
    let head = *log.head().borrow();
    let mut verification = Verification { log: &log, head, faults: Faults::default() };
    let cutoff = || config.retention.cutoff(clock.unix_seconds());
    let verified = verification.run(&place, options.images(config), &cutoff).await;
    let faults = verification.faults;
    log.close().await;
    for fault in faults.told() {
        print_line(fault)?;
    }
    let more = faults.count() - faults.told().len() as u64;
    if more > 0 {
        print_line(&format!("and {more} more"))?;
    }
    let sentences = verified?;
    anyhow::ensure!(faults.count() == 0, "faults were found: {}", faults.count());
    sentences.iter().try_for_each(|sentence| print_line(sentence))
}

struct Verification<'a> {
    log: &'a Log,
    head: Position,
    faults: Faults,
}

impl Verification<'_> {
    /// Answers the sentences about what was found to be well.
    async fn run(
        &mut self,
        place: &Place,
        images: ImagePlace,
        cutoff: &(dyn Fn() -> UnixSeconds + Sync),
    ) -> anyhow::Result<Vec<String>> {
        let mut progress = Progress::of("events", self.head.0);
        let mut report = |position: Position| progress.at(position.0);
        let named = verify_events(self.log, self.head, &mut self.faults, &mut report).await;
        progress.clear();
        let named = named?;
        let is_whole = self.faults.count() == 0;
        let of_log = format!(
            "the event log is whole up to position {}: every event is there, in order, and decodes",
            self.head
        );
        let of_images = self.look_for(&named, images).await?;
        // A log with faults does not say how the tables should be.
        let of_tables = if is_whole { self.compare(place, cutoff).await? } else { String::new() };
        Ok(vec![of_log, of_images, of_tables])
    }

    async fn look_for(&mut self, images: &NamedImages, place: ImagePlace) -> anyhow::Result<String> {
        if images.is_empty() {
            return Ok("it names no image".to_owned());
        }
        match &place {
            ImagePlace::Memory => {
                return Ok("images were not looked for: they are in the memory of a process".to_owned());
            }
            // Opening it would make it.
            ImagePlace::Folder(folder) => anyhow::ensure!(
                folder.is_dir(),
                "there is no folder {} with the images: name the data folder of the service with --data-dir, or set HONOKEN_ASSETS_URL",
                folder.display()
            ),
            ImagePlace::Remote(_) => {}
        }
        let store = ImageStore::open(&place)?;
        let mut progress = Progress::of("images", images.len() as u64);
        let bad = verify_images(&store, images, &mut |done| progress.at(done)).await;
        progress.clear();
        let bad = bad?;
        if bad.count() == 0 {
            return Ok(format!("the {} images that it names are in the image store, whole", images.len()));
        }
        let mut progress = Progress::of("events", self.head.0);
        let mut report = |position: Position| progress.at(position.0);
        let named = name_those_in_need(self.log, self.head, &bad, &mut self.faults, &mut report).await;
        progress.clear();
        named?;
        Ok("every image that is needed is in the image store, whole".to_owned())
    }

    async fn compare(
        &mut self,
        place: &Place,
        cutoff: &(dyn Fn() -> UnixSeconds + Sync),
    ) -> anyhow::Result<String> {
        const NONE: &str = "there is no read model yet, so none was compared";
        let Some(read_model) = place.existing_read_model().await? else { return Ok(NONE.to_owned()) };
        let mut progress = Progress::of("events of a fresh read model", self.head.0);
        let mut report = |position: Position| progress.at(position.0);
        let mut add = |difference| self.faults.add(difference);
        let compared = stores::compare_with_fresh(self.log, &read_model, cutoff, &mut report, &mut add).await;
        progress.clear();
        read_model.close().await;
        Ok(match compared? {
            Comparison::Empty => NONE.to_owned(),
            Comparison::Foreign => "the read model was not compared: it is of another event log or release, and the next start fills it again"
                .to_owned(),
            Comparison::Compared { position, rows } => {
                format!("the read model at position {position} equals a fresh one in all of its {rows} rows")
            }
        })
    }
}
