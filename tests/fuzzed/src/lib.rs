//! One function for each kind of input that comes from outside: it reads bytes as the service does, and panics when a promise about them is
//! broken. `fuzz/` hands them whatever libFuzzer makes up; the test `kept_inputs` hands them what is kept in `fuzz/corpus`, so that an input that once
//! found a fault is read by every run of the tests (`docs/fuzzing.md`).

mod cms;
mod conditions;
mod content;
mod image;
mod package;
mod strings;
mod tags;

pub use cms::cms;
pub use conditions::conditions;
pub use content::content;
pub use image::png;
pub use package::zip;
pub use strings::strings;
pub use tags::tags;

/// Reads an input, and panics when a promise about it is broken.
pub type Read = fn(&[u8]);

/// Every kind by its name, which is that of its folder in `fuzz/corpus` and of its program in `fuzz/fuzz_targets`.
pub const KINDS: [(&str, Read); 7] = [
    ("content", content),
    ("conditions", conditions),
    ("tags", tags),
    ("png", png),
    ("zip", zip),
    ("cms", cms),
    ("strings", strings),
];
