//! Lines of log output: readable text on a terminal, JSON objects elsewhere, always on standard error. Standard output is for the results
//! of commands.
//!
//! A line names routes, never paths; it holds no token, key or body, and device identifiers are shortened. Its way to standard error and
//! its length are in [`log_output`](crate::log_output).

use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, IsTerminal};

use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::identity::Identity;
use crate::log_output::{LogOutput, limits, record};
use crate::request;

/// The configuration of log output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logging {
    /// `LOG_FORMAT`; `None`: text on a terminal, else JSON.
    pub format: Option<LogFormat>,
    /// `VERBOSE_LOGGING`: `true` also shows lines at `DEBUG`.
    pub verbose: bool,
    /// `LOG_SAMPLE_SUCCESS_RATE`: the share of successful requests that get a line, 0 to 1. Failed and slow requests always get one, except
    /// those of callers without credentials beyond their limit.
    pub sample_success_rate: f64,
}

impl Default for Logging {
    fn default() -> Self {
        Self { format: None, verbose: false, sample_success_rate: 1.0 }
    }
}

/// The format of a line of log output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Readable text.
    Pretty,
}

/// Starts log output for the rest of the process, panics included, so that all lines on standard error have one format.
///
/// # Errors
/// When the thread that writes lines cannot be started.
pub fn start(logging: Logging, identity: &Identity) -> io::Result<LogOutput> {
    let output = LogOutput::to_standard_error()?;
    let level = if logging.verbose { "debug" } else { "info" };
    // The libraries of NATS and of KurrentDB log every attempt to connect, the former addresses at `debug`; `honoken_pushers` and
    // `honoken_event_store` log what an operator needs.
    let filter = EnvFilter::new(format!(
        "warn,async_nats=off,kurrentdb=off,honoken={level},honoken_api={level},honoken_database={level},\
         honoken_event_store={level},honoken_projections={level},honoken_pushers={level},honoken_service={level},\
         honoken_simulator=warn,honoken_telemetry={level}"
    ));
    let is_terminal = std::io::stderr().is_terminal();
    let default = if is_terminal { LogFormat::Pretty } else { LogFormat::Json };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(output.clone())
        // The subscriber would report on standard error that standard error cannot be written, and panic when that fails: on a full disk,
        // for example.
        .log_internal_errors(false);
    match logging.format.unwrap_or(default) {
        LogFormat::Pretty => {
            let format = PrettyLines(Format::default().with_ansi(is_terminal));
            lines.with_ansi(is_terminal).event_format(format).init();
        }
        LogFormat::Json => {
            lines.with_ansi(false).fmt_fields(JsonFields::new()).event_format(JsonLines::of(identity)).init();
        }
    }
    let written = output.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.place = location, panic.message = message, "a thread panicked");
        written.flush(limits::LOG_OUTPUT_AT_A_PANIC);
    }));
    Ok(output)
}

/// Readable lines. A line that is logged in a request ends with the request's id.
struct PrettyLines(Format<Full>);

impl<S, N> FormatEvent<S, N> for PrettyLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        let line = record::cut(line.trim_end_matches('\n'), limits::LOG_RECORD_BYTES);
        request::with_id(|id| match id {
            Some(id) => writeln!(writer, "{line} request.id={id}"),
            None => writeln!(writer, "{line}"),
        })
    }
}

/// One JSON object on each line, with the identity of the service and the id of the request.
struct JsonLines {
    format: Format<Json>,
    /// The beginning of every line: `{` and the members of the service, with a comma.
    start: String,
}

impl JsonLines {
    fn of(identity: &Identity) -> Self {
        let format = tracing_subscriber::fmt::format()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false);
        let members: Map<String, Value> =
            identity.members().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let members = Value::Object(members).to_string();
        Self { format, start: format!("{},", members.trim_end_matches('}')) }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.format.format_event(context, Writer::new(&mut line), event)?;
        if line.len() > limits::LOG_RECORD_BYTES {
            line = record::cut_object(&line, limits::LOG_RECORD_BYTES);
        }
        let members =
            line.trim_end().strip_prefix('{').and_then(|line| line.strip_suffix('}')).ok_or(fmt::Error)?;
        writer.write_str(&self.start)?;
        writer.write_str(members)?;
        request::with_id(|id| match id {
            Some(id) => write!(writer, ",\"span\":{}", json!({ "name": "api.request", "request.id": id })),
            None => Ok(()),
        })?;
        writer.write_str("}\n")
    }
}

/// Whether a successful request gets its line when only a share of them does. The request's id decides, so that all processes that see the
/// same id decide alike.
pub fn is_sampled(request_id: &str, rate: f64) -> bool {
    if rate >= 1.0 {
        return true;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(request_id.as_bytes());
    #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
    let fraction = hasher.finish() as f64 / u64::MAX as f64;
    fraction < rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_the_requests_is_sampled() {
        let sampled =
            |rate| (0..10_000).filter(|number| is_sampled(&format!("request-{number}"), rate)).count();
        assert_eq!((sampled(0.0), sampled(1.0)), (0, 10_000));
        assert!((900..1100).contains(&sampled(0.1)), "{}", sampled(0.1));
    }

    #[test]
    fn a_line_begins_with_the_service_whatever_it_is_called() {
        let identity = Identity { service: "a \"service\" }".into(), ..Identity::default() };
        let line = format!("{}\"level\":\"INFO\"}}", JsonLines::of(&identity).start);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["service.name"], &line["level"]), (&"a \"service\" }".into(), &"INFO".into()));
    }
}
