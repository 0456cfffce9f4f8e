//! Which APNs keys pushes are sent with.

use honoken_domain::sealed::SealingKeys;
use honoken_projections::apns_keys::ApnsKeyRow;
use honoken_telemetry::error_chain;

use crate::push_credentials;

/// A key and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The key, sealed.
    pub row: ApnsKeyRow,
    /// Its state, in the word that operators see: `in use`, `spare`, `unusable` or `revoked`.
    pub state: &'static str,
    /// Why it does not open, where it does not.
    pub problem: Option<String>,
}

/// The state of every key: by team, and the newest of each first.
pub fn of(mut rows: Vec<ApnsKeyRow>, keys: Option<&SealingKeys>) -> Vec<Standing> {
    rows.sort_by(|a, b| {
        let team = |row: &ApnsKeyRow| row.installation.team_identifier.clone();
        team(a).cmp(&team(b)).then(b.installed.cmp(&a.installed))
    });
    let mut in_use = None;
    let mut shown = Vec::new();
    for row in rows {
        let opened = push_credentials::open(keys, &row.installation);
        let team = &row.installation.team_identifier;
        let state = match (row.active, &opened) {
            (false, _) => "revoked",
            (true, Err(_)) => "unusable",
            (true, Ok(_)) if in_use.as_ref() == Some(team) => "spare",
            (true, Ok(_)) => {
                in_use = Some(team.clone());
                "in use"
            }
        };
        let problem = opened.err().filter(|_| row.active).map(|fault| error_chain(&fault));
        shown.push(Standing { row, state, problem });
    }
    shown
}
