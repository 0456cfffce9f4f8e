//! Apple Wallet passes as files: pass.json, manifest, signature, archive, and a reader that verifies them.
