//! An event log as lines of JSON: for archives, for other programs, and for a log that is begun with it.
//!
//! The first line names the log, each further one is an event, the last one counts them. docs/event-log.md has the format.

use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{Checksum, Identity, StoredEvent, Target, TransferError, number};
use crate::engine::Log;
use crate::epoch::Epoch;
use crate::marks::Mark;
use crate::position::Position;

/// The version of the format.
const FORMAT: u32 = 1;

/// Events that are read from a file at once, at most.
const BATCH_EVENTS: usize = 2_000;

/// Bytes of lines after which a batch ends.
const BATCH_BYTES: usize = 4 << 20;

/// The longest line that is read.
const LONGEST_LINE: u64 = 64 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct First {
    honoken_event_log: u32,
    epoch: String,
    marks: Vec<String>,
}

/// An event. The order of its members is that of the line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line<'a> {
    position: u64,
    aggregate_type: std::borrow::Cow<'a, str>,
    aggregate_id: std::borrow::Cow<'a, str>,
    sequence: i64,
    event_type: std::borrow::Cow<'a, str>,
    event_version: std::borrow::Cow<'a, str>,
    /// Unix milliseconds.
    recorded_at: i64,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Last {
    events: u64,
    /// Of all the lines before this one, with their ends.
    sha256: String,
}

/// Writes lines and hashes them.
struct Lines<W> {
    to: W,
    hasher: Sha256,
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &impl Serialize) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hasher.update(&text);
        self.to.write_all(&text)
    }
}

/// Writes a log as it is at this moment, and tells of each batch how far it is. Answers the number of its events.
///
/// # Errors
/// [`TransferError`] when the log is unavailable or has an event that cannot be read, or the writer fails.
pub async fn export(
    log: &Log,
    head: Position,
    to: impl Write,
    mut reached: impl FnMut(Position),
) -> Result<u64, TransferError> {
    let Identity { epoch, marks, is_gapless } = log.identity().await?;
    // Positions that are a server's are no other log's.
    let epoch = if is_gapless { epoch } else { epoch.of_a_renumbered_copy() };
    let marks = marks.iter().map(|mark| mark.as_str().to_owned()).collect();
    let mut lines = Lines { to, hasher: Sha256::new() };
    lines.write(&First { honoken_event_log: FORMAT, epoch: epoch.to_string(), marks })?;
    let (mut position, mut written) = (Position(0), 0);
    while position < head {
        let mut events = log.stored_after(position).await?;
        let Some(last) = events.last() else { break };
        position = last.position;
        events.retain(|event| event.position <= head);
        if !is_gapless {
            number(&mut events, written);
        }
        for event in &events {
            let (payload, metadata) = (one_line(&event.payload)?, one_line(&event.metadata)?);
            lines.write(&Line {
                position: event.position.0,
                aggregate_type: (&event.aggregate_type).into(),
                aggregate_id: (&event.aggregate_id).into(),
                sequence: event.sequence,
                event_type: (&event.event_type).into(),
                event_version: (&event.event_version).into(),
                recorded_at: event.recorded_at_ms,
                payload: &payload,
                metadata: &metadata,
            })?;
            written += 1;
        }
        reached(position.min(head));
    }
    let sha256 = hex::encode(lines.hasher.clone().finalize());
    lines.write(&Last { events: written, sha256 })?;
    lines.to.flush()?;
    Ok(written)
}

/// JSON without line breaks, which may stand between its tokens.
fn one_line(json: &str) -> std::io::Result<Box<RawValue>> {
    if json.contains(['\n', '\r']) {
        let value: serde_json::Value = serde_json::from_str(json)?;
        return Ok(serde_json::value::to_raw_value(&value)?);
    }
    Ok(RawValue::from_string(json.to_owned())?)
}

/// Reads lines, counts and hashes them.
struct Reading<R> {
    from: R,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    hasher: Sha256,
}

impl<R: BufRead> Reading<R> {
    /// The next line with its end; the one before is in the hash. `false` at the end.
    fn next(&mut self) -> Result<bool, TransferError> {
        self.hasher.update(&self.line);
        self.line.clear();
        self.number += 1;
        let read = std::io::Read::take(&mut self.from, LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if read as u64 == LONGEST_LINE {
            return Err(self.fault(format!("it is longer than {LONGEST_LINE} bytes")));
        }
        self.bytes += read as u64;
        Ok(read > 0)
    }

    fn fault(&self, detail: impl Into<String>) -> TransferError {
        TransferError::Line { line: self.number, detail: detail.into() }
    }
}

/// An exported log that is being read.
pub struct Export<R> {
    reading: Reading<R>,
    identity: Identity,
    last: Position,
    events: u64,
    is_over: bool,
}

impl<R: BufRead> Export<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`TransferError::Line`] when it is not that of an exported log.
    pub fn open(from: R) -> Result<Self, TransferError> {
        let mut reading = Reading { from, line: Vec::new(), number: 0, bytes: 0, hasher: Sha256::new() };
        reading.next()?;
        let first: First = serde_json::from_slice(&reading.line).map_err(|fault| {
            reading.fault(format!("this is not a file that `honoken log export` wrote ({fault})"))
        })?;
        if first.honoken_event_log != FORMAT {
            let format = first.honoken_event_log;
            return Err(reading.fault(format!(
                "`honokenEventLog` is {format}, and this release reads {FORMAT}: use the release that wrote it"
            )));
        }
        let epoch = Epoch::parse(&first.epoch)
            .ok()
            .filter(|epoch| epoch.to_string() == first.epoch)
            .ok_or_else(|| reading.fault("`epoch` is not eight hex digits"))?;
        let marks = first.marks.iter().map(|mark| {
            Mark::of_a_process(mark)
                .ok_or_else(|| reading.fault(format!("`marks` has an unknown one, `{mark}`")))
        });
        let marks = marks.collect::<Result<_, _>>()?;
        Ok(Self {
            reading,
            identity: Identity { epoch, marks, is_gapless: true },
            last: Position(0),
            events: 0,
            is_over: false,
        })
    }

    /// What the log says of itself.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How many events were read.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Some more events in order, at most `most`; none at the end, whose number and hash were compared.
    ///
    /// # Errors
    /// [`TransferError::Line`] when a line is not one, stands in the wrong place, or is missing.
    pub fn next_events(&mut self, most: usize) -> Result<Vec<StoredEvent>, TransferError> {
        let mut events = Vec::new();
        let mut bytes = 0;
        while events.len() < most && bytes < BATCH_BYTES && !self.is_over {
            if !self.reading.next()? {
                return Err(self
                    .reading
                    .fault("the file ends here, before its last line, which counts the events"));
            }
            if let Ok(last) = serde_json::from_slice::<Last>(&self.reading.line) {
                self.must_be_whole(&last)?;
                self.is_over = true;
                break;
            }
            bytes += self.reading.line.len();
            let event = self.event()?;
            self.last = event.position;
            self.events += 1;
            events.push(event);
        }
        Ok(events)
    }

    fn event(&self) -> Result<StoredEvent, TransferError> {
        let line: Line<'_> = serde_json::from_slice(&self.reading.line)
            .map_err(|fault| self.reading.fault(format!("this is not an event: {fault}")))?;
        if line.position <= self.last.0 || i64::try_from(line.position).is_err() {
            let detail = format!("`position` is {}, and must be above {}", line.position, self.last);
            return Err(self.reading.fault(detail));
        }
        if line.sequence < 1 {
            return Err(self.reading.fault("`sequence` must be 1 or more"));
        }
        Ok(StoredEvent {
            position: Position(line.position),
            aggregate_type: line.aggregate_type.into_owned(),
            aggregate_id: line.aggregate_id.into_owned(),
            sequence: line.sequence,
            event_type: line.event_type.into_owned(),
            event_version: line.event_version.into_owned(),
            recorded_at_ms: line.recorded_at,
            payload: line.payload.get().to_owned(),
            metadata: line.metadata.get().to_owned(),
        })
    }

    fn must_be_whole(&mut self, last: &Last) -> Result<(), TransferError> {
        let sha256 = hex::encode(self.reading.hasher.clone().finalize());
        if last.events != self.events || last.sha256 != sha256 {
            return Err(self.reading.fault(format!(
                "the file was changed: its end counts {} events with the hash {}, and there are {} with {sha256}",
                last.events, last.sha256, self.events
            )));
        }
        if self.reading.next()? {
            return Err(self.reading.fault("nothing may follow the line that counts the events"));
        }
        Ok(())
    }
}

/// Fills an empty log from an exported one, or goes on where an earlier attempt ended, and tells of each batch how many bytes were read. The log may be used
/// once this has come to its end.
///
/// # Errors
/// [`TransferError`] when the file is not a whole exported log, the target is neither empty nor begun with the same, or it is unavailable. It
/// stays unusable then.
pub async fn import<R: BufRead>(
    export: &mut Export<R>,
    target: &mut Target,
    mut reached: impl FnMut(u64),
) -> Result<Checksum, TransferError> {
    let identity = export.identity().clone();
    let there = target.begin(&identity).await?;
    let mut checksum = Checksum::default();
    loop {
        let events = export.next_events(BATCH_EVENTS)?;
        if events.is_empty() {
            break;
        }
        let new = events.partition_point(|event| event.position <= there);
        let (known, new) = events.split_at(new);
        let is_last_known = |event: &&StoredEvent| event.position == there || !new.is_empty();
        if let Some(event) = known.last().filter(is_last_known)
            && !(event.position == there && target.has(event).await?)
        {
            return Err(TransferError::HasGoneOn(there));
        }
        if !new.is_empty() {
            target.claim(&identity).await?;
        }
        target.append(new).await?;
        checksum.add(&events);
        reached(export.reading.bytes);
    }
    if checksum.last() < there {
        return Err(TransferError::HasGoneOn(there));
    }
    if let Some(stream) = target.stream_with_a_gap().await? {
        return Err(TransferError::Gap(stream));
    }
    checksum.must_equal(&target.checksum(|_| {}).await?)?;
    target.finish(&identity).await?;
    Ok(checksum)
}
