//! The values of labels of metrics that belong to this crate: each enum names them once, for tables, answers and metrics alike.

use honoken_telemetry::metrics::{Label, LabelSets, LabelValue};

use crate::ledger::{DeliveryState, Part};
use crate::outcome::OutcomeKind;

impl LabelValue for OutcomeKind {
    const LABEL: Label = Label::PushOutcome;

    fn label(self) -> &'static str {
        self.as_str()
    }
}

impl LabelValue for DeliveryState {
    const LABEL: Label = Label::DeliveryState;

    fn label(self) -> &'static str {
        self.as_str()
    }
}

impl LabelValue for Part {
    const LABEL: Label = Label::Pausable;

    fn label(self) -> &'static str {
        self.as_str()
    }
}

/// All values of these labels, for the registry of the metrics.
pub fn label_sets() -> LabelSets {
    LabelSets::default().with(OutcomeKind::ALL).with(DeliveryState::all_final()).with(Part::ALL)
}

#[cfg(test)]
mod tests {
    use honoken_telemetry::metrics::table;
    use honoken_test_documents as documents;

    use super::*;

    #[test]
    fn the_documented_metrics_are_those_of_the_code() {
        documents::check("docs/metrics.md", "metrics", &table(&label_sets()));
    }
}
