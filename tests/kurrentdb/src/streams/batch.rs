//! Many appends in one call. Each has an id, comes in one message or in several, and is answered by that id, whatever becomes of the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;
use tonic::Streaming;
use uuid::Uuid;

use crate::errors::in_batch;
use crate::faults::Refusal;
use crate::log::{Appended, Conflict, Expected, Proposal};
use crate::protocol::google::rpc;
use crate::protocol::streams::batch_append_req::options::{DeadlineOption, ExpectedStreamPosition};
use crate::protocol::streams::batch_append_req::{Options, ProposedMessage};
use crate::protocol::streams::batch_append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::batch_append_resp::{Result as Answer, Success};
use crate::protocol::streams::{BatchAppendReq, BatchAppendResp};
use crate::protocol::{client, id, name, structured};
use crate::state::{State, now};
use crate::wire::Cutter;

use super::out::{Answers, Gone, Out, series};

/// The longest time that the server gives an append, whatever its client says.
const LONGEST: Duration = Duration::from_secs(7);

/// Serves one call.
pub(crate) fn answer(
    state: &Arc<State>,
    requests: Streaming<BatchAppendReq>,
    cutter: Cutter,
) -> Answers<BatchAppendResp> {
    let (out, answers) = series();
    let batch = Batch { state: Arc::clone(state), out, cutter, pending: HashMap::new() };
    tokio::spawn(batch.run(requests));
    answers
}

struct Batch {
    state: Arc<State>,
    out: Out<BatchAppendResp>,
    cutter: Cutter,
    /// Appends of which messages are missing.
    pending: HashMap<Uuid, Pending>,
}

struct Pending {
    stream: String,
    expected: Expected,
    deadline: Instant,
    events: Vec<Proposal>,
    size: usize,
}

/// Why a message cannot be taken.
type Fault = rpc::Status;

impl Batch {
    /// Ends when the client sends no more, and everything is answered; or when a connection is lost.
    async fn run(mut self, mut requests: Streaming<BatchAppendReq>) -> Result<(), Gone> {
        loop {
            let soonest = self.pending.values().map(|pending| pending.deadline).min();
            let expiry = async {
                match soonest {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                message = requests.message() => Some(message),
                () = expiry => None,
            };
            match message {
                None => self.expire().await?,
                Some(Ok(Some(request))) => self.take(request).await?,
                Some(Ok(None) | Err(_)) => return Ok(()),
            }
        }
    }

    async fn expire(&mut self) -> Result<(), Gone> {
        let present = Instant::now();
        let late: Vec<Uuid> =
            self.pending.iter().filter(|(_, one)| one.deadline <= present).map(|(id, _)| *id).collect();
        for correlation in late {
            let Some(pending) = self.pending.remove(&correlation) else { continue };
            self.refuse(correlation, &pending.stream, in_batch::timed_out()).await?;
        }
        Ok(())
    }

    async fn take(&mut self, request: BatchAppendReq) -> Result<(), Gone> {
        let sent = name(request.options.as_ref().and_then(|options| options.stream_identifier.as_ref()));
        let Some(correlation) = id(request.correlation_id.clone()) else {
            let fault = in_batch::bad_request("Value cannot be null. (Parameter 'dto')");
            return self.refuse(Uuid::nil(), &sent, fault).await;
        };
        if let Some(options) = &request.options {
            match Pending::begun(options) {
                Ok(pending) => drop(self.pending.entry(correlation).or_insert(pending)),
                Err(fault) => return self.refuse(correlation, &sent, fault).await,
            }
        }
        let limit = self.state.faults.append_limit();
        let Some(pending) = self.pending.get_mut(&correlation) else { return Ok(()) };
        let stream = pending.stream.clone();
        if let Err(fault) = pending.add(request.proposed_messages, limit) {
            self.pending.remove(&correlation);
            return self.refuse(correlation, &stream, fault).await;
        }
        if !request.is_final {
            return Ok(());
        }
        let Some(pending) = self.pending.remove(&correlation) else { return Ok(()) };
        self.store(correlation, pending).await
    }

    async fn store(&mut self, correlation: Uuid, pending: Pending) -> Result<(), Gone> {
        let Pending { stream, expected, events, .. } = pending;
        match self.state.faults.refusal() {
            Some(Refusal::NotReady) => {
                let fault = in_batch::not_handled("Server Is Not Ready");
                return self.refuse(correlation, &stream, fault).await;
            }
            Some(Refusal::Busy) => {
                let fault = in_batch::not_handled("Server Is Busy");
                return self.refuse(correlation, &stream, fault).await;
            }
            Some(Refusal::AccessDenied) => {
                return self.refuse(correlation, &stream, in_batch::access_denied()).await;
            }
            Some(Refusal::TimedOut) => {
                return self.refuse(correlation, &stream, in_batch::timed_out()).await;
            }
            Some(refusal @ (Refusal::NotLeader { .. } | Refusal::Exhausted)) => {
                self.out.fail(refusal.status()).await?;
                return Err(Gone);
            }
            None => {}
        }
        let answer = match self.state.append(&stream, expected, events) {
            Ok(appended) => Answer::Success(success(appended)),
            Err(Conflict::WrongVersion { current }) => {
                Answer::Error(in_batch::wrong_version(expected, current))
            }
            Err(Conflict::Deleted) => Answer::Error(in_batch::stream_deleted(&stream)),
        };
        if self.state.faults.takes_this_answer() {
            self.cutter.cut();
            return Err(Gone);
        }
        self.say(correlation, &stream, answer).await
    }

    async fn refuse(&self, correlation: Uuid, stream: &str, fault: Fault) -> Result<(), Gone> {
        self.say(correlation, stream, Answer::Error(fault)).await
    }

    async fn say(&self, correlation: Uuid, stream: &str, answer: Answer) -> Result<(), Gone> {
        let response = BatchAppendResp {
            correlation_id: Some(structured(correlation)),
            stream_identifier: Some(crate::protocol::identifier(stream)),
            expected_stream_position: None,
            result: Some(answer),
        };
        self.out.send(response).await
    }
}

impl Pending {
    fn begun(options: &Options) -> Result<Self, Fault> {
        let stream = name(options.stream_identifier.as_ref());
        if options.stream_identifier.is_none() {
            return Err(in_batch::bad_request("Required field stream_identifier not set."));
        }
        let time = asked_time(options.deadline_option.as_ref()).min(LONGEST);
        if time.is_zero() {
            return Err(in_batch::timed_out());
        }
        let expected = match options.expected_stream_position {
            Some(ExpectedStreamPosition::StreamPosition(revision)) => Expected::Exactly(revision),
            Some(ExpectedStreamPosition::Any(())) => Expected::Any,
            Some(ExpectedStreamPosition::StreamExists(())) => Expected::Exists,
            Some(ExpectedStreamPosition::NoStream(())) => Expected::NoStream,
            None => {
                return Err(in_batch::bad_request("'None' is not a valid ExpectedStreamPositionOneofCase"));
            }
        };
        let deadline = Instant::now() + time;
        Ok(Pending { stream, expected, deadline, events: Vec::new(), size: 0 })
    }

    fn add(&mut self, messages: Vec<ProposedMessage>, limit: usize) -> Result<(), Fault> {
        for message in messages {
            let event = proposal(message)?;
            self.size += event.size();
            self.events.push(event);
        }
        if self.size > limit { Err(in_batch::append_too_large(limit)) } else { Ok(()) }
    }
}

/// How long the client would wait: a length of time, or in the protocol of 21.10 a point in time.
fn asked_time(option: Option<&DeadlineOption>) -> Duration {
    match option {
        Some(DeadlineOption::Deadline(time)) => Duration::try_from(*time).unwrap_or_default(),
        Some(DeadlineOption::Deadline21100(point)) => {
            let since = Duration::new(
                point.seconds.try_into().unwrap_or_default(),
                point.nanos.try_into().unwrap_or_default(),
            );
            (UNIX_EPOCH + since).duration_since(now()).unwrap_or_default()
        }
        None => Duration::MAX,
    }
}

fn proposal(message: ProposedMessage) -> Result<Proposal, Fault> {
    let property = |name: &str| {
        let missing = || in_batch::bad_request(&format!("Required Metadata Property '{name}' is missing"));
        message.metadata.get(name).cloned().ok_or_else(missing)
    };
    let event_type = property("type")?;
    let is_json = property("content-type")? == "application/json";
    let id = id(message.id).filter(|id| !id.is_nil());
    let id = id.ok_or_else(|| in_batch::bad_request("Empty eventId provided. (Parameter 'eventId')"))?;
    if event_type.is_empty() {
        return Err(in_batch::bad_request("Empty eventType provided. (Parameter 'eventType')"));
    }
    Ok(Proposal { id, event_type, is_json, data: message.data, metadata: message.custom_metadata })
}

fn success(appended: Appended) -> Success {
    let position =
        client::AllStreamPosition { commit_position: appended.position, prepare_position: appended.position };
    Success {
        current_revision_option: Some(match appended.revision {
            Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
            None => CurrentRevisionOption::NoStream(()),
        }),
        position_option: Some(PositionOption::Position(position)),
    }
}
