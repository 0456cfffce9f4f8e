//! Names that were most likely misspelt.

/// Changes of a name that a person makes by mistake, at most.
const MISTAKES: usize = 3;

/// The name among the known ones that is most likely meant; `None` if none is near.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = known.map(|known| (distance(name, known), known)).min();
    nearest.filter(|(distance, _)| *distance <= MISTAKES).map(|(_, known)| known)
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
    fn a_distance_is_that_of_the_fewest_changes() {
        for (one, other, expected) in
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("ULR", "URL", 2), ("same", "same", 0)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn a_name_that_is_far_from_all_others_has_no_nearest_one() {
        let known = ["club", "shop"];
        assert_eq!(nearest("clbu", known.into_iter()), Some("club"));
        assert_eq!(nearest("restaurant", known.into_iter()), None);
    }
}
