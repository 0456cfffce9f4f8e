//! Counts the requests in progress.

use honoken_telemetry::metrics::{Area, Metric, Metrics};
use prometheus::IntGauge;

/// The number of requests in progress in each area. The gauges are kept here, since every request changes one twice.
#[derive(Debug, Clone)]
pub struct InFlight([IntGauge; Area::NAMES.len()]);

impl InFlight {
    /// No request yet.
    pub fn of(metrics: &Metrics) -> Self {
        let areas = [Area::Device, Area::Manage, Area::Admin, Area::Service];
        Self(areas.map(|area| metrics.gauge(Metric::RequestsInFlight, &[area.into()])))
    }

    /// Counts a request until the returned guard is dropped.
    pub fn count(&self, area: Area) -> Counted {
        let gauge = self.0[area as usize].clone();
        gauge.inc();
        Counted(gauge)
    }
}

/// Counts a request while it exists, also when the caller disconnects and the request is dropped.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
