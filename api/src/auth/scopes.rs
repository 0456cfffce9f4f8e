//! Which scope a route of integrators needs. This is the one table of it, for requests and for their description.

use honoken_domain::organization::Scope::{
    self, AssetsWrite, JobsWrite, PassesImport, PassesRead, PassesWrite,
};
use http::Method;

/// Calls that read, though their method does not say so.
const READING: [&str; 2] = ["/manage/v1/lint", "/manage/v1/pkpasses"];

/// The registration of a device in the place of its phone.
const REGISTRATION: &str = "/manage/v1/passes/{type}/{serial}/registrations/{device}";

/// The scopes of which a key needs one for this route, named as the router names it.
///
/// A key that issues or changes passes has to see what became of them, so it may read them too; likewise a key for images or jobs, those. What
/// changes something and is not named here needs `passes:write`, so a new route is closed to other keys until somebody decides otherwise.
pub fn needed(method: &Method, route: &str) -> &'static [Scope] {
    let reads = matches!(*method, Method::GET | Method::HEAD) || READING.contains(&route);
    match route {
        "/manage/v1/jobs/{id}" if reads => &[PassesRead, PassesWrite, PassesImport, AssetsWrite, JobsWrite],
        _ if is_of_images(route) && reads => &[PassesRead, PassesWrite, PassesImport, AssetsWrite],
        _ if reads => &[PassesRead, PassesWrite, PassesImport],
        // A key for taking passes over issues them, with their images.
        "/manage/v1/passes" => &[PassesWrite, PassesImport],
        "/manage/v1/blobs" => &[PassesWrite, PassesImport, AssetsWrite],
        _ if is_of_images(route) => &[PassesWrite, AssetsWrite],
        REGISTRATION => &[PassesImport],
        _ => &[PassesWrite],
    }
}

fn is_of_images(route: &str) -> bool {
    route.ends_with("/assets/{file}")
}

/// The scopes as a sentence names them: `` `passes:write` or `passes:import` ``.
pub fn named(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" or ")
}
