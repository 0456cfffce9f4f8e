//! The findings, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::rules::Rule;

/// The verdict on a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every request that touched the rule kept it.
    Kept,
    /// At least one request broke it.
    Broken {
        /// The evidence. Holds no secret.
        seen: String,
    },
    /// No request touched it.
    NotReached {
        /// Why not.
        why: String,
    },
}

/// The verdict on every rule, and the circumstances of the trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The web service as it was asked.
    pub web_service_url: String,
    /// The pass type.
    pub pass_type_identifier: String,
    /// The pass.
    pub serial_number: String,
    /// How many requests it took.
    pub requests: u64,
    /// Every rule once, in the order of [`Rule::ALL`].
    pub verdicts: Vec<(Rule, Verdict)>,
    /// Registrations of the made-up phone that may still be there, because the service did not take them back.
    pub left_behind: Vec<String>,
}

impl Report {
    /// How many rules were kept, broken and not reached.
    pub fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (_, verdict) in &self.verdicts {
            counts[match verdict {
                Verdict::Kept => 0,
                Verdict::Broken { .. } => 1,
                Verdict::NotReached { .. } => 2,
            }] += 1;
        }
        counts
    }

    /// Whether nothing was broken.
    pub fn is_clean(&self) -> bool {
        self.counts()[1] == 0
    }

    /// The verdict on one rule.
    pub fn verdict(&self, rule: Rule) -> Option<&Verdict> {
        self.verdicts.iter().find(|(named, _)| *named == rule).map(|(_, verdict)| verdict)
    }
}

/// With the same keys each time; absent values are null or empty.
impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let [kept, broken, not_reached] = self.counts();
        let rules = self.verdicts.iter().map(|(rule, verdict)| {
            let (word, seen, why) = match verdict {
                Verdict::Kept => ("kept", None, None),
                Verdict::Broken { seen } => ("broken", Some(seen.as_str()), None),
                Verdict::NotReached { why } => ("notReached", None, Some(why.as_str())),
            };
            RuleJson {
                id: rule.id(),
                verdict: word,
                sentence: rule.sentence(),
                source: rule.source(),
                seen,
                why,
            }
        });
        ReportJson {
            web_service_url: &self.web_service_url,
            pass_type_identifier: &self.pass_type_identifier,
            serial_number: &self.serial_number,
            requests: self.requests,
            summary: Summary { kept, broken, not_reached },
            rules: rules.collect(),
            left_behind: &self.left_behind,
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportJson<'report> {
    #[serde(rename = "webServiceURL")]
    web_service_url: &'report str,
    pass_type_identifier: &'report str,
    serial_number: &'report str,
    requests: u64,
    summary: Summary,
    rules: Vec<RuleJson<'report>>,
    left_behind: &'report [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    kept: usize,
    broken: usize,
    not_reached: usize,
}

#[derive(Serialize)]
struct RuleJson<'report> {
    id: &'static str,
    verdict: &'static str,
    sentence: &'static str,
    source: &'static str,
    seen: Option<&'report str>,
    why: Option<&'report str>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} at {}", self.pass_type_identifier, self.web_service_url)?;
        writeln!(formatter, "pass {}\n", self.serial_number)?;
        let mut last_why = "";
        for (rule, verdict) in &self.verdicts {
            match verdict {
                Verdict::Kept => writeln!(formatter, "kept         {rule:<36} {}", rule.sentence())?,
                Verdict::Broken { seen } => {
                    writeln!(formatter, "BROKEN       {rule:<36} {}", rule.sentence())?;
                    writeln!(formatter, "             seen: {seen}")?;
                    writeln!(formatter, "             source: {}", rule.source())?;
                }
                Verdict::NotReached { why } => {
                    writeln!(formatter, "not reached  {rule:<36} {}", rule.sentence())?;
                    // Neighbours mostly share their reason, which is said once.
                    if why != last_why {
                        writeln!(formatter, "             why: {why}")?;
                    }
                    last_why = why;
                }
            }
        }
        let [kept, broken, not_reached] = self.counts();
        let requests = self.requests;
        write!(
            formatter,
            "\n{kept} kept, {broken} broken, {not_reached} not reached, after {requests} requests."
        )?;
        if self.left_behind.is_empty() {
            write!(formatter, " The made-up phone is no longer registered.")
        } else {
            write!(formatter, " The service has not confirmed the end of {}.", self.left_behind.join(", "))
        }
    }
}
