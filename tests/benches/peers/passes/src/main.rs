//! The crate `passes`: the pass is read once, as an integrator's template would be, and packed and signed anew for each.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::str::FromStr;

use passes::{Package, Pass, resource, sign};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().expect("a folder");
    let seconds: f64 = arguments.next().expect("seconds").parse().expect("a number");
    let out = arguments.next().expect("a file");
    let folder = Path::new(&folder);
    let read = |name: &str| fs::read(folder.join(name)).expect("a file");
    let mut template: serde_json::Value = serde_json::from_slice(&read("pass.json")).expect("JSON");
    // The crate reads a style only with all of its fields.
    for fields in ["headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields"] {
        let style = template["eventTicket"].as_object_mut().expect("an event ticket");
        style.entry(fields).or_insert_with(|| serde_json::json!([]));
    }
    let images: Vec<(String, Vec<u8>)> = fs::read_dir(folder.join("images"))
        .expect("the images")
        .map(|file| {
            let file = file.expect("a file");
            let name = file.file_name().into_string().expect("a text");
            (name, fs::read(file.path()).expect("an image"))
        })
        .collect();
    let [certificate, key, intermediate] = ["pass.pem", "pass.key", "intermediate.pem"].map(read);
    let mut package = Package::new(Pass::from_json(&template.to_string()).expect("a pass"));
    for (name, bytes) in &images {
        package.add_resource(resource::Type::from_str(name).expect("a name"), &bytes[..]).expect("an image");
    }
    package.add_certificates(sign::SignConfig::new(sign::WWDR::Custom(&intermediate), &certificate, &key).expect("certificates"));
    let mut last = Vec::new();
    let mut during = |seconds: f64| {
        let (start, mut passes) = (spent(), 0_u32);
        loop {
            let mut file = Cursor::new(Vec::new());
            package.pass.config.serial_number = format!("A-1-{passes}");
            package.write(&mut file).expect("a pass");
            last = file.into_inner();
            passes += 1;
            if spent() - start >= seconds {
                return f64::from(passes) / (spent() - start);
            }
        }
    };
    during(0.2);
    let rate = during(seconds);
    fs::write(out, last).expect("the pass is written");
    println!("{rate:.3}");
}

/// Seconds that this thread has spent on a core.
fn spent() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux counts a thread's time");
    text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).expect("a number") / 1e9
}
