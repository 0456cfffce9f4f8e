//! What `/metrics` says.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, StatusCode};

use honoken_simulator::HttpClient;

/// One look at the metrics.
#[derive(Debug, Clone)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Asks at an absolute address.
    ///
    /// # Panics
    ///
    /// When the answer is not in Prometheus's text format.
    pub async fn of(url: &str) -> Self {
        let answer = HttpClient::new().request(Method::GET, url, HeaderMap::new(), "").await;
        let answer = answer.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        answer.assert_status(StatusCode::OK).assert_header("content-type", "text/plain; version=0.0.4");
        let text = String::from_utf8(answer.body.to_vec()).expect("metrics are text");
        let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (series.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        });
        Self(samples.collect())
    }

    /// A series, `name{label="value"}` with its labels in alphabetical order. One that was never recorded is 0.
    pub fn get(&self, series: &str) -> f64 {
        self.0.get(series).copied().unwrap_or_default()
    }

    /// How much a series has grown since an earlier look.
    pub fn since(&self, earlier: &Self, series: &str) -> f64 {
        self.get(series) - earlier.get(series)
    }

    /// The series whose names begin so.
    pub fn beginning_with(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let found = self.0.iter().filter(move |(series, _)| series.starts_with(name));
        found.map(|(series, value)| (series.as_str(), *value))
    }
}
