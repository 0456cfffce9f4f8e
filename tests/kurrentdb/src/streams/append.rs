//! One append: options, then the events one by one.

use std::sync::Arc;

use tonic::{Status, Streaming};

use crate::errors;
use crate::log::{Appended, Conflict, Expected, Proposal};
use crate::protocol::streams::append_req::options::ExpectedStreamRevision;
use crate::protocol::streams::append_req::{Content, Options, ProposedMessage};
use crate::protocol::streams::append_resp::success::{CurrentRevisionOption, PositionOption};
use crate::protocol::streams::append_resp::wrong_expected_version as wrong;
use crate::protocol::streams::append_resp::{Position, Result as Answer, Success, WrongExpectedVersion};
use crate::protocol::streams::{AppendReq, AppendResp};
use crate::protocol::{id, name};
use crate::state::State;
use crate::wire::Cutter;

/// Answers an append; a conflict is an answer like another.
pub(crate) async fn answer(
    state: &Arc<State>,
    mut request: Streaming<AppendReq>,
    cutter: &Cutter,
) -> Result<AppendResp, Status> {
    let Some(Content::Options(options)) = request.message().await?.and_then(|first| first.content) else {
        return Err(errors::unhandled());
    };
    let stream = name(options.stream_identifier.as_ref());
    let expected = expected(&options)?;
    let limit = state.faults.append_limit();
    let (mut events, mut size) = (Vec::new(), 0);
    while let Some(message) = request.message().await? {
        let Some(Content::ProposedMessage(message)) = message.content else {
            return Err(errors::unhandled());
        };
        let event = proposal(message)?;
        size += event.size();
        if size > limit {
            return Err(errors::append_too_large(limit));
        }
        events.push(event);
    }
    if let Some(refusal) = state.faults.refusal() {
        return Err(refusal.status());
    }
    let result = match state.append(&stream, expected, events) {
        Ok(appended) => Answer::Success(success(appended)),
        Err(Conflict::WrongVersion { current }) => Answer::WrongExpectedVersion(conflict(expected, current)),
        Err(Conflict::Deleted) => return Err(errors::stream_deleted(&stream)),
    };
    if state.faults.takes_this_answer() {
        cutter.cut();
        std::future::pending::<()>().await;
    }
    Ok(AppendResp { result: Some(result) })
}

fn expected(options: &Options) -> Result<Expected, Status> {
    match options.expected_stream_revision {
        Some(ExpectedStreamRevision::Any(())) => Ok(Expected::Any),
        Some(ExpectedStreamRevision::NoStream(())) => Ok(Expected::NoStream),
        Some(ExpectedStreamRevision::StreamExists(())) => Ok(Expected::Exists),
        Some(ExpectedStreamRevision::Revision(revision)) => Ok(Expected::Exactly(revision)),
        None => Err(Status::invalid_argument("'None' is not a valid ExpectedStreamRevisionOneofCase")),
    }
}

fn proposal(message: ProposedMessage) -> Result<Proposal, Status> {
    let property =
        |name: &str| message.metadata.get(name).cloned().ok_or_else(|| errors::missing_metadata(name));
    let event_type = property("type")?;
    let is_json = property("content-type")? == "application/json";
    let id = id(message.id).filter(|id| !id.is_nil()).ok_or_else(errors::unhandled)?;
    if event_type.is_empty() {
        return Err(errors::unhandled());
    }
    Ok(Proposal { id, event_type, is_json, data: message.data, metadata: message.custom_metadata })
}

fn success(appended: Appended) -> Success {
    let position = Position { commit_position: appended.position, prepare_position: appended.position };
    Success {
        current_revision_option: Some(match appended.revision {
            Some(revision) => CurrentRevisionOption::CurrentRevision(revision),
            None => CurrentRevisionOption::NoStream(()),
        }),
        position_option: Some(PositionOption::Position(position)),
    }
}

/// In fields for clients of today and for those of 20.6.
fn conflict(expected: Expected, current: Option<u64>) -> WrongExpectedVersion {
    use wrong::{CurrentRevisionOption, CurrentRevisionOption2060};
    use wrong::{ExpectedRevisionOption, ExpectedRevisionOption2060};
    let (then, today) = match expected {
        Expected::Any => (ExpectedRevisionOption2060::Any2060(()), ExpectedRevisionOption::ExpectedAny(())),
        Expected::Exists => (
            ExpectedRevisionOption2060::StreamExists2060(()),
            ExpectedRevisionOption::ExpectedStreamExists(()),
        ),
        Expected::NoStream => (
            ExpectedRevisionOption2060::ExpectedRevision2060(u64::MAX),
            ExpectedRevisionOption::ExpectedNoStream(()),
        ),
        Expected::Exactly(revision) => (
            ExpectedRevisionOption2060::ExpectedRevision2060(revision),
            ExpectedRevisionOption::ExpectedRevision(revision),
        ),
    };
    let (current_then, current_today) = match current {
        Some(current) => (
            CurrentRevisionOption2060::CurrentRevision2060(current),
            CurrentRevisionOption::CurrentRevision(current),
        ),
        None => (CurrentRevisionOption2060::NoStream2060(()), CurrentRevisionOption::CurrentNoStream(())),
    };
    WrongExpectedVersion {
        current_revision_option_20_6_0: Some(current_then),
        expected_revision_option_20_6_0: Some(then),
        current_revision_option: Some(current_today),
        expected_revision_option: Some(today),
    }
}
