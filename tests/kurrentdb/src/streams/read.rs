//! Reading: which kind of reading a request asks for, and the kinds that come to an end.

use std::sync::Arc;

use tonic::Status;

use crate::errors;
use crate::filter::{Filter, Unusable};
use crate::log::{Place, StreamState};
use crate::protocol::name;
use crate::protocol::streams::read_req::Options;
use crate::protocol::streams::read_req::options::all_options::AllOption;
use crate::protocol::streams::read_req::options::stream_options::RevisionOption;
use crate::protocol::streams::read_req::options::{
    CountOption, FilterOption, ReadDirection, StreamOption, uuid_option,
};
use crate::protocol::streams::{ReadReq, ReadResp};
use crate::state::State;

use super::answer::{self, IdForm};
use super::out::{Answers, Gone, Out, begun, series};
use super::{subscribe_all, subscribe_stream};

/// How many events of a stream are taken from the log at once.
const PAGE: u64 = 256;

/// How many events of `$all` are looked at while nobody else may use the log.
const WINDOW: u32 = 512;

/// Where a reader begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start<T> {
    Beginning,
    End,
    At(T),
}

/// What a request asks for, beside its stream.
struct Wish {
    count: CountOption,
    direction: ReadDirection,
    filter: Option<Filter>,
    ids: IdForm,
    /// Whether the client knows of messages about the ends of a stream.
    says_ends: bool,
}

/// Answers a request, with an error at once if there is one.
pub(crate) async fn answer(state: &Arc<State>, request: ReadReq) -> Result<Answers<ReadResp>, Status> {
    let options = request.options.ok_or_else(errors::unhandled)?;
    let (out, answers) = series();
    let state = Arc::clone(state);
    match options.stream_option.clone() {
        Some(StreamOption::Stream(stream)) => {
            let wish = wish(options)?;
            let name = name(stream.stream_identifier.as_ref());
            let start = match stream.revision_option {
                Some(RevisionOption::Revision(u64::MAX) | RevisionOption::End(())) => Start::End,
                Some(RevisionOption::Revision(revision)) => Start::At(revision),
                Some(RevisionOption::Start(())) => Start::Beginning,
                None => return Err(errors::unhandled()),
            };
            if name.is_empty() {
                return Err(errors::unhandled());
            }
            read_stream(state, name, start, wish, out)?;
        }
        Some(StreamOption::All(all)) => {
            let wish = wish(options)?;
            let start = match all.all_option {
                Some(AllOption::Start(())) => Start::Beginning,
                Some(AllOption::End(())) => Start::End,
                Some(AllOption::Position(place)) if place.commit_position == u64::MAX => Start::End,
                Some(AllOption::Position(place)) => {
                    Start::At(Place { commit: place.commit_position, prepare: place.prepare_position })
                }
                None => return Err(errors::unhandled()),
            };
            read_all(state, start, wish, out)?;
        }
        None => return Err(Status::invalid_argument("'None' is not a valid StreamOptionOneofCase")),
    }
    begun(answers).await
}

fn wish(options: Options) -> Result<Wish, Status> {
    let direction = options.read_direction();
    let ids = match options.uuid_option {
        Some(option) => match option.content {
            Some(uuid_option::Content::String(())) => IdForm::Text,
            _ => IdForm::Structured,
        },
        None => return Err(Status::invalid_argument("'uuidOption' is a required argument")),
    };
    let filter = match options.filter_option {
        Some(FilterOption::Filter(filter)) => {
            Some(Filter::from_options(filter).map_err(|fault| match fault {
                Unusable::Missing(part) => Status::invalid_argument(format!("'{part}' is not valid")),
                Unusable::Pattern => errors::unhandled(),
            })?)
        }
        Some(FilterOption::NoFilter(())) => None,
        None => return Err(invalid_combination()),
    };
    let count = options.count_option.ok_or_else(invalid_combination)?;
    let says_ends = options.control_option.is_some_and(|control| control.compatibility >= 1);
    Ok(Wish { count, direction, filter, ids, says_ends })
}

fn invalid_combination() -> Status {
    Status::invalid_argument("The combination of options is invalid.")
}

fn read_stream(
    state: Arc<State>,
    name: String,
    start: Start<u64>,
    wish: Wish,
    out: Out<ReadResp>,
) -> Result<(), Status> {
    let count = match (&wish.count, wish.direction, &wish.filter) {
        (CountOption::Subscription(_), ReadDirection::Forwards, None) => {
            tokio::spawn(subscribe_stream::serve(state, name, start, wish.ids, out));
            return Ok(());
        }
        (CountOption::Count(0), _, None) => return Err(errors::failed_read("ReadStreamResult: Error")),
        (CountOption::Count(count), _, None) => *count,
        _ => return Err(invalid_combination()),
    };
    tokio::spawn(async move {
        match wish.direction {
            ReadDirection::Forwards => forwards(&state, &name, start, count, &wish, &out).await,
            ReadDirection::Backwards => backwards(&state, &name, start, count, &wish, &out).await,
        }
    });
    Ok(())
}

/// The ends of a stream that is there; else what its readers are told.
async fn ends(state: &State, stream: &str, out: &Out<ReadResp>) -> Result<Option<(u64, u64)>, Gone> {
    let found = state.log().state_of(stream);
    match found {
        StreamState::Known { first, last } => Ok(Some((first, last))),
        StreamState::NotFound => out.send(answer::not_found(stream)).await.map(|()| None),
        StreamState::Tombstoned => out.fail(errors::stream_deleted(stream)).await.map(|()| None),
    }
}

async fn forwards(
    state: &State,
    stream: &str,
    start: Start<u64>,
    count: u64,
    wish: &Wish,
    out: &Out<ReadResp>,
) -> Result<(), Gone> {
    let Some((first, mut last)) = ends(state, stream, out).await? else { return Ok(()) };
    let asked = match start {
        Start::Beginning => 0,
        Start::At(revision) => revision,
        Start::End => last.saturating_add(1),
    };
    let page = count.min(u64::from(crate::filter::PAGE));
    let begins = if asked > last { last + 1 } else { first };
    if wish.says_ends && asked != begins && (asked > last || asked.saturating_add(page) <= first) {
        out.send(answer::first_revision(begins)).await?;
    }
    let (mut next, mut left) = (asked.max(first), count);
    while left > 0 {
        let records = state.log().range_of(stream, next, left.min(PAGE));
        if records.is_empty() {
            break;
        }
        next += records.len() as u64;
        left -= records.len() as u64;
        for record in records {
            last = last.max(record.revision);
            out.send(answer::event(&record, wish.ids)).await?;
        }
    }
    if wish.says_ends {
        out.send(answer::last_revision(last)).await?;
    }
    Ok(())
}

async fn backwards(
    state: &State,
    stream: &str,
    start: Start<u64>,
    count: u64,
    wish: &Wish,
    out: &Out<ReadResp>,
) -> Result<(), Gone> {
    let Some((first, last)) = ends(state, stream, out).await? else { return Ok(()) };
    let asked = match start {
        Start::Beginning => 0,
        Start::At(revision) => revision.min(last),
        Start::End => last,
    };
    let (mut end, mut left) = (asked + 1, count);
    while left > 0 && end > first {
        let size = left.min(PAGE).min(end - first);
        let records = state.log().range_of(stream, end - size, size);
        end -= size;
        left -= size;
        for record in records.iter().rev() {
            out.send(answer::event(record, wish.ids)).await?;
        }
    }
    if wish.says_ends {
        out.send(answer::last_revision(last)).await?;
    }
    Ok(())
}

fn read_all(
    state: Arc<State>,
    start: Start<Place>,
    mut wish: Wish,
    out: Out<ReadResp>,
) -> Result<(), Status> {
    if wish.filter.as_ref().is_some_and(|filter| filter.window == 0) {
        return Err(errors::unhandled());
    }
    let count = match (&wish.count, wish.direction) {
        (CountOption::Subscription(_), ReadDirection::Forwards) => {
            let filter = wish.filter.take();
            if filter.as_ref().is_some_and(|filter| filter.multiplier == 0) {
                return Err(errors::unhandled());
            }
            tokio::spawn(subscribe_all::serve(state, start, filter, wish.ids, out));
            return Ok(());
        }
        (CountOption::Count(0), _) => return Err(errors::failed_read("ReadAllResult: Error")),
        (CountOption::Count(count), _) => *count,
        (CountOption::Subscription(_), ReadDirection::Backwards) => return Err(invalid_combination()),
    };
    tokio::spawn(async move { pages_of_all(&state, start, count, &wish, &out).await });
    Ok(())
}

async fn pages_of_all(
    state: &State,
    start: Start<Place>,
    count: u64,
    wish: &Wish,
    out: &Out<ReadResp>,
) -> Result<(), Gone> {
    let mut place = match start {
        Start::Beginning => Place::FIRST,
        Start::End => Place::of(state.log().end()),
        Start::At(place) => place,
    };
    let mut left = count;
    while left > 0 {
        let size = usize::try_from(left.min(PAGE)).unwrap_or(usize::MAX);
        let filter = wish.filter.as_ref().filter(|_| !state.faults.ignores_filters());
        let page = match wish.direction {
            ReadDirection::Forwards => state.log().page(place, size, WINDOW, filter),
            ReadDirection::Backwards => state.log().page_backwards(place, size, WINDOW, filter),
        };
        let Ok(page) = page else {
            return out.fail(errors::failed_read("ReadAllResult: InvalidPosition")).await;
        };
        left -= page.records.len() as u64;
        place = page.next;
        for record in page.records {
            out.send(answer::event(&record, wish.ids)).await?;
        }
        if page.is_end {
            break;
        }
    }
    Ok(())
}
