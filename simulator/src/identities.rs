//! The identities of made-up phones: names that no real phone has and that no two runs share.

use sha1::{Digest, Sha1};

/// Device library identifiers, push tokens and wrong answers, all made of one secret.
#[derive(Clone)]
pub struct Identities {
    secret: [u8; 32],
}

impl Identities {
    /// From bytes that no other run has. The same bytes give the same identities.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The identifier of a device: 32 hex digits, as seen on phones.
    pub fn device(&self, number: u64) -> String {
        self.digits("device", number, 32)
    }

    /// A push token of that device: 64 hex digits. `renewal` tells one from the next.
    pub fn push_token(&self, number: u64, renewal: u64) -> String {
        let half = |half: &str| self.digits(&format!("push token {renewal} {half}"), number, 32);
        half("first") + &half("second")
    }

    /// A text of hex digits that stands for nothing.
    pub(crate) fn made_up(&self, label: &str) -> String {
        self.digits(label, 0, 32)
    }

    fn digits(&self, label: &str, number: u64, digits: usize) -> String {
        let hash = Sha1::new().chain_update(self.secret).chain_update(format!("{label} {number}")).finalize();
        let mut text = hex::encode(hash);
        text.truncate(digits);
        text
    }
}
