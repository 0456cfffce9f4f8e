//! The service that reads and writes streams.

mod answer;
mod append;
mod batch;
mod delete;
mod out;
mod read;
mod subscribe_all;
mod subscribe_stream;

use std::sync::Arc;

use futures::StreamExt;
use tonic::{Request, Response, Status, Streaming};

use crate::protocol::streams::read_resp::Content;
use crate::protocol::streams::streams_server;
use crate::protocol::streams::{
    AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp,
    TombstoneReq, TombstoneResp,
};
use crate::state::State;
use crate::wire::Cutter;

use out::Answers;

/// The service.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) state: Arc<State>,
}

/// The connection on which a request came.
fn cutter<T>(request: &Request<T>) -> Cutter {
    request.extensions().get::<Cutter>().cloned().unwrap_or_default()
}

#[tonic::async_trait]
impl streams_server::Streams for Streams {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        self.state.faults.count_read();
        let (faults, cutter) = (Arc::clone(&self.state.faults), cutter(&request));
        let answers = read::answer(&self.state, request.into_inner()).await?;
        let watched = answers.inspect(move |answer| {
            let is_event = matches!(answer, Ok(ReadResp { content: Some(Content::Event(_)) }));
            if is_event && faults.ends_this_read() {
                cutter.cut();
            }
        });
        Ok(Response::new(watched.boxed()))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        let cutter = cutter(&request);
        append::answer(&self.state, request.into_inner(), &cutter).await.map(Response::new)
    }

    async fn delete(&self, request: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        delete::delete(&self.state, request.into_inner()).map(Response::new)
    }

    async fn tombstone(&self, request: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        delete::tombstone(&self.state, request.into_inner()).map(Response::new)
    }

    async fn batch_append(
        &self,
        request: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        let cutter = cutter(&request);
        Ok(Response::new(batch::answer(&self.state, request.into_inner(), cutter)))
    }
}
