//! The images that former states of passes name, which can be looked at and brought back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use honoken_domain::ids::{Digest, UnixSeconds};
use honoken_domain::pass::Pass;
use honoken_domain::snapshot::Snapshot;
use honoken_event_store::{EventLog, LogError, Position};
use serde_json::{Map, Value};

/// Events that are read at a time.
const PAGE: u32 = 1000;

/// The images of the states that passes had since a moment, as far as the event log was read.
#[derive(Debug)]
pub struct FormerImages {
    since_ms: i64,
    read_up_to: Position,
    /// What each pass names, by a hash of its id: passes are many, and what they name is mostly the same.
    named: HashMap<u128, Arc<Named>>,
    different: HashSet<Arc<Named>>,
    found: BTreeSet<Digest>,
}

/// The images that a state names.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
struct Named {
    own: BTreeSet<Digest>,
    shown: BTreeSet<Digest>,
}

impl Named {
    fn all(&self) -> impl Iterator<Item = Digest> {
        self.own.union(&self.shown).cloned()
    }
}

impl FormerImages {
    /// Those of states that were the newest at that moment or after it. The event log is not read yet.
    pub fn since(moment: UnixSeconds) -> Self {
        Self {
            since_ms: moment.0.saturating_mul(1000),
            read_up_to: Position(0),
            named: HashMap::new(),
            different: HashSet::new(),
            found: BTreeSet::new(),
        }
    }

    /// Reads on to the end of the event log, and gives the images. What cannot be read of it is left out.
    ///
    /// # Errors
    /// When the event log is unavailable.
    pub async fn read_on(&mut self, log: &impl EventLog) -> Result<&BTreeSet<Digest>, LogError> {
        loop {
            match log.read_after(self.read_up_to, PAGE).await {
                Ok(events) => {
                    let Some(last) = events.last() else { return Ok(&self.found) };
                    self.read_up_to = last.position;
                    for recorded in
                        events.iter().filter(|recorded| is_of::<Pass>(&recorded.event.aggregate_type))
                    {
                        let event = &recorded.event;
                        self.take(&event.aggregate_id, recorded.recorded_at_ms, &event.payload);
                    }
                }
                Err(LogError::Unreadable { event, .. }) => self.read_up_to = event.position,
                Err(fault) => return Err(fault),
            }
        }
    }

    fn take(&mut self, pass: &str, recorded_at_ms: i64, event: &Value) {
        // An event is an object with one member, its name.
        let Some(members) = event.as_object().and_then(|event| event.values().next()) else {
            return;
        };
        let Some(members) = members.as_object() else { return };
        let (own, shown) = (digests(members, "assets"), digests(members, "images"));
        if own.is_none() && shown.is_none() {
            return;
        }
        let pass = key(pass);
        let before = self.named.get(&pass).cloned().unwrap_or_default();
        let now = Named {
            own: own.unwrap_or_else(|| before.own.clone()),
            shown: shown.unwrap_or_else(|| before.shown.clone()),
        };
        if recorded_at_ms >= self.since_ms {
            // What was there before was there until now.
            self.found.extend(before.all().chain(now.all()));
        }
        let now = self.different.get(&now).cloned().unwrap_or_else(|| Arc::new(now));
        self.different.insert(now.clone());
        self.named.insert(pass, now);
    }
}

fn is_of<A: Snapshot>(aggregate_type: &str) -> bool {
    aggregate_type == A::TYPE
}

/// The digests of a member that has images by their file names, if there is one.
fn digests(members: &Map<String, Value>, name: &str) -> Option<BTreeSet<Digest>> {
    let images = members.get(name)?.as_object()?;
    Some(images.values().filter_map(|digest| Digest::parse(digest.as_str()?).ok()).collect())
}

/// Wide enough that no two of a hundred million passes share one.
fn key(aggregate_id: &str) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, aggregate_id).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    fn images(names: &[&str]) -> Value {
        names.iter().map(|name| (format!("{name}.png"), json!(digest(name)))).collect::<Map<_, _>>().into()
    }

    #[test]
    fn a_state_counts_when_it_ended_after_the_moment_however_old_it_is() {
        let mut former = FormerImages::since(UnixSeconds(100));
        let issued =
            |own: &[&str]| json!({ "PassIssued": { "assets": images(own), "images": images(&["i"]) } });
        let changed =
            |own: &[&str]| json!({ "PassAssetsChanged": { "assets": images(own), "images": images(own) } });
        for (pass, at, payload) in [
            ("t/1", 10, issued(&["a"])),
            ("t/1", 50, changed(&["b"])),
            ("t/2", 50, issued(&["c"])),
            ("t/1", 99, json!({ "PassVoided": {} })),
            ("t/1", 100, changed(&["d"])),
            ("t/1", 101, json!({ "PassHiddenAssetsChanged": { "assets": images(&["e"]) } })),
        ] {
            former.take(pass, at * 1000, &payload);
        }
        let expected: BTreeSet<Digest> = ["b", "d", "e"].map(digest).into();
        assert_eq!(former.found, expected);
    }
}
