//! Connections that a test can cut, or let hang.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use crate::faults::Faults;

/// Cuts all connections that there are.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<CancellationToken>);

impl Connections {
    /// The cutter of a new connection.
    pub(crate) fn next(&self) -> Cutter {
        Cutter(self.0.lock().unwrap_or_else(PoisonError::into_inner).child_token())
    }

    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).cancel();
    }
}

/// Cuts one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cutter(CancellationToken);

impl Cutter {
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    faults: Arc<Faults>,
    cutter: Cutter,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, faults: Arc<Faults>, cutter: Cutter) -> Self {
        let is_cut = Box::pin(cutter.0.clone().cancelled_owned());
        Wire { stream, faults, cutter, is_cut }
    }

    /// Is ready when bytes may pass; an error once the connection is cut.
    fn poll_passes(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.faults.poll_goes_on(context).map(Ok)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_passes(context))?;
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        // The client sends an append in small parts, each after the receipt of the one before; Linux would wait 40 ms with it.
        #[cfg(target_os = "linux")]
        self.stream.set_quickack(true)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_passes(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection as the services see it, with TLS or without.
#[derive(Debug)]
pub(crate) enum Line {
    Plain(Wire),
    Secured(Box<TlsStream<Wire>>),
}

impl Line {
    /// Agrees on TLS, if there is to be any.
    pub(crate) async fn over(wire: Wire, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        match tls {
            Some(tls) => Ok(Line::Secured(Box::new(tls.accept(wire).await?))),
            None => Ok(Line::Plain(wire)),
        }
    }
}

impl Connected for Line {
    type ConnectInfo = Cutter;

    fn connect_info(&self) -> Cutter {
        match self {
            Line::Plain(wire) => wire.cutter.clone(),
            Line::Secured(secured) => secured.get_ref().0.cutter.clone(),
        }
    }
}

/// Does the same to either kind of connection.
macro_rules! either {
    ($line:expr, $done:ident($($with:expr),*)) => {
        match $line.get_mut() {
            Line::Plain(wire) => Pin::new(wire).$done($($with),*),
            Line::Secured(secured) => Pin::new(secured).$done($($with),*),
        }
    };
}

impl AsyncRead for Line {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(context))
    }
}
