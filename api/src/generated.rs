//! Parts of pages that are made from the code, and the check that they still are what the code says.

/// Whether the pages are to be written instead. A constant of the build: nothing of the service reads its environment for this.
const WANTED: bool = option_env!("WRITE_DOCS").is_some();

/// Compares what stands between `<!-- generated: NAME -->` and `<!-- end -->` of a page with what the code says; writes it there instead
/// when `WRITE_DOCS` is set.
#[track_caller]
pub(crate) fn check(page: &str, name: &str, expected: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&file).unwrap();
    let start = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text.split_once(&start).unwrap_or_else(|| panic!("{page} has no line {start}"));
    let (found, after) =
        rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{page} has no end of {name}"));
    if WANTED {
        std::fs::write(&file, format!("{before}{start}{expected}<!-- end -->{after}")).unwrap();
        return;
    }
    assert!(
        found == expected,
        "{page} does not say what the code does: run `WRITE_DOCS=1 cargo test -p honoken-api the_documented` and commit it"
    );
}
