//! Pairs of short rounds, one of each side, and what they say together.

use std::fmt;
use std::time::{Duration, Instant};

/// Pairs that count, after one that does not.
pub(crate) const PAIRS: usize = 9;

/// One round of each side, per second or in whatever else both are counted in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) ours: f64,
    pub(crate) ceiling: f64,
}

/// One side of a comparison, in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    /// One word.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) does: &'a str,
    /// What is counted.
    pub(crate) unit: &'static str,
}

/// A comparison, in words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison<'a> {
    pub(crate) title: &'static str,
    pub(crate) ours: Side<'a>,
    pub(crate) ceiling: Side<'a>,
    /// What is inside the clock and what is not.
    pub(crate) boundary: &'static str,
}

impl Comparison<'_> {
    /// Prints what was compared, the median of each side, and the ratio.
    pub(crate) fn report(&self, pairs: &[Pair]) {
        let ours = Spread::of(pairs.iter().map(|pair| pair.ours));
        let ceiling = Spread::of(pairs.iter().map(|pair| pair.ceiling));
        let ratio = Spread::of(pairs.iter().map(|pair| pair.ours / pair.ceiling));
        println!("\n{}", self.title);
        for (side, spread) in [(self.ours, ours), (self.ceiling, ceiling)] {
            println!("  {:<8}  {}", side.name, side.does);
            println!("  {:<8}  {spread} {}", "", side.unit);
        }
        println!("  boundary  {}", self.boundary);
        println!("  {} ÷ {}: {ratio}, {} pairs", self.ours.name, self.ceiling.name, pairs.len());
    }
}

/// The middle of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (figures.first(), figures.last()) else {
            return Self { median: f64::NAN, min: f64::NAN, max: f64::NAN };
        };
        let (lower, upper) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Self { median: f64::midpoint(lower, upper), min: *min, max: *max }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = if self.median.abs() < 10.0 { 3 } else { 0 };
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.min, self.max)
    }
}

/// Measures time that passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// So many since the start, as a rate per second.
    pub(crate) fn rate(&self, count: usize) -> f64 {
        rate(count, self.elapsed())
    }
}

/// So many in that time, as a rate per second.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
