//! Somebody between the phones and the service, who spoils what goes through.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt, stream};
use honoken_simulator::{Answer, HttpClient};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request on its way.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) method: Method,
    /// Path and query, as written.
    pub(super) target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What becomes of a request.
pub(super) enum Turn {
    /// It goes on to the service.
    Forward(Asked),
    /// It is answered here.
    Answer(Answer),
    /// It is never answered.
    Silence,
    /// It is answered with a body that has no end.
    Endless,
}

type OnRequest = dyn Fn(Asked) -> Turn + Send + Sync;
type OnAnswer = dyn Fn(&Asked, Answer) -> Answer + Send + Sync;

/// What is done to requests and to answers.
#[derive(Clone)]
pub(super) struct Meddling {
    on_request: Arc<OnRequest>,
    on_answer: Arc<OnAnswer>,
}

/// The one between. Dropping it ends it.
pub(super) struct Between {
    pub(super) url: String,
    connections: Arc<Connections>,
    _accepting: JoinSet<()>,
}

/// How many connections there are, and how many there were at most.
#[derive(Default)]
struct Connections {
    now: AtomicUsize,
    most: AtomicUsize,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Asked {
    pub(super) fn is_get_pass(&self) -> bool {
        self.method == Method::GET && self.target.contains("/v1/passes/")
    }

    pub(super) fn is_list(&self) -> bool {
        self.method == Method::GET && self.target.contains("/registrations/")
    }

    pub(super) fn is_registration(&self) -> bool {
        self.method == Method::POST && self.target.contains("/registrations/")
    }

    pub(super) fn is_unregistration(&self) -> bool {
        self.method == Method::DELETE
    }

    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// With the header as given, or without it.
    pub(super) fn with(mut self, name: HeaderName, value: Option<&str>) -> Self {
        self.headers.remove(&name);
        self.headers.extend(value.map(|value| (name, HeaderValue::try_from(value).expect("a header"))));
        self
    }
}

impl Meddling {
    pub(super) fn none() -> Self {
        Self { on_request: Arc::new(Turn::Forward), on_answer: Arc::new(|_, answer| answer) }
    }

    pub(super) fn with_requests(on_request: impl Fn(Asked) -> Turn + Send + Sync + 'static) -> Self {
        Self { on_request: Arc::new(on_request), ..Self::none() }
    }

    pub(super) fn with_answers(on_answer: impl Fn(&Asked, Answer) -> Answer + Send + Sync + 'static) -> Self {
        Self { on_answer: Arc::new(on_answer), ..Self::none() }
    }
}

impl Between {
    pub(super) async fn starts(upstream: &str, meddling: Meddling) -> Self {
        Self::listens(upstream, meddling, None).await
    }

    pub(super) async fn listens(upstream: &str, meddling: Meddling, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let connections = Arc::new(Connections::default());
        let mut accepting = JoinSet::new();
        let work = Arc::new(Work { upstream: upstream.to_owned(), meddling, client: HttpClient::new() });
        accepting.spawn(accepts(listener, tls, work, Arc::clone(&connections)));
        Self { url, connections, _accepting: accepting }
    }

    pub(super) fn most_connections(&self) -> usize {
        self.connections.most.load(Ordering::SeqCst)
    }
}

struct Work {
    upstream: String,
    meddling: Meddling,
    client: HttpClient,
}

async fn accepts(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    work: Arc<Work>,
    connections: Arc<Connections>,
) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, work, connections) = (tls.clone(), Arc::clone(&work), Arc::clone(&connections));
        serving.spawn(async move {
            let now = connections.now.fetch_add(1, Ordering::SeqCst) + 1;
            connections.most.fetch_max(now, Ordering::SeqCst);
            serves(stream, tls, &work).await;
            connections.now.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serves(stream: TcpStream, tls: Option<TlsAcceptor>, work: &Work) {
    let stream: Box<dyn Stream> = match tls {
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => Box::new(stream),
            // Somebody who does not trust us has gone.
            Err(_) => return,
        },
        None => Box::new(stream),
    };
    let service = service_fn(|request| replies(request, work));
    // A phone that goes away in the middle of something is the business of its test.
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

async fn replies(
    request: Request<Incoming>,
    work: &Work,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let target = head.uri.path_and_query().expect("a path").as_str().to_owned();
    let asked = Asked { method: head.method, target, headers: head.headers, body };
    Ok(match (work.meddling.on_request)(asked.clone()) {
        Turn::Forward(forwarded) => answers(&asked, forwards(work, forwarded).await, work),
        Turn::Answer(answer) => answers(&asked, answer, work),
        Turn::Silence => std::future::pending().await,
        Turn::Endless => {
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let body = stream::repeat(chunk).map(|chunk| Ok(Frame::data(chunk)));
            Response::new(BodyExt::boxed_unsync(StreamBody::new(body)))
        }
    })
}

async fn forwards(work: &Work, mut asked: Asked) -> Answer {
    for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH] {
        asked.headers.remove(name);
    }
    let url = format!("{}{}", work.upstream, asked.target);
    let answered = work.client.request(asked.method, &url, asked.headers, asked.body).await;
    answered.unwrap_or_else(|fault| an_answer(502, fault.told()))
}

fn answers(asked: &Asked, answer: Answer, work: &Work) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let mut answer = (work.meddling.on_answer)(asked, answer);
    answer.headers.remove(header::TRANSFER_ENCODING);
    if asked.method != Method::HEAD {
        // The body may be another one.
        answer.headers.remove(header::CONTENT_LENGTH);
    }
    let mut response = Response::new(Full::new(answer.body).boxed_unsync());
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// An answer with a text.
pub(super) fn an_answer(status: u16, body: impl Into<Bytes>) -> Answer {
    let status = StatusCode::from_u16(status).expect("a status");
    Answer { status, headers: HeaderMap::new(), body: body.into() }
}
