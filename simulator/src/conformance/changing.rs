//! A change as a phone sees it. An integrator makes it; here it is waited for.

use std::time::Duration;

use ::http::{HeaderName, HeaderValue, header};
use tokio::time::Instant;

use super::findings::seen;
use super::getting::{Copy, text};
use super::listing::Named;
use super::rules::Rule;
use super::session::Session;
use crate::phone::Package;
use crate::phone::list::{Listing, read};

/// Between two looks. A phone that is woken looks once.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So long after a change could be fetched, the list may still not know of it.
const LIST_LAG: Duration = Duration::from_secs(5);
/// A pass that changes all the time settles in the end.
const ROUNDS: usize = 5;

const RULES: [Rule; 8] = [
    Rule::ChangeListed,
    Rule::ChangeNeverLost,
    Rule::ChangeNewTag,
    Rule::ChangeFetched,
    Rule::ChangeLastModified,
    Rule::ChangeKeepsIdentity,
    Rule::ChangeSettles,
    Rule::ChangeRepeats,
];

impl Session {
    pub(super) async fn sees_a_change(
        &mut self,
        wait: Option<Duration>,
        tag: Option<String>,
        copy: Option<Copy>,
        waiting: &(dyn Fn() + Sync),
    ) {
        let (Some(tag), Some(copy)) = (tag, copy) else {
            return self.leaves_out_changes("there is no tag or no pass to compare with");
        };
        let Some(wait) = wait else {
            return self.leaves_out_changes("there was no time to change the pass: --wait SECONDS gives it");
        };
        if !self.is_over() {
            waiting();
        }
        let Some(named) = self.waits_for_news(wait, &tag, &copy).await else {
            let why = format!("the pass did not change within {} s", wait.as_secs());
            return self.leaves_out_changes(&why);
        };
        self.follows(&tag, &copy, named).await;
        self.leaves_out_changes("an earlier step did not work");
    }

    fn leaves_out_changes(&mut self, why: &str) {
        for rule in RULES {
            self.findings.leaves_out(rule, why);
        }
    }

    /// Looks until the list names the pass. A change that can be fetched must be listed, too.
    async fn waits_for_news(&mut self, wait: Duration, tag: &str, copy: &Copy) -> Option<Named> {
        let deadline = Instant::now() + wait;
        while !self.is_over() {
            if let Some(named) = self.looks(tag).await {
                self.findings.keeps(Rule::ChangeNeverLost);
                return Some(named);
            }
            if self.can_be_fetched(copy).await {
                return self.waits_for_listing(tag).await;
            }
            if Instant::now() >= deadline {
                break;
            }
            self.pauses(LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
        }
        None
    }

    /// The list with the old tag; `None` while it has nothing to say, or nothing that a phone understands.
    async fn looks(&mut self, tag: &str) -> Option<Named> {
        let (device, pass_type) = (self.device.clone(), self.pass_type.clone());
        let answer = self.list("waiting for a change", &device, &pass_type, Some(tag)).await?;
        if answer.status.as_u16() == 204 {
            return None;
        }
        let empty =
            matches!(read(&answer), Ok(Listing::Changes { serial_numbers, .. }) if serial_numbers.is_empty());
        if answer.status.as_u16() == 200 && empty {
            return None;
        }
        let named = self.reads(Rule::ChangeListed, &answer)?;
        named.serial_numbers.contains(&self.serial_number).then_some(named)
    }

    async fn can_be_fetched(&mut self, copy: &Copy) -> bool {
        let Some(answer) = self.get("fetching while waiting", &conditions(copy)).await else { return false };
        let package = Some(answer).filter(|answer| answer.status.as_u16() == 200);
        let package = package.and_then(|answer| Package::open(answer.body).ok());
        package.is_some_and(|package| package.manifest_hash() != copy.manifest_hash)
    }

    async fn waits_for_listing(&mut self, tag: &str) -> Option<Named> {
        let deadline = Instant::now() + LIST_LAG;
        while !self.is_over() {
            if let Some(named) = self.looks(tag).await {
                self.findings.keeps(Rule::ChangeNeverLost);
                return Some(named);
            }
            if Instant::now() >= deadline {
                let lag = LIST_LAG.as_secs();
                let seen = format!(
                    "another pass is sent, and {lag} s later the list with the tag {tag} does not name it"
                );
                self.findings.breaks(Rule::ChangeNeverLost, &seen);
                self.findings.breaks(Rule::ChangeListed, &seen);
                return None;
            }
            self.pauses(LOOK_EVERY).await;
        }
        None
    }

    /// Fetches the listed pass, as a phone does, until there is nothing more to fetch.
    async fn follows(&mut self, old_tag: &str, old_copy: &Copy, named: Named) {
        let (mut tag, mut copy, mut named) = (old_tag.to_owned(), old_copy.clone(), named);
        for round in 0..ROUNDS {
            let Some(new_tag) = self.checks_tag(&tag, &named) else { return };
            // A pass that is listed a second time must have changed a second time.
            let rule = if round == 0 { Rule::ChangeFetched } else { Rule::ChangeSettles };
            let Some(new_copy) = self.fetches_change(rule, &copy).await else { return };
            (tag, copy) = (new_tag, new_copy);
            self.judges_latecomers(old_tag).await;
            let (device, pass_type) = (self.device.clone(), self.pass_type.clone());
            let Some(answer) = self.list("listing with the new tag", &device, &pass_type, Some(&tag)).await
            else {
                return;
            };
            if answer.status.as_u16() == 204 {
                return self.checks_peace(&copy).await;
            }
            match self.reads(Rule::ChangeSettles, &answer) {
                Some(again) => named = again,
                None => return,
            }
        }
        self.findings
            .breaks(Rule::ChangeSettles, format!("after {ROUNDS} fetches the list still names the pass"));
    }

    fn checks_tag(&mut self, tag: &str, named: &Named) -> Option<String> {
        let verdict = match &named.tag {
            Some(new) if new != tag => Ok(()),
            Some(_) => Err(format!("the tag remained {tag}")),
            None => Err("no lastUpdated".to_owned()),
        };
        self.findings.judges(Rule::ChangeNewTag, verdict);
        named.tag.clone()
    }

    async fn fetches_change(&mut self, rule: Rule, copy: &Copy) -> Option<Copy> {
        let answer = self.get("fetching the changed pass", &conditions(copy)).await?;
        if answer.status.as_u16() == 304 {
            let since = copy.last_modified.as_ref().map_or("(none)", text);
            self.findings.breaks(rule, format!("listed, and then 304 to If-Modified-Since: {since}"));
            return None;
        }
        let new = self.check_pass(rule, Rule::ChangeKeepsIdentity, &answer)?;
        if new.manifest_hash == copy.manifest_hash {
            self.findings.breaks(rule, "listed, and then 200 with the manifest that the phone has already");
            return None;
        }
        if new.last_modified.is_some() || copy.last_modified.is_some() {
            let moved = new.last_modified != copy.last_modified;
            let date = new.last_modified.as_ref().map_or("(none)", text);
            let verdict = if moved { Ok(()) } else { Err(format!("Last-Modified remained {date}")) };
            self.findings.judges(Rule::ChangeLastModified, verdict);
        }
        Some(new)
    }

    async fn judges_latecomers(&mut self, old_tag: &str) {
        let (device, pass_type) = (self.device.clone(), self.pass_type.clone());
        let what = "listing once more with the tag of before";
        if let Some(answer) = self.list(what, &device, &pass_type, Some(old_tag)).await {
            self.reads(Rule::ChangeRepeats, &answer);
        }
    }

    async fn checks_peace(&mut self, copy: &Copy) {
        let conditions = conditions(copy);
        if conditions.is_empty() {
            return self.findings.keeps(Rule::ChangeSettles);
        }
        let Some(answer) = self.get("fetching the changed pass again", &conditions).await else { return };
        let verdict = if answer.status.as_u16() == 304 { Ok(()) } else { Err(seen(&answer)) };
        self.findings.judges(Rule::ChangeSettles, verdict);
    }
}

/// `If-Modified-Since` as it was sent, byte for byte; phones have no other condition.
fn conditions(copy: &Copy) -> Vec<(HeaderName, &HeaderValue)> {
    copy.last_modified.iter().map(|value| (header::IF_MODIFIED_SINCE, value)).collect()
}
