//! How the sources of the rooms hang together: which files import each other, and how long they are.

use std::collections::{BTreeMap, BTreeSet};

use crate::house_rules::{ROOMS, sources};

/// Circles inside one folder that are right, each with its reason.
const RIGHT: &[(&str, &str)] = &[];

/// The most lines of a file, its unit tests not counted.
const LINES: usize = 600;

/// The paths in the tree of a `use` line: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let parts = inner.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    let parts: Vec<&str> = parts.filter(|part| !part.trim().is_empty()).collect();
    parts.into_iter().flat_map(leaves).map(|leaf| format!("{head}{leaf}")).collect()
}

/// Every path of its own crate that a source names, outside its comments: in `use` lines that are not public, and inline.
fn named_paths(source: &str) -> Vec<String> {
    let mut lines = source.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code).trim());
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let is_public = line.starts_with("pub") && line.contains(" use ");
        if !is_public && !line.starts_with("use ") {
            found.extend(inline(line));
            continue;
        }
        let mut statement = line.to_owned();
        while !statement.contains(';') {
            let Some(next) = lines.next() else { break };
            statement.push_str(next);
        }
        if !is_public {
            found.extend(leaves(statement.trim_start_matches("use ").trim_end_matches(';')));
        }
    }
    found
}

fn inline(code: &str) -> impl Iterator<Item = String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    code.match_indices("crate::").filter_map(move |(at, _)| {
        let is_whole = code[..at].chars().next_back().is_none_or(|before| !is_path(before) && before != '$');
        is_whole.then(|| code[at..].chars().take_while(|c| is_path(*c)).collect())
    })
}

/// The files of the rooms, each with those that it imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut imports = BTreeMap::new();
    for room in ROOMS {
        let files = sources(&format!("{room}/src"));
        let module = |path: &str| -> Vec<String> {
            let inner = path.split_once("/src/").expect("a source").1.trim_end_matches(".rs");
            let inner = inner.strip_suffix("/mod").unwrap_or(inner);
            let parts = inner.split('/').filter(|part| !["lib", "main"].contains(part));
            parts.map(str::to_owned).collect()
        };
        let by_module: BTreeMap<Vec<String>, &str> =
            files.iter().map(|(path, _)| (module(path), path.as_str())).collect();
        for (path, source) in &files {
            let mut found = BTreeSet::new();
            for named in named_paths(source) {
                let mut parts: Vec<&str> = named.split("::").collect();
                let mut target = match parts[0] {
                    "crate" => Vec::new(),
                    "super" | "self" => module(path),
                    _ => continue,
                };
                for part in &parts {
                    if *part == "super" {
                        target.pop();
                    }
                }
                parts.retain(|part| !["crate", "super", "self"].contains(part));
                target.extend(parts.into_iter().map(str::to_owned));
                while !target.is_empty() && !by_module.contains_key(&target) {
                    target.pop();
                }
                let file = by_module.get(&target).filter(|file| !target.is_empty() && **file != path);
                found.extend(file.map(|file| (*file).to_owned()));
            }
            imports.insert(path.clone(), found);
        }
    }
    imports
}

/// Everything that can be reached from a file.
fn reached<'a>(imports: &'a BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&str> = imports[from].iter().map(String::as_str).collect();
    while let Some(file) = left.pop() {
        if found.insert(file) {
            left.extend(imports[file].iter().map(String::as_str));
        }
    }
    found
}

#[test]
fn files_import_each_other_in_no_circle() {
    let imports = imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 500, "the imports are not found any more");
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (file.as_str(), reached(&imports, file))).collect();
    let right: BTreeSet<&str> = RIGHT.iter().map(|(file, _)| *file).collect();
    for (file, targets) in &reached {
        let circle: Vec<&str> =
            targets.iter().copied().filter(|target| reached[target].contains(file)).collect();
        let folder = |file: &str| file.rsplit_once('/').expect("a path").0.to_owned();
        let is_right = right.contains(file) && circle.iter().all(|other| folder(other) == folder(file));
        assert!(circle.is_empty() || is_right, "{file} imports itself by way of {circle:?}");
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    for room in ROOMS {
        for (path, source) in sources(&format!("{room}/src")) {
            let lines = source.lines().count();
            assert!(lines <= LINES, "{path} has {lines} lines");
        }
    }
}

#[test]
fn a_use_line_is_taken_apart() {
    assert_eq!(leaves("crate::{a, b::{self, C as D}}"), ["crate::a", "crate::b::self", "crate::b::C"]);
    let source = "use crate::a::{B, c};\npub use crate::d::E;\nfn f() { crate::g::h(); }\n// crate::i\n";
    assert_eq!(named_paths(source), ["crate::a::B", "crate::a::c", "crate::g::h"]);
}
