//! JSON pointers (RFC 6901), built one step at a time.

use std::fmt::Display;

/// The pointer to a member or an element of the value that `parent` points to.
pub(crate) fn at(parent: &str, step: impl Display) -> String {
    let step = step.to_string();
    if step.contains(['~', '/']) {
        // The tilde first, or the tildes of the escaped slashes would be escaped again.
        format!("{parent}/{}", step.replace('~', "~0").replace('/', "~1"))
    } else {
        format!("{parent}/{step}")
    }
}

/// The pointer of an image: `/assets/logo.png`.
pub(crate) fn in_assets(name: impl Display) -> String {
    at("/assets", name)
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn slashes_and_tildes_in_a_key_are_escaped() {
        assert_eq!(at("/a", "b/c~d~1"), "/a/b~1c~0d~01");
        assert_eq!(at("", 0), "/0");
    }
}
