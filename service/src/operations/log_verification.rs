//! Verifies an event log beside the processes that use it: the order of its events, that each of them decodes, and that the images it needs are
//! in the image store.
//!
//! The memory it takes grows with the number of different images (32 bytes for each), and with nothing else, unless images are missing.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::future::BoxFuture;
use honoken_domain::any_event::AnyEvent;
use honoken_domain::ids::Digest;
use honoken_domain::upcasters::Upcasters;
use honoken_event_store::{EventLog, Log, LogError, Position, RecordedEvent};
use honoken_telemetry::error_chain;

use crate::image_store::{ImageStore, StoreFault};

/// Faults that are told one by one. The rest is counted.
const TOLD: usize = 100;

/// Events that are read at a time.
const BATCH: u32 = 250;

/// Images that are read at a time.
const IMAGES_AT_A_TIME: usize = 8;

/// Aggregates that are named for an image that is missing.
const NAMED: usize = 3;

/// The faults that were found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Faults {
    told: Vec<String>,
    count: u64,
}

impl Faults {
    /// Adds one, as a sentence without its full stop.
    pub fn add(&mut self, fault: String) {
        if self.told.len() < TOLD {
            self.told.push(fault);
        }
        self.count += 1;
    }

    /// The first hundred.
    pub fn told(&self) -> &[String] {
        &self.told
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// The images that a log names, as the bytes of their digests.
pub type NamedImages = BTreeSet<[u8; 32]>;

/// Reads the log up to a position, and tells of each batch how far it is: positions follow each other (not on KurrentDB, where they are no numbers),
/// streams are numbered from 1 on, rows can be read, and their events decode. Answers the images that they name.
///
/// # Errors
/// When the store is unavailable.
pub fn verify_events<'a>(
    log: &'a Log,
    head: Position,
    faults: &'a mut Faults,
    report: &'a mut (dyn FnMut(Position) + Send),
) -> BoxFuture<'a, Result<NamedImages, LogError>> {
    Box::pin(async move {
        let mut images = NamedImages::new();
        let mut position = Position(0);
        let upcasters = Upcasters::current();
        while position < head {
            let (events, unreadable) = read_after(log, position).await?;
            let Some(last) = events.last().map(|event| event.position) else {
                faults.add(missing(position, Position(head.0 + 1)));
                break;
            };
            for event in events {
                if log.is_gapless() && event.position.0 != position.0 + 1 {
                    faults.add(missing(position, event.position));
                }
                position = event.position;
                if let Some(fault) = &unreadable {
                    faults.add(format!("{} {fault}", name_of(&event)));
                } else {
                    verify_event(event, &upcasters, faults, &mut images);
                }
            }
            report(last.min(head));
        }
        let told = u32::try_from(TOLD).unwrap_or(u32::MAX);
        for stream in log.streams_with_gaps(told).await? {
            faults.add(format!("the events of {stream} are not numbered from 1 on without a gap"));
        }
        Ok(images)
    })
}

/// The next events; or the next one alone, with the fault, where it cannot be read.
async fn read_after(log: &Log, position: Position) -> Result<(Vec<RecordedEvent>, Option<String>), LogError> {
    match log.read_after(position, BATCH).await {
        Err(LogError::Unreadable { event, source }) => {
            Ok((vec![*event], Some(format!("cannot be read: {}", error_chain(&source)))))
        }
        events => Ok((events?, None)),
    }
}

fn verify_event(
    recorded: RecordedEvent,
    upcasters: &Upcasters,
    faults: &mut Faults,
    images: &mut NamedImages,
) {
    let name = name_of(&recorded);
    let stored_type = recorded.event.event_type.clone();
    let event = upcasters.upcast(recorded.event);
    match AnyEvent::decode(&event.aggregate_type, event.payload) {
        Ok(decoded) => {
            if decoded.event_type != event.event_type {
                faults
                    .add(format!("{name} is stored as {stored_type} and decodes as {}", decoded.event_type));
            }
            let named = [decoded.own_images, decoded.shown_images].into_iter().flatten().flatten();
            images.extend(named.filter_map(|digest| bytes_of(&digest)));
        }
        Err(fault) => faults.add(format!("{name} cannot be understood: {}", error_chain(&fault))),
    }
}

fn name_of(recorded: &RecordedEvent) -> String {
    let RecordedEvent { position, event, .. } = recorded;
    format!(
        "the event at position {position}, {} of {} {},",
        event.event_type, event.aggregate_type, event.aggregate_id
    )
}

/// The sentence about positions between two that are there.
fn missing(before: Position, behind: Position) -> String {
    match (before.0 + 1, behind.0 - 1) {
        (from, to) if from == to => format!("there is no event at position {from}"),
        (from, to) => format!("there are no events at positions {from} to {to}"),
    }
}

fn bytes_of(digest: &Digest) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(digest.as_str(), &mut bytes).ok().map(|()| bytes)
}

fn digest_of(bytes: &[u8; 32]) -> Option<Digest> {
    Digest::parse(hex::encode(bytes)).ok()
}

/// The images that are not in the store as they were uploaded, with the fault: the first hundred, and the number of all.
#[derive(Debug, Default)]
pub struct BadImages {
    told: BTreeMap<Digest, String>,
    count: u64,
}

impl BadImages {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Reads images and compares them with their digests, and tells how many are done.
///
/// # Errors
/// When a store on another machine cannot be used: that says nothing about an image.
pub fn verify_images<'a>(
    store: &'a ImageStore,
    images: &'a NamedImages,
    report: &'a mut (dyn FnMut(u64) + Send),
) -> BoxFuture<'a, Result<BadImages, StoreFault>> {
    Box::pin(async move {
        let mut bad = BadImages::default();
        let mut done = 0;
        let reading = images.iter().filter_map(digest_of).map(|digest| look_at(store, digest));
        let mut answers = futures::stream::iter(reading).buffer_unordered(IMAGES_AT_A_TIME);
        while let Some(answer) = answers.next().await {
            if let (digest, Some(fault)) = answer? {
                bad.count += 1;
                if bad.told.len() < TOLD {
                    bad.told.insert(digest, fault);
                }
            }
            done += 1;
            report(done);
        }
        Ok(bad)
    })
}

async fn look_at(store: &ImageStore, digest: Digest) -> Result<(Digest, Option<String>), StoreFault> {
    let fault = match store.read(&digest).await {
        Ok(Some(bytes)) if Digest::of(&bytes) == digest => None,
        Ok(Some(_)) => Some("is not what was uploaded".to_owned()),
        Ok(None) => Some("is missing".to_owned()),
        Err(fault) if store.place().is_remote() => return Err(fault),
        Err(fault) => Some(format!("cannot be read: {}", error_chain(&fault))),
    };
    Ok((digest, fault))
}

/// The images of an aggregate.
#[derive(Default)]
struct Images {
    own: BTreeSet<Digest>,
    shown: BTreeSet<Digest>,
}

/// Reads the log again for the aggregates that need images which are not there, and adds a fault for each image that one needs now. Of images
/// behind the first hundred it is not known whether they are needed; they are one fault together.
///
/// # Errors
/// When the store is unavailable.
pub fn name_those_in_need<'a>(
    log: &'a Log,
    head: Position,
    bad: &'a BadImages,
    faults: &'a mut Faults,
    report: &'a mut (dyn FnMut(Position) + Send),
) -> BoxFuture<'a, Result<(), LogError>> {
    Box::pin(async move {
        let mut aggregates: BTreeMap<(String, String), Images> = BTreeMap::new();
        let mut position = Position(0);
        let upcasters = Upcasters::current();
        while position < head {
            let (events, _) = read_after(log, position).await?;
            let Some(last) = events.last().map(|event| event.position) else { break };
            for recorded in events {
                let event = upcasters.upcast(recorded.event);
                // Those that do not decode were told already.
                let Ok(decoded) = AnyEvent::decode(&event.aggregate_type, event.payload) else { continue };
                let key = (event.aggregate_type, event.aggregate_id);
                let bad_of = |images: BTreeSet<Digest>| -> BTreeSet<Digest> {
                    images.into_iter().filter(|digest| bad.told.contains_key(digest)).collect()
                };
                let (own, shown) = (decoded.own_images.map(bad_of), decoded.shown_images.map(bad_of));
                let has_some = own.iter().chain(&shown).any(|images| !images.is_empty());
                if has_some || aggregates.contains_key(&key) {
                    let images = aggregates.entry(key).or_default();
                    images.own = own.unwrap_or_else(|| std::mem::take(&mut images.own));
                    images.shown = shown.unwrap_or_else(|| std::mem::take(&mut images.shown));
                }
            }
            position = last;
            report(last.min(head));
        }
        add_faults(&aggregates, bad, faults);
        Ok(())
    })
}

fn add_faults(aggregates: &BTreeMap<(String, String), Images>, bad: &BadImages, faults: &mut Faults) {
    let mut needs: BTreeMap<&Digest, (Vec<String>, usize)> = BTreeMap::new();
    for ((aggregate_type, aggregate_id), images) in aggregates {
        for digest in images.own.union(&images.shown) {
            let (names, count) = needs.entry(digest).or_default();
            if names.len() < NAMED {
                names.push(format!("{aggregate_type} {aggregate_id}"));
            }
            *count += 1;
        }
    }
    for (digest, (names, count)) in needs {
        let fault = bad.told.get(digest).map_or("is missing", String::as_str);
        let more = match count - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        faults.add(format!("the image {digest} {fault}; needed by {}{more}", names.join(", ")));
    }
    let untold = bad.count - bad.told.len() as u64;
    if untold > 0 {
        faults.add(format!("{untold} more images that the event log names are missing or damaged"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_faults_are_told_and_all_are_counted() {
        let mut faults = Faults::default();
        (0..250).for_each(|number| faults.add(number.to_string()));
        assert_eq!((faults.told().len(), faults.count()), (100, 250));
    }

    #[test]
    fn the_range_of_a_gap_is_told() {
        assert_eq!(missing(Position(4), Position(6)), "there is no event at position 5");
        assert_eq!(missing(Position(0), Position(4)), "there are no events at positions 1 to 3");
    }

    #[test]
    fn an_image_names_some_of_those_that_need_it() {
        let (gone, other) = (Digest::of(b"gone"), Digest::of(b"not needed any more"));
        let told =
            BTreeMap::from([(gone.clone(), "is missing".to_owned()), (other, "is missing".to_owned())]);
        let bad = BadImages { told, count: 2 };
        let key = |number: u32| ("Pass".to_owned(), format!("pass.com.example/{number}"));
        let needs = |_| Images { own: BTreeSet::new(), shown: BTreeSet::from([gone.clone()]) };
        let aggregates = (1..=5).map(|number| (key(number), needs(number))).collect();
        let mut faults = Faults::default();
        add_faults(&aggregates, &bad, &mut faults);
        let expected = format!(
            "the image {gone} is missing; needed by Pass pass.com.example/1, Pass pass.com.example/2, Pass pass.com.example/3 and 2 more"
        );
        assert_eq!(faults.told(), [expected]);
    }
}
