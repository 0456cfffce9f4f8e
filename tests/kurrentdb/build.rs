//! Generates the server's side of the services from the protocol files of the client.

use std::path::PathBuf;

const FILES: [&str; 3] = ["streams.proto", "gossip.proto", "serverfeatures.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let protos = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../third_party/kurrentdb-protos");
    println!("cargo:rerun-if-changed={}", protos.display());
    let descriptors = protox::compile(FILES, [&protos])?;
    tonic_build::configure()
        .build_client(false)
        .bytes(["."])
        .extern_path(".event_store.client.Empty", "()")
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
