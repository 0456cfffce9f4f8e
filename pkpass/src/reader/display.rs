//! An inspection for people.

use std::fmt::{self, Display, Formatter};

use crate::reader::{
    CertificateReport, FileReport, Inspection, ManifestState, PassSummary, RootVerdict, SignatureReport,
};

impl Display for Inspection {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", if self.valid { "valid" } else { "NOT VALID" })?;
        list(
            formatter,
            "problems",
            self.problems.iter().map(|problem| format!("{}: {}", problem.code, problem.detail)),
        )?;
        if let Some(pass) = &self.pass {
            write!(formatter, "\npass\n{pass}")?;
        }
        if let Some(signature) = &self.signature {
            write!(formatter, "\nsignature\n{signature}")?;
        }
        list(formatter, "files", &self.files)?;
        list(formatter, "missing files", &self.missing_files)?;
        list(formatter, "findings", &self.findings)
    }
}

fn list<T: Display>(
    formatter: &mut Formatter<'_>,
    title: &str,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (index, item) in items.into_iter().enumerate() {
        if index == 0 {
            writeln!(formatter, "\n{title}")?;
        }
        writeln!(formatter, "  {}", plain(&item))?;
    }
    Ok(())
}

fn row(formatter: &mut Formatter<'_>, name: &str, value: &dyn Display) -> fmt::Result {
    writeln!(formatter, "  {name:<16} {}", plain(value))
}

/// A pass may hold text made to move the cursor or to colour the terminal of its reader.
fn plain(value: &dyn Display) -> String {
    value.to_string().replace(char::is_control, "\u{fffd}")
}

fn or_dash(value: Option<&String>) -> &str {
    value.map_or("-", String::as_str)
}

impl Display for PassSummary {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let style = or_dash(self.style.as_ref());
        row(formatter, "style", &if self.poster { format!("{style}, poster") } else { style.to_owned() })?;
        row(formatter, "pass type", &or_dash(self.pass_type_identifier.as_ref()))?;
        row(formatter, "serial number", &or_dash(self.serial_number.as_ref()))?;
        row(formatter, "team", &or_dash(self.team_identifier.as_ref()))?;
        row(formatter, "organisation", &or_dash(self.organization_name.as_ref()))?;
        row(formatter, "description", &or_dash(self.description.as_ref()))?;
        row(formatter, "voided", &yes_or_no(self.voided))?;
        row(formatter, "web service", &yes_or_no(self.has_web_service_url))?;
        let token = self.authentication_token_length.map(|length| format!("{length} characters"));
        row(formatter, "token", &or_dash(token.as_ref()))
    }
}

impl Display for SignatureReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        row(formatter, "verified", &yes_or_no(self.verified))?;
        row(formatter, "digest", &or_dash(self.digest_algorithm.as_ref()))?;
        row(formatter, "signed at", &or_dash(self.signing_time.as_ref()))?;
        row(formatter, "signer", &or_dash(self.signer.as_ref().map(ToString::to_string).as_ref()))?;
        row(formatter, "issued by", &or_dash(self.issuer.as_ref().map(ToString::to_string).as_ref()))?;
        match &self.root {
            RootVerdict::NotAsked => row(formatter, "root", &"not checked"),
            RootVerdict::Trusted => row(formatter, "root", &"trusted"),
            RootVerdict::NotTrusted(reason) => row(formatter, "root", &format!("not trusted: {reason}")),
        }
    }
}

impl Display for CertificateReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (name, uid, ou) =
            (or_dash(self.common_name.as_ref()), or_dash(self.uid.as_ref()), or_dash(self.ou.as_ref()));
        write!(formatter, "{name} (UID {uid}, OU {ou}), {} to {}", self.not_before, self.not_after)
    }
}

impl Display for FileReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let state = match self.manifest {
            ManifestState::Exempt | ManifestState::Matches => "ok",
            ManifestState::WrongHash => "CHANGED",
            ManifestState::NotListed => "NOT LISTED",
            ManifestState::Unknown => "-",
        };
        write!(formatter, "{:<24} {:>9}  {state}", self.path, self.size)
    }
}

const fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
