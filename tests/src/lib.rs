//! The cast and the props of the integration tests in `tests/it/`.
//!
//! Everything goes through the built program over real sockets, real files and real databases, exactly as outsiders meet it. The
//! tests themselves are one binary with a module per theme; what they share is here, in reading order:
//!
//! - [`waiting`]: the only way a test waits, for a condition and with a limit.
//! - [`engine`]: [`Engine`], SQLite or Postgres: the same tests run for both.
//! - [`process`]: a process of the program, which can be ended, killed and paused.
//! - [`server`]: [`Honoken`], a running `dev` with a data folder of its own and on Postgres a database of its own, which can be killed and
//!   started again; [`Home`](server::Home) is where it lives, and where other commands can be run beside it.
//! - [`serving`]: [`Serving`], a running `serve`, one of possibly many in the same home.
//! - [`integrator`]: [`Integrator`], who issues and changes passes; [`Change`] is the answer to a change.
//! - [`device`]: [`DeviceRoutes`], requests of a device written by hand, for what a well-behaved phone never sends. The
//!   well-behaved one is `honoken_simulator::Phone`; [`device::a_phone`] gives it an identity.
//! - [`fleet`]: [`Fleet`], many phones that wait to be woken.
//! - [`load`]: [`Load`](load::Load), integrators and phones at work while a test disturbs the service.
//! - [`chromium`]: a real browser, driven as if by hand.
//! - [`apple`]: who turns requests into certificates.
//! - [`authority`]: who certifies servers and their clients.
//! - [`metrics`]: [`Scrape`], a look at `/metrics`.
//! - [`operator`]: [`Operator`], who looks after projections.
//! - [`problem`]: what every refusal looks like.
//! - [`etag`]: computes the tag of a pass from its state, independently of the service.
//! - [`package`]: a `.pkpass` in the hands of `unzip` and `openssl`.
//! - [`drawing`]: images of any size.
//! - [`storage`]: [`Storage`], a look into the files and tables that the program leaves behind.
//! - [`wire`]: bytes on a socket, for requests that are not quite HTTP.
//!
//! Nothing here knows the inside of another crate of the workspace, except that `honoken` has a `main`.

pub mod apple;
pub mod authority;
pub mod chromium;
pub mod device;
pub mod drawing;
pub mod engine;
pub mod etag;
pub mod fleet;
pub mod integrator;
pub mod load;
pub mod metrics;
pub mod operator;
pub mod package;
pub mod problem;
pub mod process;
pub mod server;
pub mod serving;
pub mod storage;
pub mod waiting;
pub mod wire;

pub use device::{Credentials, DeviceRoutes};
pub use engine::Engine;
pub use fleet::Fleet;
pub use integrator::{Change, Integrator, a_ticket};
pub use metrics::Scrape;
pub use operator::{Operator, job_of};
pub use server::{Honoken, Ready};
pub use serving::{Serve, Serving};
pub use storage::Storage;
