//! Limits the lines that callers without credentials may cause: a number in each period for an address, and a number for all addresses
//! together. The lines left out are counted, and reported once a period.
//!
//! Only addresses that got a line in this period are remembered, so there are never more of them than lines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntCounter;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::limits::{self, Lines};
use crate::metrics::{AnonymousLine, Metric, Metrics};

/// The lines that callers without credentials have caused.
#[derive(Debug)]
pub struct AnonymousLines([Kind; AnonymousLine::ALL.len()]);

/// Lines of one kind.
#[derive(Debug)]
struct Kind {
    most: Lines,
    window: Mutex<Window>,
    left_out: IntCounter,
}

/// A period, from its first line on.
#[derive(Debug)]
struct Window {
    began: Instant,
    shown: usize,
    shown_for: HashMap<IpAddr, usize>,
    /// The lines left out since the last report.
    left_out: usize,
}

impl AnonymousLines {
    /// No lines yet.
    pub fn new(metrics: &Metrics) -> Self {
        let kind = |line: AnonymousLine| Kind {
            most: match line {
                AnonymousLine::Phone => limits::LINES_OF_PHONES,
                AnonymousLine::Request => limits::LINES_ABOUT_REQUESTS,
                AnonymousLine::Error => limits::LINES_ABOUT_ERRORS,
            },
            window: Mutex::new(Window {
                began: Instant::now(),
                shown: 0,
                shown_for: HashMap::new(),
                left_out: 0,
            }),
            left_out: metrics.counter(Metric::LogOutputLeftOut, &[line.into()]),
        };
        Self([kind(AnonymousLine::Phone), kind(AnonymousLine::Request), kind(AnonymousLine::Error)])
    }

    /// How many of these lines may be logged; the others are counted.
    pub fn admit(&self, line: AnonymousLine, address: IpAddr, lines: usize) -> usize {
        self.0[line as usize].admit(address, lines, Instant::now())
    }

    /// Reports once a period how many lines were left out, until `stop`.
    pub async fn report_until(&self, stop: &CancellationToken) {
        let mut periods = interval(limits::LOG_PERIOD);
        periods.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(periods.tick()).await.is_some() {
            self.report();
        }
    }

    /// Reports the lines that were left out since the last report.
    pub fn report(&self) {
        for (line, kind) in AnonymousLine::ALL.iter().zip(&self.0) {
            let left_out = std::mem::take(&mut kind.window().left_out);
            if left_out > 0 {
                let Lines { of_an_address, of_all } = kind.most;
                tracing::warn!(
                    log.left_out = left_out,
                    log.lines = line.name(),
                    "left out {left_out} lines {}: in {} s at most {of_an_address} are logged for one address, and {of_all} for all",
                    about(*line),
                    limits::LOG_PERIOD.as_secs()
                );
            }
        }
    }
}

fn about(line: AnonymousLine) -> &'static str {
    match line {
        AnonymousLine::Phone => "that phones sent",
        AnonymousLine::Request => "about requests without credentials",
        AnonymousLine::Error => "about errors of requests without credentials",
    }
}

impl Kind {
    fn admit(&self, address: IpAddr, lines: usize, now: Instant) -> usize {
        let mut window = self.window();
        if now.duration_since(window.began) >= limits::LOG_PERIOD {
            window.began = now;
            window.shown = 0;
            window.shown_for.clear();
        }
        let of_address = window.shown_for.get(&address).copied().unwrap_or_default();
        let room = (self.most.of_an_address - of_address).min(self.most.of_all - window.shown);
        let shown = lines.min(room);
        if shown > 0 {
            window.shown += shown;
            window.shown_for.insert(address, of_address + shown);
        }
        let left_out = lines - shown;
        window.left_out += left_out;
        self.left_out.inc_by(left_out as u64);
        shown
    }

    /// No code panics while it holds the lock.
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::identity::Identity;
    use crate::metrics::LabelSets;

    fn lines() -> (AnonymousLines, Metrics) {
        let metrics = Metrics::new(&Identity::default(), &LabelSets::default());
        (AnonymousLines::new(&metrics), metrics)
    }

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn an_address_has_its_share_and_no_other_suffers() {
        let (lines, _) = lines();
        let most = limits::LINES_OF_PHONES.of_an_address;
        assert_eq!(lines.admit(AnonymousLine::Phone, address(1), most + 7), most);
        assert_eq!(lines.admit(AnonymousLine::Phone, address(1), 1), 0);
        assert_eq!(lines.admit(AnonymousLine::Phone, address(2), 1), 1);
        assert_eq!(lines.admit(AnonymousLine::Request, address(1), 1), 1, "another kind has its own share");
    }

    #[test]
    fn all_addresses_together_have_theirs_and_are_not_remembered_beyond_it() {
        let (lines, metrics) = lines();
        let most = limits::LINES_ABOUT_REQUESTS.of_all;
        let asked = 10 * most;
        let addresses = (0..u32::try_from(asked).unwrap()).map(address);
        let shown: usize = addresses.map(|address| lines.admit(AnonymousLine::Request, address, 1)).sum();
        let window = lines.0[AnonymousLine::Request as usize].window();
        assert_eq!((shown, window.shown_for.len(), window.left_out), (most, most, asked - most));
        let counted = metrics.counter(Metric::LogOutputLeftOut, &[AnonymousLine::Request.into()]).get();
        assert_eq!(counted, (asked - most) as u64);
    }

    #[test]
    fn the_next_period_begins_anew_and_what_was_left_out_is_not_forgotten() {
        let (lines, _) = lines();
        let kind = &lines.0[AnonymousLine::Error as usize];
        let (most, now) = (kind.most.of_an_address, Instant::now());
        assert_eq!(kind.admit(address(1), most + 1, now), most);
        assert_eq!(kind.admit(address(1), 1, now + limits::LOG_PERIOD), 1);
        assert_eq!(kind.window().left_out, 1);
        lines.report();
        assert_eq!(kind.window().left_out, 0);
    }
}
