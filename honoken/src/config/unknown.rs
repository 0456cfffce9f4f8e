//! Variables that begin like ours and are none of ours: most likely misspelt.

use super::sections::variables;

/// What all of our own variables begin with. (Those of an earlier service that begin otherwise are known by name.)
const PREFIX: &str = "HONOKEN_";

/// Changes of a name that a person makes by mistake, at most.
const MISTAKES: usize = 3;

/// A sentence for each of these variables that begins like ours and is unknown.
pub(super) fn warnings<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let unknown =
        names.filter(|name| name.starts_with(PREFIX) && !variables().any(|known| known.name == *name));
    let mut warnings: Vec<String> = unknown.map(warning).collect();
    warnings.sort();
    warnings
}

fn warning(name: &str) -> String {
    let nearest = variables().map(|known| (distance(name, known.name), known.name)).min();
    match nearest.filter(|(distance, _)| *distance <= MISTAKES) {
        Some((_, known)) => format!("{name} is unknown and has no effect: is {known} meant?"),
        None => format!("{name} is unknown and has no effect: docs/configuration.md lists the variables"),
    }
}

/// How many characters have to be inserted, removed or replaced to get from one text to another (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, from) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (place, to) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
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

    #[test]
    fn a_distance_is_that_of_the_fewest_changes() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ULR", "URL", 2), ("same", "same", 0)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }
}
