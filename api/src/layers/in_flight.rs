//! How many requests there are, counted while they are worked on.

use honoken_telemetry::metrics::{Area, Metric, Metrics};
use prometheus::IntGauge;

/// How many requests there are in each area, kept at hand since every request changes it twice.
#[derive(Debug, Clone)]
pub struct InFlight([IntGauge; Area::NAMES.len()]);

impl InFlight {
    /// None yet.
    pub fn of(metrics: &Metrics) -> Self {
        let areas = [Area::Device, Area::Manage, Area::Admin, Area::Service];
        Self(areas.map(|area| metrics.gauge(Metric::RequestsInFlight, &[area.into()])))
    }

    /// Counts a request until what this gives is dropped.
    pub fn one_more(&self, area: Area) -> Counted {
        let gauge = self.0[area as usize].clone();
        gauge.inc();
        Counted(gauge)
    }
}

/// Counted while it lives, also when the caller goes away and the request is dropped.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
