//! Which scope a route of integrators needs. This is the one table of it, for requests and for their description.

use honoken_domain::organization::Scope;
use http::Method;

/// Calls that read, though their method does not say so.
const READING: [&str; 2] = ["/manage/v1/lint", "/manage/v1/pkpasses"];

/// Calls that a key for taking passes over makes too: it issues them, with their images.
const ISSUING: [&str; 2] = ["/manage/v1/passes", "/manage/v1/blobs"];

/// The registration of a device in the place of its phone.
const REGISTRATION: &str = "/manage/v1/passes/{type}/{serial}/registrations/{device}";

/// The scopes of which a key needs one for this route, named as the router names it; none where every key will do.
///
/// Reading needs none: a key that changes something has to see what became of it. What changes something and is not named here needs
/// `passes:write`, so a new route is closed to other keys until somebody decides otherwise.
pub fn needed(method: &Method, route: &str) -> &'static [Scope] {
    if matches!(*method, Method::GET | Method::HEAD) || READING.contains(&route) {
        return &[];
    }
    if ISSUING.contains(&route) {
        return &[Scope::PassesWrite, Scope::PassesImport];
    }
    if route == REGISTRATION { &[Scope::PassesImport] } else { &[Scope::PassesWrite] }
}

/// The scopes as a sentence names them: `` `passes:write` or `passes:import` ``.
pub fn named(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| format!("`{scope}`")).collect::<Vec<_>>().join(" or ")
}
