//! Asking for the pass: as a phone does, as a cache would, and as a stranger without the token.

use ::http::{HeaderValue, Method, header};

use super::findings::seen;
use super::rules::Rule;
use super::session::{Session, Shown};
use crate::http::Answer;
use crate::phone::Package;

const PKPASS: &str = "application/vnd.apple.pkpass";
/// Before there were phones that hold passes.
const LONG_AGO: HeaderValue = HeaderValue::from_static("Sat, 01 Jan 2000 00:00:00 GMT");
const NO_DATE: HeaderValue = HeaderValue::from_static("the day before yesterday");
const OTHER_ETAG: HeaderValue = HeaderValue::from_static("\"nobody gave this one\"");

/// A version of the pass as it was sent, and the validators for the next question.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) manifest_hash: String,
    pub(super) last_modified: Option<HeaderValue>,
    pub(super) etag: Option<HeaderValue>,
}

impl Session {
    /// Everything about a pass that does not change meanwhile. Returns the copy that the phone has then.
    pub(super) async fn gets(&mut self) -> Option<Copy> {
        let copy = self.gets_twice().await;
        if let Some(copy) = &copy {
            self.asks_for_news(copy).await;
            self.asks_with_old_copies(copy).await;
            self.asks_for_the_head(copy).await;
        }
        self.gets_in_vain(copy.as_ref()).await;
        copy
    }

    async fn gets_twice(&mut self) -> Option<Copy> {
        let answer = self.get("fetching the pass", &[]).await?;
        let first = self.check_pass(Rule::GetIs200, Rule::GetKeepsToken, &answer)?;
        let answer = self.get("fetching the pass again", &[]).await?;
        let second = self.check_pass(Rule::GetIs200, Rule::GetKeepsToken, &answer)?;
        if first.manifest_hash == second.manifest_hash {
            self.findings.keeps(Rule::GetSameManifest);
            return Some(second);
        }
        // It may have been changed between the two, but hardly each time.
        let answer = self.get("fetching the pass a third time", &[]).await?;
        let third = self.check_pass(Rule::GetIs200, Rule::GetKeepsToken, &answer)?;
        let settled = second.manifest_hash == third.manifest_hash;
        let verdict = if settled { Ok(()) } else { Err("three fetches, three manifests".to_owned()) };
        self.findings.judges(Rule::GetSameManifest, verdict);
        Some(third)
    }

    /// Reads a pass that must be there, judged in every respect.
    pub(super) fn check_pass(&mut self, rule: Rule, same_token: Rule, answer: &Answer) -> Option<Copy> {
        if !self.findings.expects(rule, answer, &[200]) {
            return None;
        }
        let content_type = answer.header("content-type").unwrap_or("(none)");
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        let is_pkpass = media_type.eq_ignore_ascii_case(PKPASS);
        let verdict = if is_pkpass { Ok(()) } else { Err(format!("Content-Type: {content_type}")) };
        self.findings.judges(Rule::GetContentType, verdict);
        self.findings.judges(Rule::GetLastModified, has_date(answer));
        self.findings.judges(Rule::GetNotShared, is_not_shared(answer));
        let package = match Package::open(answer.body.clone()) {
            Ok(package) => package,
            Err(fault) => {
                self.findings.breaks(Rule::GetValid, fault.to_string());
                return None;
            }
        };
        self.findings.keeps(Rule::GetValid);
        self.findings.judges(Rule::GetRequested, self.is_requested(&package));
        let same = package.authentication_token() == Some(self.token.as_str());
        let verdict = if same { Ok(()) } else { Err("another authenticationToken, or none".to_owned()) };
        self.findings.judges(same_token, verdict);
        Some(Copy {
            manifest_hash: package.manifest_hash().to_owned(),
            last_modified: answer.headers.get(header::LAST_MODIFIED).cloned(),
            etag: answer.headers.get(header::ETAG).cloned(),
        })
    }

    pub(super) fn is_requested(&self, package: &Package) -> Result<(), String> {
        let (pass_type, serial) = (package.pass_type_identifier(), package.serial_number());
        if pass_type == self.pass_type && serial == self.serial_number {
            return Ok(());
        }
        Err(format!("asked for {} {}, received {pass_type} {serial}", self.pass_type, self.serial_number))
    }

    async fn asks_for_news(&mut self, copy: &Copy) {
        let Some(last_modified) = &copy.last_modified else {
            self.findings.leaves_out(Rule::GetNotModified, "there is no Last-Modified to ask with");
            return;
        };
        let conditions = [(header::IF_MODIFIED_SINCE, last_modified)];
        let Some(answer) = self.get("fetching with If-Modified-Since", &conditions).await else { return };
        let verdict = match answer.status.as_u16() {
            304 => Ok(()),
            200 => Err(format!("200 to If-Modified-Since: {}", text(last_modified))),
            _ => Err(seen(&answer)),
        };
        self.findings.judges(Rule::GetNotModified, verdict);
        self.compares_etag(copy, &answer);
    }

    fn compares_etag(&mut self, copy: &Copy, answer: &Answer) {
        let Some(etag) = copy.etag.as_ref().filter(|_| answer.status.as_u16() == 304) else { return };
        let repeated = answer.headers.get(header::ETAG) == Some(etag);
        let verdict = if repeated {
            Ok(())
        } else {
            Err(format!("ETag: {}", answer.header("etag").unwrap_or("(none)")))
        };
        self.findings.judges(Rule::Get304Etag, verdict);
    }

    async fn asks_with_old_copies(&mut self, copy: &Copy) {
        let dates = [(Rule::GetOlderDate, LONG_AGO), (Rule::GetUnreadableDate, NO_DATE)];
        for (rule, date) in dates {
            let what = format!("fetching with If-Modified-Since: {}", text(&date));
            if let Some(answer) = self.get(&what, &[(header::IF_MODIFIED_SINCE, &date)]).await {
                self.findings.expects(rule, &answer, &[200]);
            }
        }
        let Some(etag) = &copy.etag else {
            for rule in [Rule::GetEtag, Rule::GetOtherEtag, Rule::Get304Etag] {
                self.findings.leaves_out(rule, "the service sends no ETag");
            }
            return;
        };
        if let Some(answer) = self.get("fetching with the ETag", &[(header::IF_NONE_MATCH, etag)]).await {
            self.findings.expects(Rule::GetEtag, &answer, &[304]);
            self.compares_etag(copy, &answer);
        }
        if let Some(answer) =
            self.get("fetching with another ETag", &[(header::IF_NONE_MATCH, &OTHER_ETAG)]).await
        {
            self.findings.expects(Rule::GetOtherEtag, &answer, &[200]);
        }
        self.findings.leaves_out(Rule::Get304Etag, "no 304 was seen");
    }

    async fn asks_for_the_head(&mut self, copy: &Copy) {
        let (pass_type, serial) = (self.pass_type.clone(), self.serial_number.clone());
        let what = (Method::HEAD, pass_type.as_str(), serial.as_str());
        let Some(answer) = self.fetch("asking for the head of the pass", what, Shown::Token, &[]).await
        else {
            return;
        };
        if !self.findings.expects(Rule::GetHead, &answer, &[200]) {
            return;
        }
        let same = answer.headers.get(header::LAST_MODIFIED) == copy.last_modified.as_ref();
        let verdict = if same { Ok(()) } else { Err("another Last-Modified than GET has".to_owned()) };
        self.findings.judges(Rule::GetHead, verdict);
    }

    /// Questions that must be refused. Conditions come along: a caller without a right learns nothing, not even that nothing changed.
    async fn gets_in_vain(&mut self, copy: Option<&Copy>) {
        let (pass_type, serial) = (self.pass_type.clone(), self.serial_number.clone());
        let (no_type, no_serial) = (self.no_type.clone(), self.no_serial.clone());
        let attempts = [
            (Rule::GetWrongToken, "fetching with a wrong token", &pass_type, &serial, Shown::WrongToken),
            (Rule::GetNoToken, "fetching without a token", &pass_type, &serial, Shown::Nothing),
            (
                Rule::GetUnknownSerial,
                "fetching an unknown serial number",
                &pass_type,
                &no_serial,
                Shown::Token,
            ),
            (Rule::GetUnknownType, "fetching an unknown pass type", &no_type, &serial, Shown::Token),
        ];
        for (rule, what, pass_type, serial, shown) in attempts {
            let which = (Method::GET, pass_type.as_str(), serial.as_str());
            if let Some(answer) = self.fetch(what, which, shown, &[]).await {
                self.findings.expects(rule, &answer, &[401]);
            }
        }
        if let Some(last_modified) = copy.and_then(|copy| copy.last_modified.as_ref()) {
            let what = "fetching with a wrong token and If-Modified-Since";
            let which = (Method::GET, pass_type.as_str(), serial.as_str());
            let conditions = [(header::IF_MODIFIED_SINCE, last_modified)];
            if let Some(answer) = self.fetch(what, which, Shown::WrongToken, &conditions).await {
                self.findings.expects(Rule::GetWrongToken, &answer, &[401]);
            }
        }
    }
}

pub(super) fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or("(not text)")
}

fn has_date(answer: &Answer) -> Result<(), String> {
    match answer.header("last-modified") {
        None => Err("no Last-Modified".to_owned()),
        Some(date) if httpdate::parse_http_date(date).is_err() => Err(format!("Last-Modified: {date}")),
        Some(_) => Ok(()),
    }
}

fn is_not_shared(answer: &Answer) -> Result<(), String> {
    let values = answer.headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in values.flat_map(|value| value.split(',')) {
        let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        if matches!(name.as_str(), "public" | "s-maxage") {
            return Err(format!("Cache-Control: {}", directive.trim()));
        }
    }
    Ok(())
}
