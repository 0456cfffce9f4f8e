//! Names in the path: split first, decoded afterwards, so that a serial number may contain any character, `/` included.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath};
use honoken_domain::ids::{DeviceLibraryIdentifier, PassId, PassTypeIdentifier, SerialNumber};
use honoken_domain::localizations::Language;
use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

/// The captured segments of a route, each percent-decoded when it is asked for. A segment that does not decode to UTF-8 counts as missing,
/// like any name that cannot exist.
#[derive(Debug, Clone)]
pub struct Segments {
    route: Option<MatchedPath>,
    uri: Uri,
}

impl<S: Send + Sync> FromRequestParts<S> for Segments {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self { route: parts.extensions.get().cloned(), uri: parts.uri.clone() })
    }
}

impl Segments {
    /// `{type}`
    pub fn pass_type(&self) -> Option<PassTypeIdentifier> {
        PassTypeIdentifier::parse(self.get("type")?).ok()
    }

    /// `{type}/{serial}`
    pub fn pass(&self) -> Option<PassId> {
        let serial_number = SerialNumber::parse(self.get("serial")?).ok()?;
        Some(PassId { pass_type_identifier: self.pass_type()?, serial_number })
    }

    /// `{device}`
    pub fn device(&self) -> Option<DeviceLibraryIdentifier> {
        DeviceLibraryIdentifier::parse(self.get("device")?).ok()
    }

    /// Any segment, by its name in the route.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        captured(self.route.as_ref()?.as_str(), self.uri.path(), name)
    }
}

/// Counted from the end, since a nested router sees the path without the prefix that the route begins with.
fn captured<'a>(route: &str, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let is_wanted =
        |segment: &str| segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) == Some(name);
    let (_, value) = route.rsplit('/').zip(path.rsplit('/')).find(|(segment, _)| is_wanted(segment))?;
    percent_decode_str(value).decode_utf8().ok()
}

/// The areas of this service that are not for phones, whatever follows in the path.
const OTHER_AREAS: &[&str] = &["/manage/", "/admin/", "/api/admin/", "/console/", "/p/", "/health/"];

/// Finds the device protocol under any prefix: `webServiceURL` may have a path, and a phone joins a trailing slash to `//v1`.
///
/// Routes are declared for `/v1/…` only; this function makes `/api/v1/…`, `//v1/…` and a proxy's prefix equivalent.
pub fn without_prefix(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if OTHER_AREAS.iter().any(|area| path.starts_with(area)) {
        return None;
    }
    if path.starts_with("/v1/devices/") || path.starts_with("/v1/passes/") {
        return None;
    }
    let start = ["/v1/devices/", "/v1/passes/"]
        .iter()
        .filter_map(|root| path.find(root))
        .min()
        .or_else(|| path.ends_with("/v1/log").then(|| path.len() - "/v1/log".len()))?;
    if start == 0 {
        return None;
    }
    let mut rest = path[start..].to_owned();
    if let Some(query) = uri.query() {
        rest.push('?');
        rest.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    Uri::from_parts(parts).ok()
}

/// Makes one segment of the folder of a language and the file in it: `…/assets/de.lproj/logo.png` is the same as `…/assets/de.lproj%2Flogo.png`.
pub fn with_file_in_one_segment(uri: &Uri) -> Option<Uri> {
    let (folders, file) = uri.path().rsplit_once('/')?;
    let (images, folder) = folders.rsplit_once('/')?;
    let is_of_image = images.ends_with("/assets") || images.ends_with("/brand-assets");
    if !is_of_image
        || Language::of_folder(folder).is_none()
        || !OTHER_AREAS.iter().any(|area| images.starts_with(area))
    {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(format!("{folders}%2F{file}{query}")).ok();
    Uri::from_parts(parts).ok()
}

/// Whether the device protocol is found below this path of a `webServiceURL`.
pub fn leads_to_device_routes(path: &str) -> bool {
    let route = "/v1/passes/pass.a/1";
    let asked = format!("{}{route}", path.trim_end_matches('/'));
    asked == route
        || asked.parse().ok().and_then(|uri| without_prefix(&uri)).is_some_and(|uri| uri.path() == route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        let found = without_prefix(&path.parse().unwrap());
        assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{path}");
    }

    #[test]
    fn the_device_protocol_is_found_under_any_prefix() {
        check("/api/v1/passes/t/s", Some("/v1/passes/t/s"));
        check("//v1/passes/t/s", Some("/v1/passes/t/s"));
        check(
            "/a/b//v1/devices/d/registrations/t?passesUpdatedSince=x",
            Some("/v1/devices/d/registrations/t?passesUpdatedSince=x"),
        );
        check("/wallet/v1/log", Some("/v1/log"));
    }

    #[test]
    fn a_file_in_the_folder_of_a_language_is_one_segment() {
        let check = |path: &str, expected: Option<&str>| {
            let found = with_file_in_one_segment(&path.parse().unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), expected, "{path}");
        };
        check(
            "/manage/v1/passes/t/s/assets/de.lproj/logo.png?scale=auto",
            Some("/manage/v1/passes/t/s/assets/de.lproj%2Flogo.png?scale=auto"),
        );
        check(
            "/api/admin/brand-assets/de.lproj/logo.png",
            Some("/api/admin/brand-assets/de.lproj%2Flogo.png"),
        );
        check("/manage/v1/passes/t/s/assets/logo.png", None);
        check("/manage/v1/passes/t/de.lproj/content", None);
        check("/v1/passes/assets/de.lproj/logo.png", None);
    }

    #[test]
    fn segments_are_split_first_and_decoded_each_by_itself() {
        let route = "/v1/devices/{device}/registrations/{type}/{serial}";
        let path = "/v1/devices/%FF/registrations/pass.a/1%2F2";
        let found = ["device", "type", "serial"].map(|name| captured(route, path, name));
        assert_eq!(found, [None, Some("pass.a".into()), Some("1/2".into())]);
        assert_eq!(
            captured("/admin/projections/{projection}/parked", "/projections/wallet/parked", "projection"),
            Some("wallet".into())
        );
    }

    #[test]
    fn what_needs_no_change_is_left_alone() {
        check("/v1/passes/t/s", None);
        check("/v1/log", None);
        check("/manage/v1/passes/t/s", None);
        check("/admin/projections", None);
        check("/v1/passes/t/%2Fv1%2Flog", None);
        check("/", None);
    }
}
