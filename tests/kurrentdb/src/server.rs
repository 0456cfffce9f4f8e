//! A server at a port: its memory goes on when its port is closed.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};

use futures::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server as Transport;

use crate::features::{Gossip, ServerFeatures};
use crate::protocol::client::gossip::gossip_server::GossipServer;
use crate::protocol::client::server_features::server_features_server::ServerFeaturesServer;
use crate::protocol::streams::streams_server::StreamsServer;
use crate::state::State;
use crate::streams::Streams;
use crate::tls::Access;
use crate::wire::{Line, Wire};

/// How many calls a connection has at once, as at the real server.
const CALLS: u32 = 100;

/// How many clients may agree on TLS at once.
const HANDSHAKES: usize = 64;

/// How many bytes may be under way in one call, and on one connection, as at the real server.
const WINDOWS: (u32, u32) = (768 * 1024, 1024 * 1024);

/// What listens at a port.
#[derive(Debug)]
pub(crate) struct Listening {
    end: CancellationToken,
    /// The socket that listens, once more.
    socket: TcpStream,
    /// Says that the port is closed.
    closed: mpsc::Receiver<()>,
}

impl Listening {
    /// Listens at an address of this machine.
    pub(crate) fn at(
        runtime: &Handle,
        state: &Arc<State>,
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let socket = TcpStream::from(OwnedFd::from(listener.try_clone()?));
        let entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(entered);
        let (closing, closed) = mpsc::channel();
        let (end, state) = (CancellationToken::new(), Arc::clone(state));
        let ended = end.clone();
        runtime.spawn(async move {
            tokio::select! {
                () = serve(listener, address, state, tls) => {}
                () = ended.cancelled() => {}
            }
            // Nobody may wait any more.
            let _ = closing.send(());
        });
        Ok(Listening { end, socket, closed })
    }

    /// Closes the port; connections are left.
    pub(crate) fn close(self) {
        self.end.cancel();
        // An error is that the task is gone, and the port with it.
        let _ = self.closed.recv();
        // A program that a test just starts has the socket, too, for a moment. Where this is an error, it is closed by itself.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    address: SocketAddr,
    state: Arc<State>,
    tls: Option<TlsAcceptor>,
) {
    let access = if tls.is_some() { Access::LoggedIn } else { Access::Everybody };
    let wires = wires(listener, Arc::clone(&state));
    // Who cannot agree is gone, and the others never notice.
    let lines = wires.map(move |wire| Line::over(wire, tls.clone())).buffer_unordered(HANDSHAKES);
    let lines = lines.filter_map(async |line| line.ok().map(Ok::<_, io::Error>));
    let streams = StreamsServer::new(Streams { state });
    let streams = streams.max_decoding_message_size(usize::MAX).max_encoding_message_size(usize::MAX);
    let streams = InterceptedService::new(streams, move |request| access.admit(request));
    let router = Transport::builder()
        .max_concurrent_streams(CALLS)
        .initial_stream_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .add_service(streams)
        .add_service(GossipServer::new(Gossip { address }))
        .add_service(ServerFeaturesServer::new(ServerFeatures));
    // An error is that no more connections come; the test notices.
    let _ = router.serve_with_incoming(Box::pin(lines)).await;
}

/// The connections that come; one that is gone already is left out.
fn wires(listener: tokio::net::TcpListener, state: Arc<State>) -> impl Stream<Item = Wire> {
    stream::unfold((listener, state), |(listener, state)| async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                // Small answers wait for nothing.
                let _ = stream.set_nodelay(true);
                let wire = Wire::new(stream, Arc::clone(&state.faults), state.connections.next());
                return Some((wire, (listener, state)));
            }
        }
    })
}
