//! Deleting streams.

use tonic::Status;

use crate::errors;
use crate::log::{Conflict, Expected};
use crate::protocol::name;
use crate::protocol::streams::delete_req::options::ExpectedStreamRevision as OfDelete;
use crate::protocol::streams::tombstone_req::options::ExpectedStreamRevision as OfTombstone;
use crate::protocol::streams::{
    DeleteReq, DeleteResp, TombstoneReq, TombstoneResp, delete_resp, tombstone_resp,
};
use crate::state::State;

/// Hides the events of a stream until something is appended to it.
pub(crate) fn delete(state: &State, request: DeleteReq) -> Result<DeleteResp, Status> {
    let options = request.options.ok_or_else(errors::unhandled)?;
    let expected = match options.expected_stream_revision {
        Some(OfDelete::Any(())) => Expected::Any,
        Some(OfDelete::NoStream(())) => Expected::NoStream,
        Some(OfDelete::StreamExists(())) => Expected::Exists,
        Some(OfDelete::Revision(revision)) => Expected::Exactly(revision),
        None => {
            return Err(Status::invalid_argument("'None' is not a valid ExpectedStreamRevisionOneofCase"));
        }
    };
    let stream = name(options.stream_identifier.as_ref());
    let position =
        state.delete(&stream, expected).map_err(|conflict| refusal(&stream, expected, conflict))?;
    let position = delete_resp::Position { commit_position: position, prepare_position: position };
    Ok(DeleteResp { position_option: Some(delete_resp::PositionOption::Position(position)) })
}

/// Ends a stream for ever.
pub(crate) fn tombstone(state: &State, request: TombstoneReq) -> Result<TombstoneResp, Status> {
    let options = request.options.ok_or_else(errors::unhandled)?;
    let expected = match options.expected_stream_revision {
        Some(OfTombstone::Any(())) => Expected::Any,
        Some(OfTombstone::NoStream(())) => Expected::NoStream,
        Some(OfTombstone::StreamExists(())) => Expected::Exists,
        Some(OfTombstone::Revision(revision)) => Expected::Exactly(revision),
        None => {
            return Err(Status::invalid_argument("'None' is not a valid ExpectedStreamRevisionOneofCase"));
        }
    };
    let stream = name(options.stream_identifier.as_ref());
    let position =
        state.tombstone(&stream, expected).map_err(|conflict| refusal(&stream, expected, conflict))?;
    let position = tombstone_resp::Position { commit_position: position, prepare_position: position };
    Ok(TombstoneResp { position_option: Some(tombstone_resp::PositionOption::Position(position)) })
}

fn refusal(stream: &str, expected: Expected, conflict: Conflict) -> Status {
    match conflict {
        Conflict::WrongVersion { current } => errors::wrong_version(stream, expected, current),
        Conflict::Deleted => errors::stream_deleted(stream),
    }
}
