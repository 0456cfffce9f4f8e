//! Variables that begin like ours and are none of ours: most likely misspelt.

use super::sections::variables;
use crate::spelling::nearest;

/// What all of our own variables begin with. (Those of an earlier service that begin otherwise are known by name.)
const PREFIX: &str = "HONOKEN_";

/// A sentence for each of these variables that begins like ours and is unknown.
pub(super) fn warnings<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let unknown =
        names.filter(|name| name.starts_with(PREFIX) && !variables().any(|known| known.name == *name));
    let mut warnings: Vec<String> = unknown.map(warning).collect();
    warnings.sort();
    warnings
}

fn warning(name: &str) -> String {
    match nearest(name, variables().map(|known| known.name)) {
        Some(known) => format!("{name} is unknown and has no effect: is {known} meant?"),
        None => format!("{name} is unknown and has no effect: docs/configuration.md lists the variables"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_told_with_the_one_that_is_meant() {
        let set = ["HONOKEN_PUBLIC_ULR", "PATH", "HONOKEN_PUBLIC_URL", "HONOKEN_WHATEVER", "DATABASE_URL"];
        assert_eq!(
            warnings(set.into_iter()),
            [
                "HONOKEN_PUBLIC_ULR is unknown and has no effect: is HONOKEN_PUBLIC_URL meant?",
                "HONOKEN_WHATEVER is unknown and has no effect: docs/configuration.md lists the variables",
            ]
        );
    }
}
