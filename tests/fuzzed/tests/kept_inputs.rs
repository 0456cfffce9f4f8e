//! Every input that is kept in `fuzz/corpus` is read, and every kind has its inputs and its program.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use honoken_test_fuzzed::KINDS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(fuzz().join(folder)).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    names.map(|name| name.to_str().expect("a text").trim_end_matches(ending).to_owned()).collect()
}

#[test]
fn every_kept_input_is_read_and_every_kind_has_some() {
    let mut failed = Vec::new();
    for (name, read) in KINDS {
        let folder = fuzz().join("corpus").join(name);
        let inputs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() >= 3, "{name} has {} inputs", inputs.len());
        for path in inputs {
            let input = fs::read(&path).unwrap();
            if catch_unwind(|| read(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn every_kind_has_a_program_and_a_folder_of_its_name() {
    let names: BTreeSet<String> = KINDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!((names_in("fuzz_targets", ".rs"), names_in("corpus", "")), (names.clone(), names));
}
